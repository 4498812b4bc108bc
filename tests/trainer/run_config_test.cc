// A run's configuration: presets, defaults, every semantic check with its place, DeepSpeed's spellings, and real
// DeepSpeed and Hugging Face files, each accepted or refused by the key.
#include "trainer/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "core/config_writer.h"

namespace weft {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The least that a run needs, without anything that DeepSpeed files hold too.
constexpr char kLeast[] = R"(output: runs/x
steps: 10
model: {vocab_size: 272, hidden_size: 64, intermediate_size: 172, num_hidden_layers: 2, num_attention_heads: 4}
data: {path: tokens.h5, sequence_length: 64}
)";

std::string Folder() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder = StrCat(::testing::TempDir(), "/weft_run_config_", test->name(), "/");
  std::filesystem::create_directories(folder);
  return folder;
}

std::string FileWith(const std::string& text, const std::string& name) {
  std::ofstream(Folder() + name) << text;
  return Folder() + name;
}

std::string Short(std::string message) {
  for (size_t at; (at = message.find(Folder())) != std::string::npos;) message.erase(at, Folder().size());
  return message;
}

struct Outcome {
  RunConfig config;
  ConfigReport report;
  std::string error;
};

Outcome ReadSources(const ConfigSources& sources, int64_t world_size = 1) {
  Outcome o;
  StatusOr<ConfigReport> report = ReadRunConfig(sources, world_size, o.config);
  if (report.ok()) {
    o.report = *std::move(report);
  } else {
    EXPECT_EQ(ExitCode(report.status()), 2);
    o.error = Short(std::string(report.status().message()));
  }
  for (std::string& notice : o.report.notices) notice = Short(notice);
  return o;
}

// kLeast with these overrides.
Outcome With(const std::vector<std::string>& overrides, int64_t world_size = 1) {
  return ReadSources({.path = FileWith(kLeast, "a.yaml"), .deepspeed_path = "", .overrides = overrides}, world_size);
}

// kLeast with a DeepSpeed file.
Outcome WithDeepSpeed(const std::string& json, int64_t world_size = 1) {
  return ReadSources({.path = FileWith(kLeast, "a.yaml"), .deepspeed_path = FileWith(json, "ds.json"), .overrides = {}},
                     world_size);
}

TEST(RunConfig, EveryPresetIsWhole) {
  int num_presets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("configs")) {
    for (const int64_t world_size : {2, 4}) {
      const Outcome o = ReadSources({.path = entry.path().string(), .deepspeed_path = "", .overrides = {}}, world_size);
      EXPECT_EQ(o.error, "");
      EXPECT_THAT(o.report.notices, ElementsAre());
      EXPECT_TRUE(RefuseUnbuilt(o.config, o.report).ok()) << entry.path();
    }
    ++num_presets;
  }
  EXPECT_GE(num_presets, 2);
}

TEST(RunConfig, FillsInWhatFollows) {
  const Outcome o = With({"train_batch_size=8", "scheduler.type=cosine"}, 2);
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.config.train_micro_batch_size_per_gpu, 4);
  EXPECT_EQ(o.config.gradient_accumulation_steps, 1);
  EXPECT_EQ(o.config.model.num_key_value_heads, 4);
  EXPECT_EQ(o.config.model.head_dim, 16);
  EXPECT_EQ(o.config.model.attention_bias, false);
  EXPECT_EQ(o.config.scheduler.params.total_num_steps, 10);
  EXPECT_EQ(o.config.gradient_clipping, 1.0);
  EXPECT_THAT(o.report.notices, ElementsAre());
}

TEST(RunConfig, ResolvedDumpReadsBackTheSame) {
  const Outcome first = ReadSources(
      {.path = "configs/tiny.yaml", .deepspeed_path = "", .overrides = {"bf16.enabled=true", "precision=null"}}, 2);
  ASSERT_EQ(first.error, "");
  const std::string text = WriteConfig(first.config);
  const Outcome second = ReadSources({.path = FileWith(text, "config.yaml"), .deepspeed_path = "", .overrides = {}}, 2);
  ASSERT_EQ(second.error, "") << text;
  EXPECT_EQ(WriteConfig(second.config), text);
  EXPECT_THAT(text, HasSubstr("precision: bf16\n"));
}

