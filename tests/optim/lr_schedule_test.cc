// Every schedule against the tables of make_lr_tables.py, DeepSpeed's own classes among their sources; and its checks.
#include "optim/lr_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/config_reader.h"

namespace weft {
namespace {

using ::testing::ElementsAre;

SchedulerConfig Parse(const std::string& type, const std::string& params) {
  const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();  // tests run side by side
  const std::string path = ::testing::TempDir() + "/weft_lr_schedule_" + test + ".yaml";
  std::ofstream(path) << "type: " << type << "\nparams: " << params << "\n";
  SchedulerConfig config;
  const StatusOr<ConfigReport> report = ReadConfig({.path = path, .deepspeed_path = "", .overrides = {}}, config);
  EXPECT_TRUE(report.ok()) << report.status().message();
  return config;
}

std::vector<std::string> Resolve(SchedulerConfig& config, double lr, int64_t steps) {
  std::vector<std::string> errors;
  ResolveScheduler(config, lr, steps, [&errors](std::string_view param, std::string_view message) {
    errors.push_back(StrCat(param, ": ", message));
  });
  return errors;
}

TEST(LrSchedule, EqualsTheTables) {
  std::ifstream file("tests/optim/lr_tables.txt");
  ASSERT_TRUE(file.is_open());
  int num_cases = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    SCOPED_TRACE(line.substr(0, 120));
    std::vector<std::string> columns;
    std::istringstream split(line);
    for (std::string column; std::getline(split, column, '|');) columns.push_back(column);
    ASSERT_EQ(columns.size(), 5u);
    const double lr = std::stod(columns[1]);
    SchedulerConfig config = Parse(columns[0], columns[3]);
    EXPECT_THAT(Resolve(config, lr, std::stoll(columns[2])), ElementsAre());
    std::istringstream values(columns[4]);
    int64_t step = 0;
    for (double expected; values >> expected;) {
      ++step;
      EXPECT_NEAR(LearningRate(config, lr, step), expected, 1e-12 * lr) << "step " << step;
    }
    EXPECT_EQ(step, std::stoll(columns[2]));
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 21);
}

TEST(LrSchedule, DeepSpeedWarmUpRunsTwoStepsAtTheBottom) {
  SchedulerConfig config = Parse("WarmupLR", "{warmup_min_lr: 0.001, warmup_num_steps: 100}");
  EXPECT_THAT(Resolve(config, 0.1, 1000), ElementsAre());
  EXPECT_EQ(LearningRate(config, 0.1, 1), 0.001);
  EXPECT_EQ(LearningRate(config, 0.1, 2), 0.001);
  EXPECT_GT(LearningRate(config, 0.1, 3), 0.001);
  EXPECT_EQ(LearningRate(config, 0.1, 1000), 0.1);
}

TEST(LrSchedule, OursEndsAtTheBottomWithoutJumps) {
  for (const char* type : {"linear", "cosine"}) {
    SchedulerConfig config = Parse(type, "{warmup_steps: 10, min_lr: 0.01}");
    EXPECT_THAT(Resolve(config, 0.1, 100), ElementsAre());
    EXPECT_DOUBLE_EQ(LearningRate(config, 0.1, 10), 0.1);
    EXPECT_DOUBLE_EQ(LearningRate(config, 0.1, 100), 0.01);
    EXPECT_DOUBLE_EQ(LearningRate(config, 0.1, 101), 0.01);
    for (int64_t step = 1; step < 110; ++step) {
      EXPECT_LE(std::abs(LearningRate(config, 0.1, step + 1) - LearningRate(config, 0.1, step)), 0.0101) << step;
    }
  }
}

TEST(LrSchedule, RefusesWhatDoesNotBelong) {
  SchedulerConfig config = Parse("constant", "{warmup_num_steps: -1, cos_min_ratio: 0.1}");
  EXPECT_THAT(Resolve(config, 0.1, 10), ElementsAre("cos_min_ratio: is not a parameter of constant",
                                                    "warmup_steps: expected at least 0, got -1"));
  config = Parse("cosine", "{warmup_steps: 20, total_num_steps: 10, min_lr: 0.2}");
  EXPECT_THAT(Resolve(config, 0.1, 10), ElementsAre("min_lr: expected a number from 0 to 0.1, got 0.2",
                                                    "warmup_steps: 20 is more than total_num_steps, 10"));
  config = Parse("WarmupLR", "{warmup_type: cubic, warmup_num_steps: 0}");
  EXPECT_THAT(Resolve(config, 0.1, 10), ElementsAre("warmup_steps: expected at least 1, got 0",
                                                    "warmup_type: expected log or linear, got 'cubic'"));
  config = Parse("OneCycle", "{cycle_min_lr: 0.1}");
  EXPECT_THAT(Resolve(config, 0.1, 10),
              ElementsAre("cycle_max_lr: not given; OneCycle needs it",
                          "cycle_momentum: is true unless written otherwise, and weft does not cycle beta1; write "
                          "cycle_momentum: false"));
}

TEST(LrSchedule, DefaultsAreDeepSpeeds) {
  SchedulerConfig config = Parse("WarmupDecayLR", "{}");
  EXPECT_THAT(Resolve(config, 0.1, 500), ElementsAre());
  EXPECT_EQ(config.params.warmup_max_lr, 0.001) << "not the optimizer's lr";
  EXPECT_EQ(config.params.warmup_steps, 1000);
  EXPECT_EQ(config.params.total_num_steps, 500);
  EXPECT_EQ(config.params.warmup_type, "log");
}

}  // namespace
}  // namespace weft
