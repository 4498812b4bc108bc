// Drawings: exact small ones, and what happens at the edge of the terminal.
#include "parallel/plan_drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/parallel/every_schedule.h"

namespace weft {
namespace {

using testing::HasSubstr;

std::string Drawing(ScheduleType type, int pp, int interleave, int num_micro_batches, const DrawingStyle& style = {},
                    const GroupCosts& costs = {}) {
  const StageLayout layout = EvenLayout(pp, interleave);
  const std::vector<Plan> plans = MakeTrainingPlans(layout, type, num_micro_batches, {});
  return "\n" + Draw(plans, layout, Simulate(plans, layout, costs), style);
}

TEST(PlanDrawing, ShowsARowARankOverTime) {
  EXPECT_EQ(Drawing(ScheduleType::k1F1B, 2, 1, 3), R"(
         0              5              10
rank 0  │F0 F1 ·  ·  B0─── F2 B1─── ·  B2───
rank 1  │·  F0 B0─── F1 B1─── F2 B2─── ·  ·
F forward, B backward, with the micro-batch; · waits. Time in forwards of a block.
)");
}

TEST(PlanDrawing, SaysWhichVirtualStage) {
  EXPECT_EQ(Drawing(ScheduleType::kInterleaved, 2, 2, 2), R"(
         0       2       4       6       8       10      12      14
rank 0  │F0a F1a F0b F1b ·   ·   B0b──── ·   B1b──── B0a──── B1a────
rank 1  │·   F0a F1a F0b B0b──── F1b B1b──── B0a──── B1a──── ·   ·
F forward, B backward, with the micro-batch and its virtual stage (a, b, ...); · waits. Time in forwards of a block.
)");
}

TEST(PlanDrawing, TellsInputGradientsFromWeightGradients) {
  EXPECT_EQ(Drawing(ScheduleType::kZeroBubble, 3, 1, 3), R"(
         0              5              10
rank 0  │F0 F1 F2 ·  ·  I0 W0 I1 W1 I2 W2
rank 1  │·  F0 F1 F2 I0 W0 I1 W1 I2 W2 ·
rank 2  │·  ·  F0 I0 F1 I1 F2 I2 W0 W1 W2
F forward, I gradients of inputs, W of weights, with the micro-batch; · waits. Time in forwards of a block.
)");
}

TEST(PlanDrawing, DrawsUnequalCostsToScale) {
  EXPECT_EQ(Drawing(ScheduleType::k1F1B, 2, 1, 2, {}, {.backward_input = 1.5, .head = 2}), R"(
         0              5              10
rank 0  │F0 F1 ·  ·  ·  ·  · B0──── ·  ·  ·  B1─────
rank 1  │·  F0 B0─────────── F1 B1────────── ·  ·  ·
F forward, B backward, with the micro-batch; · waits. Time in forwards of a block.
)");
}

// Columns as a terminal counts them: bytes that do not continue a character.
size_t Columns(const std::string& line) {
  return static_cast<size_t>(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

TEST(PlanDrawing, StaysWithinTheWidthAndSaysWhenItIsCutOff) {
  for (const int width : {40, 80, 100, 160}) {
    const std::string drawing = Drawing(ScheduleType::k1F1B, 8, 1, 32, {.width = width});
    EXPECT_THAT(drawing, HasSubstr("cut off at")) << drawing;
    EXPECT_THAT(drawing, HasSubstr(" of 117;"));
    std::istringstream lines(drawing);
    for (std::string line; std::getline(lines, line) && line.find("cut off") == std::string::npos;) {
      EXPECT_LE(Columns(line), static_cast<size_t>(width)) << line;
    }
  }
  EXPECT_THAT(Drawing(ScheduleType::k1F1B, 8, 1, 32, {.width = 1000}), testing::Not(HasSubstr("cut off")));
}

TEST(PlanDrawing, ColoursOnlyWhenAskedAndEndsThem) {
  EXPECT_THAT(Drawing(ScheduleType::k1F1B, 2, 1, 2), testing::Not(HasSubstr("\033[")));
  const std::string drawing = Drawing(ScheduleType::k1F1B, 2, 1, 2, {.color = true});
  EXPECT_THAT(drawing, HasSubstr("\033[30;48;5;117mF0\033[0m "));
  std::istringstream lines(drawing);
  for (std::string line; std::getline(lines, line);) {
    const size_t last = line.rfind("\033[");
    EXPECT_TRUE(last == std::string::npos || line.compare(last, 4, "\033[0m") == 0) << line;
  }
}

}  // namespace
}  // namespace weft