TEST(RunConfig, ReportsEverySemanticMistakeAtOnce) {
  const std::string text = R"(
steps: -1
seed: -2
precision: bf16
bf16: {enabled: false}
gradient_clipping: -0.5
model:
  vocab_size: 272
  hidden_size: 65
  intermediate_size: 172
  num_attention_heads: 4
  num_key_value_heads: 3
  rope_scaling: {rope_type: llama3, factor: 0.5}
data: {sequence_length: 0}
train_batch_size: 9
optimizer:
  params: {lr: 0, betas: [0.9, 1.0], eps: -1}
scheduler: {type: linear, params: {warmup_type: log}}
zero_optimization: {stage: 4}
checkpoint: {every: -5}
)";
  EXPECT_EQ(ReadSources({.path = FileWith(text, "a.yaml"), .deepspeed_path = "", .overrides = {}}, 2).error,
            "output: not given; name the folder of the run\n"
            "a.yaml:2: steps: expected a positive number, got -1\n"
            "a.yaml:3: seed: expected 0 or more, got -2\n"
            "a.yaml:4: precision: contradicts bf16.enabled: false (a.yaml:5); keep one of the two\n"
            "a.yaml:6: gradient_clipping: expected 0 or more, got -0.5\n"
            "a.yaml:7: model.num_hidden_layers: expected a positive number; it is not given, nor is model.path\n"
            "a.yaml:9: model.hidden_size: 65 does not divide into num_attention_heads, 4; give head_dim or change one "
            "of them\n"
            "a.yaml:12: model.num_key_value_heads: expected a divisor of num_attention_heads, 4, got 3\n"
            "a.yaml:13: model.rope_scaling.factor: expected at least 1, got 0.5\n"
            "a.yaml:13: model.rope_scaling.low_freq_factor: not given; rope_type llama3 needs it\n"
            "a.yaml:13: model.rope_scaling.high_freq_factor: not given; rope_type llama3 needs it\n"
            "a.yaml:13: model.rope_scaling.original_max_position_embeddings: not given; rope_type llama3 needs it\n"
            "a.yaml:14: data.path: not given; name a token store written by `weft data prepare`, or several in "
            "data.sources\n"
            "a.yaml:14: data.sequence_length: expected a positive number, got 0\n"
            "a.yaml:15: train_batch_size: 9 is not train_micro_batch_size_per_gpu 4 (derived) * "
            "gradient_accumulation_steps 1 "
            "(derived) * 2 data-parallel replicas\n"
            "a.yaml:17: optimizer.params.lr: expected a positive number, got 0\n"
            "a.yaml:17: optimizer.params.betas: expected numbers in [0, 1), got 1\n"
            "a.yaml:17: optimizer.params.eps: expected a positive number, got -1\n"
            "a.yaml:18: scheduler.params.warmup_type: is not a parameter of linear\n"
            "a.yaml:19: zero_optimization.stage: expected 0, 1, 2 or 3, got 4\n"
            "... and 1 more");
}

TEST(RunConfig, NearestNamesAndPlacesOfUnknownKeys) {
  EXPECT_EQ(With({"train_batch_size=8", "optimizer.params.weight_dekay=1"}).error,
            "--set optimizer.params.weight_dekay=1: optimizer.params.weight_dekay: unknown key; did you mean "
            "'weight_decay'?");
  EXPECT_EQ(With({"train_batch_size=8", "lr=1"}).error,
            "--set lr=1: lr: unknown key; did you mean 'optimizer.params.lr'?");
}

