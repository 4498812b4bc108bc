// Lines of metrics: for people, as JSON, kept and cut when a run resumes.
#include "trainer/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/file.h"
#include "trainer/loss_plot.h"

namespace weft {
namespace {

using testing::HasSubstr;

StepMetrics Step(int64_t step, double loss = 2.5) {
  return {.step = step, .loss = loss, .grad_norm = 1.25, .lr = 3e-4, .tokens = 4096, .tokens_per_s = 12345.6, .step_ms = 331.8,
          .memory_bytes = 1.5 * 1024 * 1024 * 1024, .eval_loss = {}};
}

TEST(Metrics, FormatsALineForPeople) {
  EXPECT_EQ(FormatStep(Step(7), 100, 200),
            "step   7/100  loss 2.5000  grad 1.25  lr 3.00e-04  12,345 tok/s  332 ms  1.5 GiB  3 min 20 s left");
  StepMetrics evaluated = Step(100);
  evaluated.eval_loss = 2.25;
  EXPECT_THAT(FormatStep(evaluated, 100, 0), testing::EndsWith("validation loss 2.2500"));
  evaluated.eval_loss_by_source = {2, 2.75};
  EXPECT_THAT(FormatStep(evaluated, 100, 0), testing::EndsWith("validation loss 2.2500 (by source 2.0000, 2.7500)"));
  evaluated.skipped = true;
  EXPECT_THAT(FormatStep(evaluated, 100, 0), testing::EndsWith(" 2.7500)  skipped"));
}

TEST(Metrics, KeepsTheLinesUpToTheResumedStepAndAppends) {
  const std::string path = StrCat(testing::TempDir(), "/metrics-", ::getpid(), ".jsonl");
  {
    StatusOr<MetricsFile> file = MetricsFile::Open(path, 0);
    ASSERT_TRUE(file.ok()) << file.status();
    for (int64_t step = 1; step <= 5; ++step) {
      StepMetrics metrics = Step(step, 10.0 / static_cast<double>(step));
      if (step == 2) metrics.eval_loss_by_source = {0.1 + 0.2, std::nan("")};  // the second has no validation split
      EXPECT_TRUE(file->Append(metrics).ok());
    }
  }
  std::ofstream(path, std::ios::app) << R"({"step": 6, "lo)";  // a write that was cut off
  {
    StatusOr<MetricsFile> file = MetricsFile::Open(path, 3);
    ASSERT_TRUE(file.ok()) << file.status();
    StepMetrics skipped = Step(4, 0.1);
    skipped.skipped = true;
    EXPECT_TRUE(file->Append(skipped).ok());
  }
  const StatusOr<std::vector<StepMetrics>> steps = ReadMetrics(path);
  ASSERT_TRUE(steps.ok()) << steps.status();
  ASSERT_EQ(steps->size(), 4u);
  EXPECT_EQ((*steps)[2].loss, 10.0 / 3) << "numbers read back exactly";
  EXPECT_EQ((*steps)[3].loss, 0.1);
  ASSERT_EQ((*steps)[1].eval_loss_by_source.size(), 2u);
  EXPECT_EQ((*steps)[1].eval_loss_by_source[0], 0.1 + 0.2);
  EXPECT_TRUE(std::isnan((*steps)[1].eval_loss_by_source[1]));
  EXPECT_TRUE((*steps)[3].skipped);
  EXPECT_FALSE((*steps)[2].skipped);
}

TEST(Metrics, NamesTheLineThatIsNotOne) {
  const std::string path = StrCat(testing::TempDir(), "/", ::getpid(), "bad.jsonl");
  std::ofstream(path) << "{\"step\": 1, \"loss\": 2}\nhello\n";
  EXPECT_THAT(std::string(ReadMetrics(path).status().message()), HasSubstr("bad.jsonl:2"));
}

TEST(Metrics, GoesOnFromADamagedFileAndKeepsIt) {
  const std::string path = StrCat(testing::TempDir(), "/damaged-", ::getpid(), ".jsonl");
  std::filesystem::remove(path + ".damaged-1");
  const std::string damaged = "{\"step\": 1, \"loss\": 2}\nhello\n{\"step\": 3, \"loss\": 4}\n{\"step\": 4, \"loss\": 5}\n";
  std::ofstream(path) << damaged;
  const StatusOr<MetricsFile> file = MetricsFile::Open(path, 3);
  ASSERT_TRUE(file.ok()) << file.status();
  const StatusOr<std::vector<StepMetrics>> steps = ReadMetrics(path);
  ASSERT_TRUE(steps.ok()) << steps.status();
  ASSERT_EQ(steps->size(), 2u) << "of steps 1 and 3";
  EXPECT_EQ((*steps)[1].loss, 4);
  EXPECT_EQ(*ReadFile(path + ".damaged-1"), damaged);
}

TEST(Metrics, NoNumberHasNoSign) {
  StepMetrics step = Step(1, -std::nan(""));
  step.grad_norm = -std::nan("");
  step.eval_loss = -std::nan("");
  const std::string line = FormatStep(step, 1, 0);
  EXPECT_THAT(line, HasSubstr("loss nan  grad nan"));
  EXPECT_THAT(line, testing::Not(HasSubstr("-nan")));
}

TEST(LossPlot, IsASelfContainedPicture) {
  std::vector<StepMetrics> steps;
  for (int64_t step = 1; step <= 100; ++step) steps.push_back(Step(step, 5.0 / static_cast<double>(step)));
  steps[40].loss = std::nan("");
  steps[50].eval_loss = 0.2;
  const std::string svg = LossPlotSvg(steps, "a <run> & more");
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns="));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("a &lt;run&gt; &amp; more"));
  EXPECT_THAT(svg, HasSubstr("<circle"));
  EXPECT_THAT(svg, testing::Not(HasSubstr("nan")));
}

TEST(LossPlot, DrawsWhatLittleThereIs) {
  EXPECT_THAT(LossPlotSvg({}, "none"), HasSubstr("</svg>"));
  EXPECT_THAT(LossPlotSvg({Step(1)}, "one"), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace weft
