// The trainer on thread ranks with asynchronous streams: a whole data-parallel job that sanitizers can see.
#include "trainer/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <functional>
#include <mutex>

#include "checkpoint/checkpoint_reader.h"
#include "core/rng.h"
#include "data/prepare.h"
#include "parallel/thread_communicator.h"

namespace weft {
namespace {

constexpr int kSteps = 6;

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() : folder_(StrCat(testing::TempDir(), "/trainer_test_", ::getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ + "/text");
    const Rng rng(1, StreamKey("text"));
    for (int document = 0; document < 12; ++document) {
      std::ofstream text(folder_ + "/text/" + std::to_string(document) + ".txt");
      for (uint64_t i = 0; i < 150 + 40 * static_cast<uint64_t>(document); ++i) {
        text << "abcdefgh \n"[rng.Below(static_cast<uint64_t>(document) * 1000 + i, 10)];
      }
    }
    PrepareOptions options;
    options.inputs = {folder_ + "/text"};
    options.to = folder_ + "/data.h5";
    options.sequence_length = 32;
    options.validation_fraction = 0.2;
    const Status prepared = PrepareData(options);
    EXPECT_TRUE(prepared.ok()) << prepared;
  }
  ~TrainerTest() override { std::filesystem::remove_all(folder_); }

  RunConfig Config(int world_size, const std::string& output) {
    RunConfig config;
    const std::string path = folder_ + "/" + output + ".yaml";
    std::ofstream(path) << "output: " << folder_ << "/" << output << "\nsteps: " << kSteps
                        << "\ntrain_batch_size: 12\ntrain_micro_batch_size_per_gpu: 2\nmodel:\n  vocab_size: 272\n  hidden_size: 16\n"
                           "  intermediate_size: 24\n  num_hidden_layers: 2\n  num_attention_heads: 2\n"
                           "  max_position_embeddings: 32\ndata:\n  path: "
                        << folder_ << "/data.h5\n  sequence_length: 32\noptimizer:\n  type: AdamW\n  params: {lr: 0.01}\n"
                           "gradient_clipping: 0.5\n";
    const StatusOr<ConfigReport> report = ReadRunConfig({.path = path}, world_size, config);
    EXPECT_TRUE(report.ok()) << report.status();
    return config;
  }

  // The same on data.h5 and a smaller store of other text, two samples of three from the first.
  RunConfig MixedConfig(int world_size, const std::string& output) {
    RunConfig config = Config(world_size, output);
    const std::string other = folder_ + "/other.h5";
    if (!std::filesystem::exists(other)) {
      std::ofstream(folder_ + "/other.jsonl") << R"({"text": "ABABABABABABABABABABABABABABABAB"})" << "\n"
                                              << R"({"text": "CDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCD"})" << "\n"
                                              << R"({"text": "EFEFEFEFEFEF"})" << "\n";
      const Status prepared = PrepareData({.inputs = {folder_ + "/other.jsonl"}, .to = other, .tokenizer = "", .sequence_length = 32});
      EXPECT_TRUE(prepared.ok()) << prepared;
    }
    config.data.sources = {{.path = config.data.path, .weight = 2}, {.path = other, .weight = 1}};
    config.data.path = "";
    return config;
  }