TEST(RunConfig, OneStoreOrSeveralSources) {
  const std::string two = "data={sequence_length: 64, sources: [{path: a.h5, weight: 3}, {path: b.h5}]}";
  const Outcome o = With({"train_batch_size=8", two});
  ASSERT_EQ(o.error, "");
  ASSERT_EQ(o.config.data.AllSources().size(), 2u);
  EXPECT_EQ(o.config.data.AllSources()[0].weight, 3);
  EXPECT_EQ(o.config.data.AllSources()[1].weight, 1);
  EXPECT_EQ(With({"train_batch_size=8", two, "data.sources.1.weight=2"}).config.data.sources.at(1).weight, 2);
  EXPECT_EQ(With({"train_batch_size=8"}).config.data.AllSources().size(), 1u);
  EXPECT_EQ(With({"train_batch_size=8", two, "data.path=c.h5", "data.sources.0.weight=0", "data.sources.1.path=''"}).error,
            StrCat("--set data.path=c.h5: data.path: is given, and data.sources too (--set ", two, "); keep one of the two\n"
                   "--set data.sources.0.weight=0: data.sources.0.weight: expected a number from 1 to 1000000, got 0\n"
                   "--set data.sources.1.path='': data.sources.1.path: not given; name a token store written by `weft data prepare`"));
}

TEST(RunConfig, RanksMustDivide) {
  EXPECT_EQ(With({"train_batch_size=8", "parallel.tp=3"}, 4).error,
            "--set parallel.tp=3: parallel: pp 1 * tp 3 does not divide the number of ranks, 4");
}

TEST(RunConfig, WhatBecomesOfBadSteps) {
  const BadStepSection unless_asked = With({"train_batch_size=8"}).config.bad_step;
  EXPECT_EQ(unless_asked.action, OnBadStep::kStop);
  EXPECT_EQ(unless_asked.spike_factor, 0);
  const Outcome o = With({"train_batch_size=8", "bad_step={action: roll_back, spike_factor: 2.5, window: 20, limit: 3}", "checkpoint.every=5"});
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.config.bad_step.action, OnBadStep::kRollBack);
  EXPECT_EQ(o.config.bad_step.spike_factor, 2.5);
  EXPECT_EQ(o.config.bad_step.window, 20);
  EXPECT_EQ(o.config.bad_step.limit, 3);
  EXPECT_EQ(With({"train_batch_size=8", "bad_step={spike_factor: 1, window: 0, limit: 0}"}).error,
            "--set bad_step={spike_factor: 1, window: 0, limit: 0}: bad_step.spike_factor: expected 0 or more than 1, got 1\n"
            "--set bad_step={spike_factor: 1, window: 0, limit: 0}: bad_step.window: expected a number from 1 to 65536, got 0\n"
            "--set bad_step={spike_factor: 1, window: 0, limit: 0}: bad_step.limit: expected a positive number, got 0");
  EXPECT_THAT(With({"train_batch_size=8", "bad_step.action=rollback"}).error, HasSubstr("expected one of stop, skip, roll_back"));
  EXPECT_THAT(With({"train_batch_size=8", "bad_step.action=roll_back"}).error,
              HasSubstr("--set bad_step.action=roll_back: bad_step.action: roll_back goes back to the newest checkpoint, and checkpoint.every is 0"));
}

TEST(RunConfig, AModelFolderBringsItsOwnShape) {
  const Outcome both = With({"train_batch_size=8", "model.path=m"});
  EXPECT_EQ(both.error, "");
  EXPECT_THAT(both.report.notices, testing::Contains(HasSubstr("the other keys of the section model are not used")));
  const Outcome alone = With({"train_batch_size=8", "model={path: m}"});
  EXPECT_EQ(alone.error, "");
  EXPECT_THAT(alone.report.notices, testing::Not(testing::Contains(HasSubstr("section model"))));
}

