// Rates of cuDNN's fused attention (scaled dot product, causal, grouped queries, bf16), forward and backward, through
// the cudnn-frontend graph interface: dense batches, and documents packed into one row of T tokens ("ragged" layout).
//
// A packed batch has dims [B, heads, S, Q] with B document slots and S the longest length a plan allows; document b
// starts at element ragged_offset[b] = token_start[b] * token_stride, and has seq_len[b] tokens (0 for an unused slot).
// Source: cuDNN developer guide and cudnn-frontend's Attention page; FLOPs are 4 Q H sum(length^2) / 2 forward and 2.5
// times that backward (FlashAttention-2, Dao 2023), the causal half only.
#include "bench/cuda/floor_attention_reference.h"

// The frontend would bring its own copy of nlohmann-json, of another version than ours.
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cudnn_frontend.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/cuda/floor_measure.h"

namespace weft::floors {
namespace {

namespace fe = cudnn_frontend;
using nlohmann::ordered_json;
using TensorPtr = std::shared_ptr<fe::graph::Tensor_attributes>;

constexpr int64_t kMaxWorkspaceBytes = int64_t{48} << 30;

struct HeadShape {
  const char* model;
  int heads, kv_heads, head_dim;
};

struct AttentionCase {
  const char* name;
  std::vector<int> lengths;  // of the documents; their sum is T
  int num_slots;             // B: documents the plan has room for
  int max_length;            // S
  bool ragged = true;
  bool fused_qkv = false;       // q, k, v are slices of one [T, (H + 2 K) Q] tensor, and their gradients likewise
  bool ragged_stats = true;     // softmax statistics [T, H]; else [B, H, S]
  bool total_length = true;     // tell the backward T, which sizes its workspace
  bool deterministic = false;
};

void CheckCudnn(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::fprintf(stderr, "%s: %s\n", what, cudnnGetErrorString(status));
  std::exit(1);
}

enum Uid : int64_t { kQ = 1, kK, kV, kO, kStats, kDO, kDQ, kDK, kDV, kSeqLenQ, kSeqLenKv, kFirstOffset };

// The device memory of one case: tensors, statistics, lengths and ragged offsets.
class AttentionMemory {
 public:
  AttentionMemory(const HeadShape& shape, const AttentionCase& c) : shape_(shape), case_(c) {
    starts_.push_back(0);
    for (const int length : c.lengths) starts_.push_back(starts_.back() + length);
    const int64_t q_dim = shape.heads * shape.head_dim, kv_dim = shape.kv_heads * shape.head_dim;
    tensors_.heads = shape.heads;
    tensors_.kv_heads = shape.kv_heads;
    tensors_.head_dim = shape.head_dim;
    tensors_.o_stride = q_dim;
    tensors_.q_stride = c.fused_qkv ? q_dim + 2 * kv_dim : q_dim;
    tensors_.kv_stride = c.fused_qkv ? q_dim + 2 * kv_dim : kv_dim;
    AllocateQkv(&tensors_.q, &tensors_.k, &tensors_.v, 1);
    AllocateQkv(&tensors_.dq, &tensors_.dk, &tensors_.dv, 0);
    tensors_.o = Allocate(num_tokens() * q_dim, 0);
    tensors_.d_o = Allocate(num_tokens() * q_dim, 2);
    const int64_t stats_rows = c.ragged && c.ragged_stats ? num_tokens() : int64_t{c.num_slots} * c.max_length;
    owned_.push_back(std::make_unique<DeviceBuffer>(stats_rows * shape.heads * sizeof(float)));
    stats_ = owned_.back()->data();
    std::vector<int32_t> lengths = c.lengths;
    lengths.resize(c.num_slots, 0);
    seq_lens_ = Upload(lengths);
  }

  // Ragged offsets [B + 1] for tensors of this token stride, in elements.
  void* OffsetsFor(int64_t token_stride) {
    if (offsets_.count(token_stride) == 0) {
      std::vector<int32_t> offsets;
      for (int slot = 0; slot <= case_.num_slots; ++slot) {
        const int start = slot < static_cast<int>(starts_.size()) ? starts_[slot] : starts_.back();
        offsets.push_back(static_cast<int32_t>(start * token_stride));
      }
      offsets_[token_stride] = Upload(offsets);
    }
    return offsets_[token_stride];
  }

