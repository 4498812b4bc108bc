// Fused attention through cuDNN's graph interface (cudnn-frontend), over packed documents: every tensor is ragged, with
// dims [documents, heads, longest document, head size], and document d begins at element offsets[d] of its memory.
//
// A graph is built at a shape's first use and kept with the stream. Shapes are few: the number of documents and the
// longest one are rounded up to powers of two, the slots left over being empty documents.
//
// On Hopper cuDNN's deterministic backward holds the scores' gradient, documents * heads * longest^2 bf16. So backward
// runs over groups of documents and of kv heads that keep it near kScoreBytes (one document and one kv head at least).
// Source: cuDNN developer guide, "Scaled dot product attention"; cudnn-frontend's node for its backward.
#include "kernels/cuda/attention_cudnn.h"

#define CUDNN_FRONTEND_SKIP_JSON_LIB  // it would bring a JSON library of its own, at odds with the one weft links
#include <cudnn_frontend.h>

#include <bit>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/container/flat_hash_map.h"
#include "core/log.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/ragged_layout.h"

namespace weft::cuda {
namespace {

namespace fe = cudnn_frontend;
using TensorPtr = std::shared_ptr<fe::graph::Tensor_attributes>;

constexpr int64_t kScoreBytes = int64_t{4} << 30;

// The tensors of a graph, and their places in a RaggedLayout.
enum Operand : int { kQ, kK, kV, kOut, kStats, kDout, kDq, kDk, kDv, kNumOperands };
static_assert(kNumOperands <= RaggedLayout::kMaxTensors);
constexpr int kNumForwardOperands = kStats + 1;

// cuDNN knows tensors by number: the lengths, the operands, their ragged offsets.
constexpr int64_t kQueryLengthsUid = 1, kKeyLengthsUid = 2;
constexpr int64_t OperandUid(int operand) { return 3 + operand; }
constexpr int64_t OffsetsUid(int operand) { return 3 + kNumOperands + operand; }

bool IsKvSide(int operand) { return operand == kK || operand == kV || operand == kDk || operand == kDv; }
bool HasQkDim(int operand) { return operand == kQ || operand == kK || operand == kDq || operand == kDk; }

// What a graph is built from.
struct GraphShape {
  bool backward = false;
  int64_t documents = 0, longest = 0;  // slots of one launch
  int64_t heads = 0, kv_heads = 0;     // of one launch
  int64_t qk_dim = 0, v_dim = 0;
  int64_t num_tokens = 0;
  std::array<int64_t, kNumOperands> token_strides = {};
  float scale = 0;

  int64_t num_heads(int operand) const { return IsKvSide(operand) ? kv_heads : heads; }
  int64_t head_dim(int operand) const { return HasQkDim(operand) ? qk_dim : v_dim; }
  int num_operands() const { return backward ? int{kNumOperands} : kNumForwardOperands; }

  bool operator==(const GraphShape&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const GraphShape& s) {
    return H::combine(std::move(h), s.backward, s.documents, s.longest, s.heads, s.kv_heads, s.qk_dim, s.v_dim,
                      s.num_tokens, s.token_strides, s.scale);
  }
};

// Puts one graph together.
class GraphBuilder {
 public:
  explicit GraphBuilder(const GraphShape& shape) : shape_(shape), graph_(std::make_unique<fe::graph::Graph>()) {
    graph_->set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }

  std::unique_ptr<fe::graph::Graph> Build() {
    shape_.backward ? AddBackward() : AddForward();
    return std::move(graph_);
  }

 private:
  void AddForward() {
    auto options = fe::graph::SDPA_attributes().set_name("attention").set_generate_stats(true);
    SetMask(options);
    auto [out, stats] = graph_->sdpa(Input(kQ), Input(kK), Input(kV), options);
    Describe(*out, kOut).set_output(true);
    Describe(*stats, kStats).set_output(true);
  }

  void AddBackward() {
    auto options = fe::graph::SDPA_backward_attributes().set_name("attention_backward");
    SetMask(options);
    options.set_deterministic_algorithm(true);
    auto [dq, dk, dv] = graph_->sdpa_backward(Input(kQ), Input(kK), Input(kV), Input(kOut), Input(kDout), Input(kStats),
                                              options);
    Describe(*dq, kDq).set_output(true);
    Describe(*dk, kDk).set_output(true);
    Describe(*dv, kDv).set_output(true);
  }

  // Causal within each document, whose length cuts off its padding.
  template <typename Options>
  void SetMask(Options& options) {
    options.set_attn_scale(shape_.scale)
        .set_padding_mask(true)
        .set_seq_len_q(Index(kQueryLengthsUid, shape_.documents, fe::DataType_t::INT32))
        .set_seq_len_kv(Index(kKeyLengthsUid, shape_.documents, fe::DataType_t::INT32))
        .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
        .set_diagonal_band_right_bound(0);
  }