TEST(RunConfig, SlidingWindowsCountWhereTheyAreShort) {
  EXPECT_EQ(With({"train_batch_size=8", "model.sliding_window=32"}).error, "") << "llama has none";
  EXPECT_EQ(With({"train_batch_size=8", "model.model_type=mistral", "model.sliding_window=64"}).error, "");
  EXPECT_THAT(With({"train_batch_size=8", "model.model_type=mistral", "model.sliding_window=63"}).error,
              HasSubstr("model.sliding_window: cannot be honoured: 63 is less than data.sequence_length, 64"));
}

TEST(RunConfig, RotaryPositionsAsTransformers5SpellsThem) {
  const Outcome newer = With({"train_batch_size=8", "model.dtype=bfloat16",
                              "model.rope_parameters={rope_type: linear, factor: 2, rope_theta: 5000}"});
  const Outcome older = With({"train_batch_size=8", "model.torch_dtype=bfloat16", "model.rope_theta=5000",
                              "model.rope_scaling={type: linear, factor: 2}"});
  EXPECT_EQ(newer.error, "");
  EXPECT_EQ(WriteConfig(newer.config), WriteConfig(older.config));
  EXPECT_EQ(newer.config.model.rope_theta, 5000);
}

// --- DeepSpeed's spellings -------------------------------------------------------------------------------------------

TEST(RunConfig, DeepSpeedPrecision) {
  EXPECT_EQ(WithDeepSpeed(R"({"train_batch_size": 8, "bf16": {"enabled": true}})").config.precision, Precision::kBf16);
  EXPECT_EQ(WithDeepSpeed(R"({"train_batch_size": 8, "bfloat16": {"enabled": true}})").config.precision,
            Precision::kBf16);
  EXPECT_EQ(WithDeepSpeed(R"({"train_batch_size": 8, "fp16": {"enabled": true}})").config.precision, Precision::kFp16);
  EXPECT_EQ(WithDeepSpeed(R"({"train_batch_size": 8, "fp16": {"enabled": "auto"}, "bf16": {"enabled": false}})")
                .config.precision,
            Precision::kF32);
  EXPECT_EQ(
      WithDeepSpeed("{\"train_batch_size\": 8,\n\"fp16\": {\"enabled\": true},\n\"bf16\": {\"enabled\": true}}").error,
      "ds.json:2: fp16.enabled: contradicts bf16.enabled (ds.json:3); keep one of the two");
  EXPECT_EQ(With({"train_batch_size=8", "precision=f32", "bf16.enabled=true"}).error,
            "--set precision=f32: precision: contradicts bf16.enabled (--set bf16.enabled=true); keep one of the two");
  EXPECT_EQ(With({"train_batch_size=8", "precision=fp8", "bf16.enabled=true"}).config.precision, Precision::kFp8);
}

TEST(RunConfig, DeepSpeedRecomputeOffloadAndPrinting) {
  const Outcome o = WithDeepSpeed(R"({"train_batch_size": 8, "steps_per_print": 5, "gradient_clipping": 0.5,
      "activation_checkpointing": {"partition_activations": false}, 
      "zero_optimization": {"stage": 2, "cpu_offload": true}})");
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.config.recompute, Recompute::kBlock);
  EXPECT_THAT(o.report.notices, Contains("ds.json:2: activation_checkpointing: taken as recompute: block"));
  EXPECT_EQ(o.config.logging.every, 5);
  EXPECT_EQ(o.config.gradient_clipping, 0.5);
  EXPECT_EQ(o.config.zero_optimization.offload_optimizer.device, OffloadDevice::kCpu);
}

TEST(RunConfig, WhatIsNotBuiltIsRefusedByKey) {
  const Outcome o = WithDeepSpeed(R"({"train_batch_size": 8,
      "zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}}})");
  ASSERT_EQ(o.error, "");
  const Status unbuilt = RefuseUnbuilt(o.config, o.report);
  EXPECT_EQ(Short(std::string(unbuilt.message())),
            "ds.json:2: zero_optimization.offload_param.device: not built yet; write none");
}