  // Outputs become not-a-number until a kernel writes them.
  void Poison() {
    for (const DeviceBuffer* buffer : outputs_) FLOORS_CUDA(cudaMemset(buffer->data(), 0xff, buffer->num_bytes()));
  }

  int64_t num_tokens() const { return starts_.back(); }
  const std::vector<int>& starts() const { return starts_; }
  const AttentionTensors& tensors() const { return tensors_; }
  void* stats() const { return stats_; }
  void* seq_lens() const { return seq_lens_; }

 private:
  // seed 0: an output.
  __nv_bfloat16* Allocate(int64_t count, uint64_t seed) {
    owned_.push_back(std::make_unique<DeviceBuffer>(count * 2));
    if (seed == 0) {
      outputs_.push_back(owned_.back().get());
    } else {
      FillNormal(owned_.back()->data(), CUDA_R_16BF, count, seed, 1);
    }
    return reinterpret_cast<__nv_bfloat16*>(owned_.back()->data());
  }

  void AllocateQkv(__nv_bfloat16** q, __nv_bfloat16** k, __nv_bfloat16** v, uint64_t seed) {
    const int64_t q_dim = shape_.heads * shape_.head_dim, kv_dim = shape_.kv_heads * shape_.head_dim;
    if (case_.fused_qkv) {
      *q = Allocate(num_tokens() * (q_dim + 2 * kv_dim), seed);
      *k = *q + q_dim;
      *v = *k + kv_dim;
      return;
    }
    *q = Allocate(num_tokens() * q_dim, seed);
    *k = Allocate(num_tokens() * kv_dim, seed == 0 ? 0 : seed + 10);
    *v = Allocate(num_tokens() * kv_dim, seed == 0 ? 0 : seed + 20);
  }

  void* Upload(const std::vector<int32_t>& host) {
    owned_.push_back(std::make_unique<DeviceBuffer>(host.size() * sizeof(int32_t)));
    FLOORS_CUDA(cudaMemcpy(owned_.back()->data(), host.data(), host.size() * sizeof(int32_t), cudaMemcpyHostToDevice));
    return owned_.back()->data();
  }

  HeadShape shape_;
  AttentionCase case_;
  std::vector<int> starts_;
  AttentionTensors tensors_ = {};
  std::vector<std::unique_ptr<DeviceBuffer>> owned_;
  std::vector<const DeviceBuffer*> outputs_;
  std::map<int64_t, void*> offsets_;
  void* stats_ = nullptr;
  void* seq_lens_ = nullptr;
};

// One cuDNN graph (forward or backward) with the pointers it runs on.
class AttentionGraph {
 public:
  AttentionGraph(const HeadShape& shape, const AttentionCase& c, AttentionMemory& memory)
      : shape_(shape), case_(c), memory_(memory) {
    graph_.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }

  void AddForward() {
    const AttentionTensors& t = memory_.tensors();
    auto options = fe::graph::SDPA_attributes().set_name("attention").set_generate_stats(true);
    SetMask(options);
    auto [o, stats] = graph_.sdpa(Input(kQ, t.q, shape_.heads, t.q_stride),
                                  Input(kK, t.k, shape_.kv_heads, t.kv_stride),
                                  Input(kV, t.v, shape_.kv_heads, t.kv_stride), options);
    Describe(*o, kO, t.o, shape_.heads, t.o_stride);
    o->set_output(true);
    DescribeStats(*stats);
    stats->set_output(true);
  }

  void AddBackward() {
    const AttentionTensors& t = memory_.tensors();
    auto options = fe::graph::SDPA_backward_attributes().set_name("attention_backward");
    SetMask(options);
    options.set_deterministic_algorithm(case_.deterministic);
    if (case_.ragged && case_.total_length) {
      options.set_max_total_seq_len_q(memory_.num_tokens()).set_max_total_seq_len_kv(memory_.num_tokens());
    }
    fe::graph::Tensor_attributes stats;
    DescribeStats(stats);
    auto [dq, dk, dv] = graph_.sdpa_backward(
        Input(kQ, t.q, shape_.heads, t.q_stride), Input(kK, t.k, shape_.kv_heads, t.kv_stride),
        Input(kV, t.v, shape_.kv_heads, t.kv_stride), Input(kO, t.o, shape_.heads, t.o_stride),
        Input(kDO, t.d_o, shape_.heads, t.o_stride), graph_.tensor(stats), options);
    Describe(*dq, kDQ, t.dq, shape_.heads, t.q_stride);
    Describe(*dk, kDK, t.dk, shape_.kv_heads, t.kv_stride);
    Describe(*dv, kDV, t.dv, shape_.kv_heads, t.kv_stride);
    for (const TensorPtr& gradient : {dq, dk, dv}) gradient->set_output(true);
  }