  // Loss, gradient norm and validation loss of each step, as rank 0 sees them.
  std::vector<double> Train(int ranks, bool asynchronous, OffloadDevice offload = OffloadDevice::kNone) {
    RunConfig config = Config(ranks, "ranks" + std::to_string(ranks));
    config.zero_optimization.offload_optimizer.device = offload;
    return Train(config, ranks, asynchronous);
  }
  std::vector<double> Train(const RunConfig& config, int ranks, bool asynchronous) {
    std::vector<double> seen;
    std::mutex mutex;
    RunThreadRanks(ranks, [&](Communicator& world) {
      StatusOr<std::unique_ptr<Trainer>> trainer =
          Trainer::Create(config, {.world = world, .device = Device::Cpu(), .num_threads = 1, .asynchronous_streams = asynchronous});
      ASSERT_TRUE(trainer.ok()) << trainer.status();
      for (int step = 0; step < kSteps; ++step) {
        const StatusOr<StepMetrics> metrics = (*trainer)->Step();
        ASSERT_TRUE(metrics.ok()) << metrics.status();
        const StatusOr<std::optional<double>> loss = (*trainer)->Evaluate();
        ASSERT_TRUE(loss.ok()) << loss.status();
        if (world.rank() != 0) continue;
        std::lock_guard<std::mutex> lock(mutex);
        seen.insert(seen.end(), {metrics->loss, metrics->grad_norm, loss->value()});
      }
    });
    return seen;
  }

  void SavesAndResumesBitForBit(const std::function<RunConfig(const std::string& output)>& config_of);  // for two ranks
  static void RunToEnd(const RunConfig& config, int ranks) {
    RunThreadRanks(ranks, [&](Communicator& world) {
      StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(config, {.world = world, .device = Device::Cpu()});
      ASSERT_TRUE(trainer.ok()) << trainer.status();
      const Status status = (*trainer)->Run();
      EXPECT_TRUE(status.ok()) << status;
    });
  }
  // By name, as bytes.
  static std::map<std::string, std::string> TensorsOf(const std::string& checkpoint) {
    std::map<std::string, std::string> tensors;
    StatusOr<CheckpointReader> reader = CheckpointReader::Open(checkpoint);
    EXPECT_TRUE(reader.ok()) << reader.status();
    for (const CheckpointTensor& tensor : reader->Tensors()) {
      Tensor values(tensor.shape, DType::kF32);
      const Status loaded = reader->Load({{tensor.name, tensor.shape, 0, tensor.shape[0], 0, tensor.shape.row_elements(), values.view()}});
      EXPECT_TRUE(loaded.ok()) << loaded;
      tensors[tensor.name].assign(static_cast<const char*>(values.view().raw()), values.num_bytes());
    }
    EXPECT_FALSE(tensors.empty());
    return tensors;
  }