TEST(RunConfig, DeepSpeedClippingThatIsNotGivenIsTold) {
  EXPECT_THAT(
      WithDeepSpeed(R"({"train_batch_size": 8})").report.notices,
      ElementsAre(StartsWith("ds.json: gradient_clipping: not given; 1 is taken, as DeepSpeed does since June 2026")));
}

TEST(RunConfig, DeepSpeedAuto) {
  EXPECT_EQ(
      WithDeepSpeed("{\"train_batch_size\": 8,\n\"optimizer\": {\"type\": \"AdamW\",\n\"params\": {\"lr\": \"auto\"}}}")
          .error,
      "ds.json:3: optimizer.params.lr: auto asks for a value from elsewhere, and none is there; give it in CONFIG or "
      "with --set");
  const Outcome o = WithDeepSpeed(R"({"train_batch_size": 8, "optimizer": {"params": {"lr": 0.25, "betas": "auto"}},
      "scheduler": {"type": "WarmupDecayLR", 
      "params": {"warmup_max_lr": "auto", "total_num_steps": "auto", "warmup_num_steps": 4}}})");
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.config.scheduler.params.warmup_max_lr, 0.25);
  EXPECT_EQ(o.config.scheduler.params.total_num_steps, 10);
}

// --set against what a DeepSpeed file says by its own names: an error that says how, never a setting that is lost.
TEST(RunConfig, OverridesOfWhatDeepSpeedCallsOtherwise) {
  const auto read = [](const std::string& json, const std::vector<std::string>& overrides) {
    return ReadSources({.path = FileWith(kLeast, "a.yaml"), .deepspeed_path = FileWith(json, "ds.json"), .overrides = overrides});
  };
  const std::string bf16 = R"({"train_batch_size": 8, "bf16": {"enabled": true}})";
  EXPECT_EQ(read(bf16, {"precision=f32"}).error,
            "--set precision=f32: precision: contradicts bf16.enabled (ds.json:1); keep one of the two "
            "(--set bf16.enabled=null takes the other back)");
  const Outcome f32 = read(bf16, {"precision=f32", "bf16.enabled=null"});
  EXPECT_EQ(f32.error, "");
  EXPECT_EQ(f32.config.precision, Precision::kF32);
  EXPECT_EQ(read(bf16, {"bf16.enabled=false"}).config.precision, Precision::kF32);
  const std::string printing = R"({"train_batch_size": 8, "steps_per_print": 10})";
  EXPECT_THAT(read(printing, {"logging.every=5"}).error, HasSubstr("(--set steps_per_print=null takes the other back)"));
  EXPECT_EQ(read(printing, {"logging.every=5", "steps_per_print=null"}).config.logging.every, 5);
}

TEST(RunConfig, OverridesOfARateThatTheSchedulerDoesNotLookAt) {
  const auto read = [](const std::string& scheduler, const std::vector<std::string>& overrides) {
    const std::string json = StrCat(R"({"train_batch_size": 8, "optimizer": {"params": {"lr": 0.25}}, "scheduler": )", scheduler, "}");
    return ReadSources({.path = FileWith(kLeast, "a.yaml"), .deepspeed_path = FileWith(json, "ds.json"), .overrides = overrides});
  };
  const std::string warmup = R"({"type": "WarmupLR", "params": {"warmup_max_lr": 0.5, "warmup_num_steps": 4}})";
  EXPECT_EQ(read(warmup, {"optimizer.params.lr=0.125"}).error,
            "--set optimizer.params.lr=0.125: optimizer.params.lr: counts for nothing: the scheduler's rate is "
            "scheduler.params.warmup_max_lr (ds.json:1), 0.5; --set that instead");
  EXPECT_EQ(read(warmup, {"optimizer.params.lr=0.5"}).error, "");
  EXPECT_EQ(read(warmup, {"optimizer.params.lr=0.125", "scheduler.params.warmup_max_lr=0.125"}).error, "");
  EXPECT_THAT(read(warmup, {}).report.notices, Contains(StartsWith("ds.json:1: optimizer.params.lr: counts for nothing")));
  // Their default is not the optimizer's rate either.
  EXPECT_THAT(read(R"({"type": "WarmupDecayLR", "params": {"warmup_num_steps": 4, "total_num_steps": 10}})", {"optimizer.params.lr=0.125"}).error,
              HasSubstr("the scheduler's rate is scheduler.params.warmup_max_lr, 0.001; --set that instead"));
  EXPECT_THAT(read(R"({"type": "OneCycle", "params": {"cycle_min_lr": 0.1, "cycle_max_lr": 0.2, "cycle_momentum": false}})", {"optimizer.params.lr=0.125"}).error,
              HasSubstr("scheduler.params.cycle_max_lr (ds.json:1), 0.2; --set that instead"));
  const Outcome taken = read(R"({"type": "WarmupLR", "params": {"warmup_num_steps": 4}})", {"optimizer.params.lr=0.125"});
  EXPECT_EQ(taken.error, "");
  EXPECT_EQ(taken.config.scheduler.params.warmup_max_lr, 0.125);
}

