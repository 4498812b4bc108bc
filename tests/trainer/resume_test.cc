// Which settings a continued run must share with its checkpoint.
#include "trainer/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config_writer.h"
#include "trainer/run_config.h"

namespace weft {
namespace {

RunConfig Config() {
  RunConfig config;
  config.output = "run";
  config.steps = 10;
  config.train_batch_size = 8;
  config.train_micro_batch_size_per_gpu = 4;
  config.gradient_accumulation_steps = 2;
  return config;
}

Status Compare(const RunConfig& now, bool is_named = false) {
  return CheckSameRun("step-5", WriteConfig(Config()), WriteConfig(now), is_named);
}

TEST(Resume, LayoutAndSurroundingsMayChange) {
  RunConfig now = Config();
  now.output = "elsewhere";
  now.steps = 20;
  now.train_micro_batch_size_per_gpu = 1;
  now.gradient_accumulation_steps = 8;
  now.parallel.tp = 2;
  now.checkpoint.every = 3;
  now.bad_step.action = OnBadStep::kSkip;
  now.checkpoint.on_failure = OnSaveFailure::kStop;
  now.logging.every = 7;
  now.watchdog.timeout = 7;
  now.threads = 4;
  now.verify_parallel = VerifyParallel::kAlways;
  EXPECT_TRUE(Compare(now).ok()) << Compare(now);
}

TEST(Resume, WhatDecidesTheNumbersMayNotAndIsNamed) {
  RunConfig now = Config();
  now.seed = 43;
  now.train_batch_size = 16;
  now.optimizer.params.lr = 0.5;
  now.model.hidden_size = 128;
  const std::string message(Compare(now).message());
  for (const char* part : {"seed: was 42, is 43", "train_batch_size: was 8, is 16", "optimizer.params.lr: was 0.001, is 0.5",
                           "model.hidden_size: was 0, is 128", "step-5"}) {
    EXPECT_THAT(message, testing::HasSubstr(part));
  }
}

TEST(Resume, FromANamedCheckpointTheLearningRateMayChangeAndNoMore) {
  RunConfig now = Config();
  now.optimizer.params.lr = 0.5;
  now.gradient_clipping = 0.25;
  now.scheduler.params.warmup_steps = 77;
  EXPECT_TRUE(Compare(now, /*is_named=*/true).ok()) << Compare(now, true);
  EXPECT_FALSE(Compare(now, /*is_named=*/false).ok());
  now.seed = 43;
  const std::string message(Compare(now, true).message());
  EXPECT_THAT(message, testing::HasSubstr("seed: was 42, is 43"));
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("optimizer.params.lr")));
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("another output")));
}

TEST(Resume, ACourseIsKnownByTheCheckpointItBeganFromAndItsSettings) {
  RunConfig began = Config();
  began.checkpoint.resume = "run/checkpoints/step-5";
  const std::string saved = WriteConfig(began);
  RunConfig now = began;
  now.steps = 20;
  now.threads = 4;
  EXPECT_TRUE(IsCourseOf(saved, WriteConfig(now)));
  now.optimizer.params.lr = 0.5;
  EXPECT_FALSE(IsCourseOf(saved, WriteConfig(now))) << "another rate begins anew";
  now = began;
  now.checkpoint.resume = "run/checkpoints/step-4";
  EXPECT_FALSE(IsCourseOf(saved, WriteConfig(now)));
  now.checkpoint.resume = "auto";
  EXPECT_FALSE(IsCourseOf(saved, WriteConfig(now)));
}

TEST(Resume, AListThatDiffersIsNoticed) {
  RunConfig now = Config();
  now.optimizer.params.betas = {0.9, 0.95};
  EXPECT_THAT(std::string(Compare(now).message()), testing::HasSubstr("optimizer.params.betas"));
}

}  // namespace
}  // namespace weft