  TensorPtr Index(int64_t uid, int64_t count, fe::DataType_t type) {
    return graph_->tensor(
        fe::graph::Tensor_attributes().set_uid(uid).set_dim({count, 1, 1, 1}).set_stride({1, 1, 1, 1}).set_data_type(
            type));
  }

  TensorPtr Input(Operand operand) {
    fe::graph::Tensor_attributes tensor;
    Describe(tensor, operand);
    return graph_->tensor(tensor);
  }

  // Stats are lse, [H, T] f32: its heads are num_tokens apart, its tokens 1.
  fe::graph::Tensor_attributes& Describe(fe::graph::Tensor_attributes& tensor, Operand operand) {
    const int64_t step = shape_.token_strides[operand], heads = shape_.num_heads(operand);
    tensor.set_uid(OperandUid(operand))
        .set_ragged_offset(Index(OffsetsUid(operand), shape_.documents + 1, fe::DataType_t::INT64));
    if (operand == kStats) {
      return tensor.set_dim({shape_.documents, heads, shape_.longest, 1})
          .set_stride({heads * shape_.num_tokens, shape_.num_tokens, step, 1})
          .set_data_type(fe::DataType_t::FLOAT);
    }
    const int64_t dim = shape_.head_dim(operand);
    return tensor.set_dim({shape_.documents, heads, shape_.longest, dim})
        .set_stride({shape_.longest * step, dim, step, 1})
        .set_data_type(fe::DataType_t::BFLOAT16);
  }

  const GraphShape& shape_;
  std::unique_ptr<fe::graph::Graph> graph_;
};

void CheckCudnn(fe::error_t error, const char* what) {
  WEFT_CHECK(error.is_good()) << what << ": " << error.get_message();
}

void CheckCudnn(cudnnStatus_t status, const char* what) {
  WEFT_CHECK(status == CUDNN_STATUS_SUCCESS) << what << ": " << cudnnGetErrorString(status);
}

// The cuDNN handle and graphs of one stream.
class CudnnGraphs {
 public:
  struct Graph {
    std::unique_ptr<fe::graph::Graph> graph;  // null: cuDNN refused the shape
    int64_t workspace_bytes = 0;
  };

  CudnnGraphs() { CheckCudnn(cudnnCreate(&handle_), "cudnnCreate"); }
  ~CudnnGraphs() {
    graphs_.clear();
    cudnnDestroy(handle_);
  }
  CudnnGraphs(const CudnnGraphs&) = delete;
  CudnnGraphs& operator=(const CudnnGraphs&) = delete;

  cudnnHandle_t handle() const { return handle_; }

  const Graph& For(const GraphShape& shape) {
    auto [found, is_new] = graphs_.try_emplace(shape);
    if (is_new) found->second = Make(shape);
    return found->second;
  }

 private:
  Graph Make(const GraphShape& shape) {
    Graph made{GraphBuilder(shape).Build()};
    fe::error_t error = made.graph->build(handle_, {fe::HeurMode_t::A});
    if (error.is_bad()) {
      LogWarning("cuDNN ", cudnnGetVersion(), " has no attention ", shape.backward ? "backward" : "forward", " for ",
                 shape.heads, " and ", shape.kv_heads, " heads of ", shape.qk_dim, " on this GPU (",
                 error.get_message(), "): weft's own slow kernel runs instead");
      return {};
    }
    CheckCudnn(made.graph->get_workspace_size(made.workspace_bytes), "workspace size");
    return made;
  }

  cudnnHandle_t handle_ = nullptr;
  absl::flat_hash_map<GraphShape, Graph> graphs_;
};

// A call: the shape with all heads and documents, and where each operand's head 0 lies.
struct Call {
  GraphShape shape;
  std::array<std::byte*, kNumOperands> data = {};
  ConstTensorView cu_seqlens;
};

// Notes where an operand lies. False where cuDNN cannot read it.
bool SetOperand(Call& call, Operand operand, const ConstHeads& heads) {
  constexpr int64_t kElement = 2, kAlignment = 16;  // bytes
  auto* data = static_cast<std::byte*>(const_cast<void*>(heads.rows.raw())) + heads.column * kElement;
  call.data[operand] = data;
  call.shape.token_strides[operand] = heads.rows.dim(1);
  return heads.rows.dtype() == DType::kBF16 && heads.head_dim % 16 == 0 && heads.head_dim <= 128 &&
         reinterpret_cast<uintptr_t>(data) % kAlignment == 0 && heads.rows.dim(1) * kElement % kAlignment == 0;
}

void SetStats(Call& call, const ConstTensorView& lse) {
  call.data[kStats] = static_cast<std::byte*>(const_cast<void*>(lse.raw()));
  call.shape.token_strides[kStats] = 1;
}

// What forward's and backward's arguments share.
template <typename Args>
bool SetShared(Call& call, const Args& args) {
  const int64_t num_tokens = args.q.rows.dim(0), num_documents = args.packing.cu_seqlens.dim(0) - 1;
  call.cu_seqlens = args.packing.cu_seqlens;
  call.shape.documents = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(num_documents)));
  const auto longest = static_cast<uint64_t>(std::min(args.packing.max_seqlen, num_tokens));
  call.shape.longest = static_cast<int64_t>(std::bit_ceil(std::max<uint64_t>(longest, 128)));
  call.shape.heads = args.q.num_heads;
  call.shape.kv_heads = args.k.num_heads;
  call.shape.qk_dim = args.q.head_dim;
  call.shape.v_dim = args.v.head_dim;
  call.shape.num_tokens = num_tokens;
  call.shape.scale = args.scale;
  SetStats(call, args.lse);
  return SetOperand(call, kQ, args.q) && SetOperand(call, kK, args.k) && SetOperand(call, kV, args.v) &&
         SetOperand(call, kOut, args.out);
}