TEST(RunConfig, DeepSpeedKeysThatCannotBeHonoured) {
  const std::map<std::string, std::string> cases = {
      {R"("optimizer": {"type": "Lamb"})", "optimizer.type: expected one of AdamW, Adam, got \"Lamb\""},
      {R"("optimizer": {"params": {"max_grad_norm": 1}})",
       "optimizer.params.max_grad_norm: cannot be honoured: write gradient_clipping"},
      {R"("optimizer": {"params": {"bias_correction": false}})",
       "optimizer.params.bias_correction: only true can be honoured"},
      {R"("amp": {"enabled": true})", "amp: cannot be honoured: write precision"},
      {R"("gradient_allreduce_op": "sum")", "gradient_allreduce_op: only mean can be honoured"},
      {R"("data_types": {"grad_accum_dtype": "bf16"})", "data_types.grad_accum_dtype: only fp32 can be honoured"},
      {R"("zero_optimization": true)", "zero_optimization: expected a section, got 'true'"},
      {R"("zero_optimization": {"zenflow": {"topk_ratio": 0.1}})", "zero_optimization.zenflow: cannot be honoured"},
      {R"("zero_optimization": {"zero_hpz_partition_size": 8})",
       "zero_optimization.zero_hpz_partition_size: only 1 can be"},
      {R"("zero_optimization": {"satge": 1})", "zero_optimization.satge: unknown key; did you mean 'stage'?"},
      {R"("zero_optimization": {"max_live_parameters": 1, "stage3_max_live_parameters": 2})",
       "is another name of stage3_max_live"},
      {R"("compression_training": {"weight_quantization": {"shared_parameters": {"enabled": true}}})",
       "compression_training: cannot"},
      {R"("tensor_parallel": {"autotp_size": 4})", "tensor_parallel: cannot be honoured: write parallel.tp"},
      {R"("elasticity": {"enabled": true})", "elasticity: cannot be honoured"},
  };
  for (const auto& [json, error] : cases) {
    EXPECT_THAT(WithDeepSpeed(StrCat(R"({"train_batch_size": 8, )", json, "}")).error, StartsWith("ds.json:1: "));
    EXPECT_THAT(WithDeepSpeed(StrCat(R"({"train_batch_size": 8, )", json, "}")).error, HasSubstr(error));
  }
}

// --- Real files ------------------------------------------------------------------------------------------------------