  // Empty, or why cuDNN cannot run the graph.
  std::string Build(cudnnHandle_t handle) {
    const auto start = std::chrono::steady_clock::now();
    fe::error_t error = graph_.build(handle, {fe::HeurMode_t::A});
    build_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (error.is_bad()) return error.get_message().empty() ? "error without a message" : error.get_message();
    fe::error_t size_error = graph_.get_workspace_size(workspace_bytes_);
    return size_error.is_bad() ? size_error.get_message() : "";
  }

  void Run(cudnnHandle_t handle, void* workspace) {
    fe::error_t error = graph_.execute(handle, pointers_, workspace);
    if (error.is_good()) return;
    std::fprintf(stderr, "attention execute: %s\n", error.get_message().c_str());
    std::exit(1);
  }

  // Every plan cuDNN offers for the graph: its name and microseconds, or why it does not run.
  ordered_json TimeEveryPlan(cudnnHandle_t handle) {
    fe::error_t error = graph_.build(handle, {fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}, fe::BuildPlanPolicy_t::ALL);
    if (error.is_bad()) return {{"unsupported", error.get_message()}};
    ordered_json plans = ordered_json::array();
    for (int64_t i = 0; i < graph_.get_execution_plan_count(); ++i) {
      std::string name;
      int64_t bytes = 0;
      if (graph_.get_plan_name_at_index(i, name).is_bad()) continue;
      if (graph_.get_workspace_size_plan_at_index(i, bytes).is_bad() || bytes > kMaxWorkspaceBytes) continue;
      const DeviceBuffer workspace(bytes + 256);
      fe::error_t run = graph_.execute_plan_at_index(handle, pointers_, workspace.data(), i);
      const double seconds = run.is_bad() ? 0 : MedianSeconds([&](int) {
        run = graph_.execute_plan_at_index(handle, pointers_, workspace.data(), i);
      }, 1, 5, 1);
      plans.push_back(
          {{"plan", name}, {"us", seconds * 1e6}, {"workspace_bytes", bytes}, {"problem", run.get_message()}});
    }
    return plans;
  }

  std::string PlanName() const {
    std::string name;
    return graph_.get_plan_name(name).is_good() ? name : "unknown";
  }
  int64_t workspace_bytes() const { return workspace_bytes_; }
  double build_seconds() const { return build_seconds_; }

 private:
  template <typename Options>
  void SetMask(Options& options) {
    options.set_attn_scale(1.0f / std::sqrt(static_cast<float>(shape_.head_dim)))
        .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
        .set_diagonal_band_right_bound(0);
    if (!case_.ragged) return;
    options.set_padding_mask(true).set_seq_len_q(IndexTensor(kSeqLenQ, case_.num_slots, memory_.seq_lens()));
    options.set_seq_len_kv(IndexTensor(kSeqLenKv, case_.num_slots, memory_.seq_lens()));
  }

  TensorPtr IndexTensor(int64_t uid, int64_t count, void* data) {
    pointers_[uid] = data;
    return graph_.tensor(fe::graph::Tensor_attributes()
                             .set_uid(uid)
                             .set_dim({count, 1, 1, 1})
                             .set_stride({1, 1, 1, 1})
                             .set_data_type(fe::DataType_t::INT32));
  }

  TensorPtr OffsetTensor(int64_t token_stride) {
    if (offset_tensors_.count(token_stride) == 0) {
      const int64_t uid = kFirstOffset + static_cast<int64_t>(offset_tensors_.size());
      offset_tensors_[token_stride] = IndexTensor(uid, case_.num_slots + 1, memory_.OffsetsFor(token_stride));
    }
    return offset_tensors_[token_stride];
  }