// The shape of one launch: all of it, or the part of a backward that keeps the scores' gradient near kScoreBytes.
GraphShape LaunchShape(const GraphShape& whole) {
  GraphShape part = whole;
  if (!whole.backward) return part;
  const auto too_large = [&part] { return part.documents * part.heads * part.longest * part.longest * 2 > kScoreBytes; };
  const int64_t group = whole.heads / whole.kv_heads;
  while (too_large() && part.documents > 1) part.documents /= 2;
  while (too_large() && part.kv_heads > 1) {
    do --part.kv_heads;
    while (whole.kv_heads % part.kv_heads != 0);
    part.heads = part.kv_heads * group;
  }
  return part;
}

// Bytes from head 0 of an operand to the first head of the launch whose first kv head is `kv_head`.
int64_t HeadOffset(const GraphShape& shape, int operand, int64_t kv_head) {
  const int64_t head = IsKvSide(operand) ? kv_head : kv_head * (shape.heads / shape.kv_heads);
  if (operand == kStats) return head * shape.num_tokens * static_cast<int64_t>(sizeof(float));
  return head * shape.head_dim(operand) * 2;
}

bool Run(Stream& stream, const Call& call) {
  const cudaStream_t native = Native(stream);
  auto& graphs = stream.Attached<CudnnGraphs>();
  CheckCudnn(cudnnSetStream(graphs.handle(), native), "cudnnSetStream");
  const GraphShape shape = LaunchShape(call.shape);
  const CudnnGraphs::Graph& graph = graphs.For(shape);
  if (graph.graph == nullptr) return false;

  const RaggedLayout layout = {.num_groups = call.shape.documents / shape.documents,
                               .documents_per_group = shape.documents,
                               .num_tensors = shape.num_operands(),
                               .token_strides = shape.token_strides};
  const size_t layout_bytes = (layout.bytes() + 255) / 256 * 256;
  void* ragged = stream.Workspace(layout_bytes + static_cast<size_t>(graph.workspace_bytes)).raw();
  void* workspace = static_cast<std::byte*>(ragged) + layout_bytes;
  FillRaggedLayout(native, layout, call.cu_seqlens, ragged);
  for (int64_t document_group = 0; document_group < layout.num_groups; ++document_group) {
    for (int64_t kv_head = 0; kv_head < call.shape.kv_heads; kv_head += shape.kv_heads) {
      std::unordered_map<int64_t, void*> pointers;
      pointers[kQueryLengthsUid] = pointers[kKeyLengthsUid] = layout.lengths(ragged, document_group);
      for (int operand = 0; operand < shape.num_operands(); ++operand) {
        pointers[OperandUid(operand)] = call.data[operand] + HeadOffset(shape, operand, kv_head);
        pointers[OffsetsUid(operand)] = layout.offsets(ragged, document_group, operand);
      }
      CheckCudnn(graph.graph->execute(graphs.handle(), pointers, workspace), "attention");
    }
  }
  return true;
}

}  // namespace

bool AttentionForwardCudnn(Stream& stream, const AttentionForwardArgs& args) {
  Call call;
  return SetShared(call, args) && Run(stream, call);
}

bool AttentionBackwardCudnn(Stream& stream, const AttentionBackwardArgs& args) {
  Call call;
  call.shape.backward = true;
  const bool readable = SetShared(call, args) && SetOperand(call, kDout, args.dout) && SetOperand(call, kDq, args.dq) &&
                        SetOperand(call, kDk, args.dk) && SetOperand(call, kDv, args.dv);
  return readable && Run(stream, call);
}

}  // namespace weft::cuda