  const std::string folder_;
};

void TrainerTest::SavesAndResumesBitForBit(const std::function<RunConfig(const std::string&)>& config_of) {
  const auto run = [&](const RunConfig& config) {
    RunThreadRanks(2, [&](Communicator& world) {
      StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(config, {.world = world, .device = Device::Cpu()});
      ASSERT_TRUE(trainer.ok()) << trainer.status();
      const Status status = (*trainer)->Run();
      EXPECT_TRUE(status.ok()) << status;
    });
    const StatusOr<std::vector<StepMetrics>> steps = ReadMetrics(config.output + "/metrics.jsonl");
    EXPECT_TRUE(steps.ok()) << steps.status();
    std::vector<double> losses;
    for (const StepMetrics& step : *steps) losses.push_back(step.loss);
    return losses;
  };
  const std::vector<double> whole = run(config_of("whole"));
  RunConfig part = config_of("part");
  part.steps = 4;
  EXPECT_EQ(run(part).size(), 4u);
  part.steps = kSteps;
  EXPECT_EQ(run(part), whole);
  part.zero_optimization.offload_optimizer.device = OffloadDevice::kCpu;
  part.checkpoint.resume = part.output + "/checkpoints/step-4";
  EXPECT_EQ(run(part), whole) << "masters and moments go on in host memory";
}

TEST_F(TrainerTest, RanksAndDelaysChangeNothing) {
  const std::vector<double> alone = Train(1, false);
  ASSERT_EQ(alone.size(), 3u * kSteps);
  EXPECT_LT(alone[3 * (kSteps - 1)], 0.95 * alone[0]) << "it learns";
  EXPECT_GT(alone[1], 0.5) << "clipping is active";
  for (int ranks : {1, 2, 3}) {
    const std::vector<double> together = Train(ranks, true);
    ASSERT_EQ(together.size(), alone.size());
    for (size_t i = 0; i < alone.size(); ++i) {
      EXPECT_NEAR(together[i], alone[i], 1e-5 * std::abs(alone[i])) << ranks << " ranks, figure " << i;
    }
  }
}

TEST_F(TrainerTest, MixedSourcesDoNotDependOnRanksOrMicroBatches) {
  const std::vector<double> alone = Train(MixedConfig(1, "mixed1"), 1, false);
  ASSERT_EQ(alone.size(), 3u * kSteps);
  EXPECT_NE(alone, Train(1, false)) << "the second source is seen";
  for (int ranks : {1, 2, 3}) {
    RunConfig config = MixedConfig(ranks, "mixed" + std::to_string(ranks));
    config.train_micro_batch_size_per_gpu = ranks == 1 ? 3 : 1;
    config.gradient_accumulation_steps = 12 / ranks / *config.train_micro_batch_size_per_gpu;
    const std::vector<double> together = Train(config, ranks, true);
    ASSERT_EQ(together.size(), alone.size());
    for (size_t i = 0; i < alone.size(); ++i) {
      EXPECT_NEAR(together[i], alone[i], 1e-5 * std::abs(alone[i])) << ranks << " ranks, figure " << i;
    }
  }
}

TEST_F(TrainerTest, EvaluatesSourcesTogetherAndEach) {
  const auto evaluate = [&](const RunConfig& config, std::vector<double>* by_source) {
    const std::unique_ptr<Communicator> self = MakeSelfCommunicator();
    StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(config, {.world = *self, .device = Device::Cpu()});
    EXPECT_TRUE(trainer.ok()) << trainer.status();
    return (*trainer)->Evaluate(by_source)->value();
  };
  const RunConfig mixed = MixedConfig(1, "mixed");
  std::vector<double> by_source;
  const double all = evaluate(mixed, &by_source);
  ASSERT_EQ(by_source.size(), 2u);
  double loss = 0, tokens = 0;
  for (size_t i = 0; i < 2; ++i) {
    RunConfig alone = mixed;
    alone.data.sources = {mixed.data.sources[i]};
    const auto store = *TokenStore::Open(alone.data.sources[0].path);
    const auto num_tokens = static_cast<double>((*Loader::Validation(store, 32))->num_tokens());
    EXPECT_NEAR(by_source[i], evaluate(alone, nullptr), 1e-6);
    loss += by_source[i] * num_tokens;
    tokens += num_tokens;
  }
  EXPECT_NEAR(all, loss / tokens, 1e-6);
}

TEST_F(TrainerTest, AnOffloadedOptimizerChangesNoBit) {
  for (int ranks : {1, 2}) EXPECT_EQ(Train(ranks, true, OffloadDevice::kCpu), Train(ranks, false));
}

TEST_F(TrainerTest, ARunOfThreadRanksSavesAndResumesBitForBit) {
  SavesAndResumesBitForBit([&](const std::string& output) { return Config(2, output); });
}

TEST_F(TrainerTest, ARunOnMixedSourcesResumesBitForBit) {
  SavesAndResumesBitForBit([&](const std::string& output) { return MixedConfig(2, output); });
}

TEST_F(TrainerTest, OtherWeightsAreOtherData) {
  const std::unique_ptr<Communicator> self = MakeSelfCommunicator();
  RunConfig config = MixedConfig(1, "mixed");
  config.steps = 1;
  ASSERT_TRUE((*Trainer::Create(config, {.world = *self, .device = Device::Cpu()}))->Run().ok());
  config.data.sources[0].weight = 3;
  const auto refused = Trainer::Create(config, {.world = *self, .device = Device::Cpu()});
  EXPECT_EQ(ExitCode(refused.status()), 2);
  EXPECT_THAT(std::string(refused.status().message()), testing::HasSubstr("mixed with other weights"));
}

TEST_F(TrainerTest, AsynchronousSavesAreThoseThatWaitBitForBit) {
  for (const int ranks : {1, 2, 3}) {
    RunConfig waits = Config(ranks, StrCat("waits", ranks)), goes_on = Config(ranks, StrCat("goes_on", ranks));
    for (RunConfig* config : {&waits, &goes_on}) {
      config->checkpoint.every = 1;
      config->checkpoint.keep = 0;
      config->zero_optimization.stage = ranks == 3 ? 3 : 0;
    }
    waits.checkpoint.asynchronous = false;
    ASSERT_TRUE(SavesAsynchronously(goes_on));
    ASSERT_FALSE(SavesAsynchronously(waits));
    RunToEnd(waits, ranks);
    RunToEnd(goes_on, ranks);
    for (int step = 1; step <= kSteps; ++step) {
      const std::string folder = StrCat("/checkpoints/step-", step);
      EXPECT_TRUE(TensorsOf(waits.output + folder) == TensorsOf(goes_on.output + folder)) << "step " << step << " of " << ranks;
    }
    const StatusOr<std::vector<StepMetrics>> a = ReadMetrics(waits.output + "/metrics.jsonl"), b = ReadMetrics(goes_on.output + "/metrics.jsonl");
    ASSERT_TRUE(a.ok() && b.ok());
    for (size_t i = 0; i < a->size(); ++i) EXPECT_EQ((*a)[i].loss, (*b)[i].loss) << "step " << i + 1;
  }
}

// A job that was requeued while the old one lingers must not take its checkpoints apart.
TEST_F(TrainerTest, TwoRunsInOneFolderAreRefused) {
  const RunConfig config = Config(1, "shared");
  const auto make = [&](Communicator& world) { return Trainer::Create(config, {.world = world, .device = Device::Cpu()}); };
  const std::unique_ptr<Communicator> self = MakeSelfCommunicator();
  StatusOr<std::unique_ptr<Trainer>> first = make(*self), second = make(*self);
  ASSERT_TRUE(first.ok() && second.ok());
  ASSERT_TRUE((*first)->Run().ok());
  const Status refused = (*second)->Run();
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("is being written by another run (process"));
  first->reset();
  EXPECT_TRUE((*make(*self))->Run().ok()) << "the lock goes with its holder";
}