  void Describe(fe::graph::Tensor_attributes& tensor, int64_t uid, void* data, int64_t heads, int64_t token_stride) {
    pointers_[uid] = data;
    tensor.set_uid(uid)
        .set_dim({case_.num_slots, heads, case_.max_length, shape_.head_dim})
        .set_stride({case_.max_length * token_stride, shape_.head_dim, token_stride, 1})
        .set_data_type(fe::DataType_t::BFLOAT16);
    if (case_.ragged) tensor.set_ragged_offset(OffsetTensor(token_stride));
  }

  TensorPtr Input(int64_t uid, void* data, int64_t heads, int64_t token_stride) {
    fe::graph::Tensor_attributes tensor;
    Describe(tensor, uid, data, heads, token_stride);
    return graph_.tensor(tensor);
  }

  void DescribeStats(fe::graph::Tensor_attributes& tensor) {
    const int64_t heads = shape_.heads, length = case_.max_length;
    pointers_[kStats] = memory_.stats();
    tensor.set_uid(kStats).set_dim({case_.num_slots, heads, length, 1}).set_data_type(fe::DataType_t::FLOAT);
    if (case_.ragged && case_.ragged_stats) {
      tensor.set_stride({length * heads, 1, heads, 1}).set_ragged_offset(OffsetTensor(heads));
    } else {
      tensor.set_stride({length * heads, length, 1, 1});
    }
  }