// Why a real DeepSpeed file must be refused, by its text alone; empty: it must be accepted.
std::vector<std::string> ReasonsToRefuse(const ConfigNode& root) {
  std::vector<std::string> reasons;
  for (const char* key : {"compression_training", "data_efficiency", "sparse_attention"}) {
    if (root.Find(key) != nullptr) reasons.push_back(StrCat(key, ": cannot be honoured"));
  }
  if (root.Find("cuda_visible_devices") != nullptr) reasons.push_back("cuda_visible_devices: unknown key");
  const ConfigNode* optimizer = root.Find("optimizer");
  if (optimizer != nullptr) {
    const ConfigNode* type = optimizer->Find("type");
    if (type->text != "Adam" && type->text != "AdamW") reasons.push_back("optimizer.type: expected one of AdamW, Adam");
    const ConfigNode* params = optimizer->Find("params");
    const ConfigNode* lr = params == nullptr ? nullptr : params->Find("lr");
    const ConfigNode* correction = params == nullptr ? nullptr : params->Find("bias_correction");
    if (correction != nullptr && correction->text == "false")
      reasons.push_back("optimizer.params.bias_correction: only true");
    if (lr != nullptr && lr->text == "auto" && reasons.empty()) {  // found only in files whose single keys are all fine
      reasons.push_back("optimizer.params.lr: auto asks for a value");
    }
  }
  return reasons;
}

// The number of data-parallel ranks for which the file's batch sizes are whole.
int64_t RanksFor(const ConfigNode& root) {
  const auto number = [&root](const char* key) {
    const ConfigNode* node = root.Find(key);
    return node == nullptr || node->text == "auto" ? int64_t{0} : std::stoll(node->text);
  };
  const int64_t train = number("train_batch_size"), micro = number("train_micro_batch_size_per_gpu");
  const int64_t accumulation = number("gradient_accumulation_steps");
  return train > 0 && micro > 0 && accumulation > 0 ? train / micro / accumulation : 1;
}

TEST(RunConfig, RealDeepSpeedFilesAreAcceptedOrRefusedByKey) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  std::map<std::string, int> counts;
  int num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(StrCat(fixtures, "/configs/deepspeed"))) {
    if (!entry.is_regular_file()) continue;
    ++num_files;
    const std::string path = entry.path().string();
    SCOPED_TRACE(path);
    const StatusOr<ConfigTree> tree = ReadConfigTree({.path = path, .deepspeed_path = "", .overrides = {}});
    ASSERT_TRUE(tree.ok()) << tree.status().message();
    ASSERT_TRUE(tree->errors.empty());
    const std::vector<std::string> reasons = ReasonsToRefuse(tree->root);
    // Files whose batch sizes are all "auto" take ours, as they take Hugging Face's command line.
    std::string least = kLeast;
    const ConfigNode* train = tree->root.Find("train_batch_size");
    const ConfigNode* micro = tree->root.Find("train_micro_batch_size_per_gpu");
    const bool has_batch = (train != nullptr && train->text != "auto") || (micro != nullptr && micro->text != "auto");
    if (!has_batch) least += "train_batch_size: 8\n";
    const Outcome o =
        ReadSources({.path = FileWith(least, "a.yaml"), .deepspeed_path = path, .overrides = {}}, RanksFor(tree->root));
    if (reasons.empty()) {
      EXPECT_EQ(o.error, "");
      ++counts["accepted"];
      continue;
    }
    for (const std::string& reason : reasons) {
      EXPECT_THAT(o.error, HasSubstr(reason));
      EXPECT_THAT(o.error, HasSubstr(StrCat(entry.path().filename().string(), ":")));
    }
    ++counts[reasons[0]];
  }
  EXPECT_EQ(num_files, 59);
  for (const auto& [outcome, count] : counts) std::cout << count << " " << outcome << "\n";
}

TEST(RunConfig, TemplatesThatAreNotJsonAreRefused) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  int num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(StrCat(fixtures, "/configs/deepspeed/notjson"))) {
    const Outcome o =
        ReadSources({.path = FileWith(kLeast, "a.yaml"), .deepspeed_path = entry.path().string(), .overrides = {}});
    EXPECT_THAT(o.error, HasSubstr(entry.path().filename().string()));
    ++num_files;
  }
  EXPECT_EQ(num_files, 3);
}