// As on two hosts of which only one sees the run's folder.
TEST_F(TrainerTest, RanksThatWouldStartFromDifferentCheckpointsAreRefused) {
  RunConfig seen = Config(2, "seen");
  seen.steps = 2;
  RunThreadRanks(2, [&](Communicator& world) {
    const StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(seen, {.world = world, .device = Device::Cpu()});
    ASSERT_TRUE(trainer.ok()) << trainer.status();
    EXPECT_TRUE((*trainer)->Run().ok());
  });
  const RunConfig unseen = Config(2, "unseen");
  RunThreadRanks(2, [&](Communicator& world) {
    const auto trainer = Trainer::Create(world.rank() == 0 ? seen : unseen, {.world = world, .device = Device::Cpu()});
    EXPECT_THAT(std::string(trainer.status().message()),
                testing::AllOf(testing::HasSubstr("rank 1 would start from"), testing::HasSubstr("no checkpoint, rank 0 from"),
                               testing::HasSubstr("step-2")));
  });
}

TEST_F(TrainerTest, OneRanksMissingDataStopsAllOfThem) {
  const RunConfig good = Config(2, "run");
  RunThreadRanks(2, [&](Communicator& world) {
    RunConfig config = good;
    if (world.rank() == 1) config.data.path = "/nonexistent/data.h5";
    const StatusOr<std::unique_ptr<Trainer>> trainer = Trainer::Create(config, {.world = world, .device = Device::Cpu()});
    EXPECT_THAT(std::string(trainer.status().message()), testing::HasSubstr("rank 1: /nonexistent/data.h5"));
  });
  EXPECT_FALSE(std::filesystem::exists(good.output));
}

}  // namespace
}  // namespace weft