  HeadShape shape_;
  AttentionCase case_;
  AttentionMemory& memory_;
  fe::graph::Graph graph_;
  std::unordered_map<int64_t, void*> pointers_;
  std::map<int64_t, TensorPtr> offset_tensors_;
  int64_t workspace_bytes_ = 0;
  double build_seconds_ = 0;
};

double ForwardFlops(const HeadShape& shape, const AttentionCase& c) {
  double pairs = 0;
  for (const double length : c.lengths) pairs += length * length / 2;
  return 4 * pairs * shape.heads * shape.head_dim;
}

ordered_json Describe(const HeadShape& shape, const AttentionCase& c) {
  return {{"what", "attention"},
          {"model", shape.model},
          {"heads", shape.heads},
          {"kv_heads", shape.kv_heads},
          {"head_dim", shape.head_dim},
          {"case", c.name},
          {"documents", c.lengths.size()},
          {"slots", c.num_slots},
          {"max_length", c.max_length},
          {"ragged", c.ragged},
          {"fused_qkv", c.fused_qkv},
          {"ragged_stats", c.ragged_stats},
          {"deterministic", c.deterministic}};
}

void AddTiming(ordered_json& line, const char* pass, const AttentionGraph& graph, RunSeconds seconds, double flops) {
  line[pass] = {{"us", seconds.sustained * 1e6},
                {"tflops", flops / seconds.sustained / 1e12},
                {"burst_us", seconds.burst * 1e6},
                {"burst_tflops", flops / seconds.burst / 1e12},
                {"workspace_bytes", graph.workspace_bytes()},
                {"build_seconds", graph.build_seconds()},
                {"plan", graph.PlanName()}};
}

// Builds, runs, checks and times one case, or says which graph is unsupported or wants too much workspace.
ordered_json MeasureCase(cudnnHandle_t handle, const HeadShape& shape, const AttentionCase& c) {
  ordered_json line = Describe(shape, c);
  AttentionMemory memory(shape, c);
  AttentionGraph forward(shape, c, memory), backward(shape, c, memory);
  forward.AddForward();
  backward.AddBackward();
  for (auto& [name, graph] : {std::pair{"forward", &forward}, std::pair{"backward", &backward}}) {
    const std::string problem = graph->Build(handle);
    if (!problem.empty()) line[std::string(name) + "_unsupported"] = problem;
    if (!problem.empty()) return line;
    line[std::string(name) + "_workspace_bytes"] = graph->workspace_bytes();
    if (graph->workspace_bytes() > kMaxWorkspaceBytes) return line;
  }
  const DeviceBuffer workspace(std::max(forward.workspace_bytes(), backward.workspace_bytes()) + 256);
  memory.Poison();
  forward.Run(handle, workspace.data());
  backward.Run(handle, workspace.data());
  const AttentionErrors errors = CheckAttention(memory.tensors(), memory.starts(), shape.kv_heads - 1);
  AddTiming(line, "forward", forward, MeasureRun([&](int) { forward.Run(handle, workspace.data()); }),
            ForwardFlops(shape, c));
  AddTiming(line, "backward", backward, MeasureRun([&](int) { backward.Run(handle, workspace.data()); }),
            2.5 * ForwardFlops(shape, c));
  line["error_o"] = errors.o;
  line["error_dq"] = errors.dq;
  line["error_dk"] = errors.dk;
  line["error_dv"] = errors.dv;
  line["non_finite"] = errors.num_non_finite;
  line["correct"] = errors.num_non_finite == 0 && errors.o < 0.02 && errors.dq < 0.02 && errors.dk < 0.02 &&
                    errors.dv < 0.02;
  return line;
}

// Whether another plan than the first choice of cuDNN's heuristics would be faster.
ordered_json ComparePlans(cudnnHandle_t handle, const HeadShape& shape, const AttentionCase& c) {
  AttentionMemory memory(shape, c);
  AttentionGraph forward(shape, c, memory), backward(shape, c, memory);
  forward.AddForward();
  backward.AddBackward();
  ordered_json line = Describe(shape, c);
  line["what"] = "attention_plans";
  line["forward"] = forward.TimeEveryPlan(handle);
  line["backward"] = backward.TimeEveryPlan(handle);
  return line;
}

std::vector<AttentionCase> Cases(bool all) {
  const std::vector<int> one = {8192}, two = {4096, 4096}, eight(8, 1024);
  const std::vector<int> mixed = {3001, 1700, 977, 800, 640, 512, 300, 150, 77, 35};
  std::vector<AttentionCase> cases = {{"dense 2x4096", two, 2, 4096, false},
                                      {"dense 1x8192", one, 1, 8192, false},
                                      {"packed 2x4096, S 8192", two, 2, 8192},
                                      {"packed mixed, 16 slots, S 8192", mixed, 16, 8192}};
  if (!all) return cases;
  cases.push_back({"packed 1x8192", one, 1, 8192});
  cases.push_back({"packed 2x4096, S 4096", two, 2, 4096});
  cases.push_back({"packed 8x1024, S 8192", eight, 8, 8192});
  cases.push_back({"packed 8x1024, S 1024", eight, 8, 1024});
  cases.push_back({"packed 2x4096, 64 slots, S 8192", two, 64, 8192});
  cases.push_back({"packed mixed, 64 slots, S 8192", mixed, 64, 8192});
  cases.push_back({"packed mixed, 16 slots, S 3072", mixed, 16, 3072});
  cases.push_back({"packed mixed, fused qkv", mixed, 16, 8192, true, true});
  cases.push_back({"packed mixed, dense stats", mixed, 16, 8192, true, false, false});
  cases.push_back({"packed mixed, total length not told", mixed, 16, 8192, true, false, true, false});
  cases.push_back({"dense 2x4096, deterministic", two, 2, 4096, false, false, true, true, true});
  cases.push_back({"packed 2x4096, S 4096, deterministic", two, 2, 4096, true, false, true, true, true});
  cases.push_back({"packed mixed, 16 slots, S 8192, deterministic", mixed, 16, 8192, true, false, true, true, true});
  return cases;
}

}  // namespace

void MeasureAttention(Report& report) {
  cudnnHandle_t handle = nullptr;
  CheckCudnn(cudnnCreate(&handle), "cudnnCreate");
  for (const HeadShape& shape : {HeadShape{"llama-8b", 32, 8, 128}, HeadShape{"llama-1b", 32, 8, 64},
                                 HeadShape{"llama-3b", 24, 8, 128}}) {
    for (const AttentionCase& c : Cases(std::string(shape.model) == "llama-8b")) {
      report.Line(MeasureCase(handle, shape, c));
    }
    report.Line(ComparePlans(handle, shape, {"packed 2x4096, S 8192", {4096, 4096}, 2, 8192}));
  }
  CheckCudnn(cudnnDestroy(handle), "cudnnDestroy");
}

}  // namespace weft::floors