constexpr char kGpt2[] = R"(
output: x
steps: 1
train_batch_size: 1
data: {path: t, sequence_length: 64}
model: {model_type: gpt2, vocab_size: 512, n_embd: 64, n_layer: 2, n_head: 4, n_positions: 64, n_ctx: 64, n_inner: null,
        layer_norm_epsilon: 1.0e-5, activation_function: gelu_new, attn_pdrop: 0.1, scale_attn_weights: true}
)";

TEST(RunConfig, SpeaksGpt2sKeys) {
  const Outcome o = ReadSources({.path = FileWith(kGpt2, "a.yaml"), .deepspeed_path = "", .overrides = {}});
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.config.model.hidden_size, 64);
  EXPECT_EQ(o.config.model.intermediate_size, 256);
  EXPECT_EQ(o.config.model.max_position_embeddings, 64);
  EXPECT_EQ(o.config.model.tie_word_embeddings, true);
  EXPECT_EQ(o.config.model.head_dim, 16);
  const std::string text = WriteConfig(o.config);
  const Outcome again = ReadSources({.path = FileWith(text, "b.yaml"), .deepspeed_path = "", .overrides = {}});
  ASSERT_EQ(again.error, "") << text;
  EXPECT_EQ(WriteConfig(again.config), text);
}

TEST(RunConfig, RefusesWhatGpt2HasNotAndWhatItAloneHas) {
  const auto error_with = [](const std::string& key) {
    return ReadSources({.path = FileWith(kGpt2, "a.yaml"), .deepspeed_path = "", .overrides = {"model." + key}}).error;
  };
  EXPECT_THAT(error_with("rms_norm_eps=1e-6"), HasSubstr("model.rms_norm_eps: gpt2 has layer norms"));
  EXPECT_THAT(error_with("activation_function=relu"), HasSubstr("model.activation_function: expected gelu_new"));
  EXPECT_THAT(error_with("num_key_value_heads=2"), HasSubstr("model.num_key_value_heads: gpt2 has as many"));
  EXPECT_THAT(error_with("head_dim=32"), HasSubstr("model.head_dim: gpt2's is hidden_size / num_attention_heads"));
  EXPECT_THAT(error_with("scale_attn_by_inverse_layer_idx=true"), HasSubstr("model.scale_attn_by_inverse_layer_idx"));
  EXPECT_THAT(With({"train_batch_size=8", "model.layer_norm_epsilon=1e-5"}).error, HasSubstr("model.layer_norm_epsilon: is gpt2's"));
}

TEST(RunConfig, HuggingFaceConfigsStandAsTheModelSection) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"Llama-3.1-8B-Instruct", ""},
      {"Llama-3.2-3B-base", ""},
      {"Qwen2-1.5B-Instruct-finetune", ""},
      {"Qwen2.5-3B-base", ""},
      {"Qwen2.5-7B-Instruct", ""},
      {"Qwen3-8B-base", ""},
      {"Qwen3-14B-base", ""},
      {"Qwen3-30B-A3B-base", "model.model_type: expected one of llama, qwen2, qwen3, mistral, gpt2, got \"qwen3_moe\""},
      {"DeepSeek-V3", "model.model_type: expected one of llama, qwen2, qwen3, mistral, gpt2, got \"deepseek_v3\""},
  };
  for (const auto& [name, error] : cases) {
    std::ifstream file(StrCat(fixtures, "/configs/hf/", name, ".json"));
    const std::string json((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    ASSERT_FALSE(json.empty()) << name;
    const std::string text =
        "output: x\nsteps: 1\ntrain_batch_size: 1\ndata: {path: t, sequence_length: 64}\nmodel:\n" + json;
    const Outcome o = ReadSources({.path = FileWith(text, "a.yaml"), .deepspeed_path = "", .overrides = {}});
    if (error.empty()) {
      EXPECT_EQ(o.error, "") << name;
    } else {
      EXPECT_THAT(o.error, HasSubstr(error)) << name;
    }
  }
}

}  // namespace
}  // namespace weft
