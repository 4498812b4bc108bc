// Loading and running a model for serving (see model.h).
#include "inference/model.h"

#include <algorithm>
#include <cmath>

#include "checkpoint/hugging_face.h"
#include "checkpoint/param_pieces.h"
#include "kernels/attention.h"
#include "kernels/cached_attention.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"

namespace weft {
namespace {

constexpr int64_t kDefaultCapacity = 8192;  // tokens a sequence; long contexts cost memory, so they are asked for

int64_t Capacity(const ModelConfig& config, const InferenceModel::Options& options) {
  return options.capacity > 0 ? options.capacity : std::min(config.max_position_embeddings, kDefaultCapacity);
}

// Weights from the folder; into the store itself in f32, through f32 images where they must be rounded.
Status LoadWeights(const std::string& folder, Stream& stream, ParamStore& store) {
  const bool rounded = store.options().compute_dtype != DType::kF32;
  std::vector<Tensor> images;
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < store.num_params(); ++id) {
    if (rounded) images.emplace_back(store.Weight(id).shape(), DType::kF32);
    const TensorView local = rounded ? images.back().view() : store.OwnedWeight(id);
    for (TensorPiece& piece : PiecesOf(store.specs()[static_cast<size_t>(id)], store.SlabsOf(id), local)) {
      pieces.push_back(std::move(piece));
    }
  }
  WEFT_RETURN_IF_ERROR(LoadHuggingFacePieces(folder, pieces));
  for (size_t id = 0; id < images.size(); ++id) {
    Cast(stream, {.from = images[id].view().Flat(), .to = store.OwnedWeight(static_cast<int>(id)).Flat()});
  }
  stream.Synchronize();
  return absl::OkStatus();
}

}  // namespace

InferenceModel::InferenceModel(const ModelConfig& config, const Options& options)
    : config_(config),
      chunk_tokens_(options.chunk_tokens),
      params_(MakeDecoderParams(config)),
      pool_(options.num_threads),
      stream_(Stream::Create(Device::Cpu(), {.pool = &pool_})),
      store_(params_.specs, MeshShape{}, Coord{}, Device::Cpu(), {.compute_dtype = options.dtype, .training = false}),
      cache_(config, options.num_slots, Capacity(config, options), options.dtype, Device::Cpu()),
      arena_(Device::Cpu()),
      rope_(MakeRopeTable(*stream_, config, Capacity(config, options))) {
  const int64_t max_tokens = std::max(std::min(Capacity(config, options), options.chunk_tokens), options.num_slots);
  const ActivationSizes sizes = {.num_tokens = max_tokens, .dtype = options.dtype};
  stash_ = AllocateStash(arena_, "serving", config_, sizes);
  head_ = AllocateHeadStash(arena_, config_, sizes);
  delta_ = arena_.Allocate("delta", {max_tokens, config_.hidden_size}, options.dtype);
  tokens_ = arena_.Allocate("tokens", {max_tokens}, DType::kI32);
  positions_ = arena_.Allocate("positions", {max_tokens}, DType::kI32);
  slots_ = arena_.Allocate("slots", {max_tokens}, DType::kI32);
  cu_seqlens_ = arena_.Allocate("cu_seqlens", {2}, DType::kI32);
}

StatusOr<std::unique_ptr<InferenceModel>> InferenceModel::Load(const std::string& folder, const Options& options) {
  WEFT_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(folder));
  if (options.capacity > config.max_position_embeddings) {
    return UserError(folder, ": a context of ", options.capacity, " tokens was asked for; the model has ",
                     config.max_position_embeddings, " (max_position_embeddings)");
  }
  std::unique_ptr<InferenceModel> model(new InferenceModel(config, options));
  WEFT_RETURN_IF_ERROR(LoadWeights(folder, *model->stream_, model->store_));
  return model;
}

void InferenceModel::SetInput(int64_t row, int32_t token, int64_t position, int slot) {
  WEFT_CHECK(token >= 0 && token < config_.vocab_size) << "token " << token;
  WEFT_CHECK(position >= 0 && position < capacity()) << "position " << position;
  tokens_.data<int32_t>()[row] = token;
  positions_.data<int32_t>()[row] = static_cast<int32_t>(position);
  slots_.data<int32_t>()[row] = slot;
}

void InferenceModel::ForwardInChunks(int slot, absl::Span<const int32_t> tokens,
                                     absl::FunctionRef<void(int64_t n)> after_chunk) {
  const int64_t total = static_cast<int64_t>(tokens.size());
  WEFT_CHECK(total >= 1 && total <= capacity()) << total << " tokens";
  for (int64_t begin = 0; begin < total; begin += chunk_tokens_) {
    const int64_t n = std::min(chunk_tokens_, total - begin);
    for (int64_t i = 0; i < n; ++i) SetInput(i, tokens[static_cast<size_t>(begin + i)], begin + i, slot);
    Forward(n, /*sequence_begins=*/begin == 0);
    after_chunk(n);
  }
}

absl::Span<const float> InferenceModel::Prefill(int slot, absl::Span<const int32_t> tokens) {
  int64_t last_row = 0;
  ForwardInChunks(slot, tokens, [&](int64_t n) { last_row = n - 1; });
  return Logits(last_row, 1);
}

absl::Span<const float> InferenceModel::Decode(absl::Span<const Next> batch) {
  const int64_t n = static_cast<int64_t>(batch.size());
  WEFT_CHECK(n >= 1 && n <= num_slots()) << n << " sequences";
  for (int64_t i = 0; i < n; ++i) {
    const Next& next = batch[static_cast<size_t>(i)];
    SetInput(i, next.token, next.position, next.slot);
  }
  Forward(n, /*sequence_begins=*/false);
  return Logits(0, n);
}

std::vector<float> InferenceModel::AllLogits(absl::Span<const int32_t> tokens) {
  std::vector<float> all;
  ForwardInChunks(0, tokens, [&](int64_t n) {
    const absl::Span<const float> logits = Logits(0, n);
    all.insert(all.end(), logits.begin(), logits.end());
  });
  return all;
}

BlockStash InferenceModel::StashRows(int64_t n) const {
  BlockStash rows = stash_;
  for (TensorView* piece : rows.Pieces()) {
    if (!piece->empty() && piece != &rows.lse) *piece = piece->Rows(0, n);
  }
  // [H, T] with fewer tokens is the front of the same memory under another shape.
  rows.lse = TensorView(stash_.lse.raw(), {config_.num_attention_heads, n}, DType::kF32, stash_.lse.device());
  return rows;
}

void InferenceModel::Forward(int64_t n, bool sequence_begins) {
  const BlockStash stash = StashRows(n);
  const TensorParallel alone;
  const BlockContext context = {*stream_, config_, rope_, alone};
  const TensorView delta = delta_.Rows(0, n);
  EmbeddingForward(*stream_, {.tokens = tokens_.Rows(0, n), .table = store_.Weight(params_.embedding), .y = stash.x});
  if (params_.positions >= 0) {
    EmbeddingForward(*stream_, {.tokens = positions_.Rows(0, n), .table = store_.Weight(params_.positions), .y = stash.x,
                                .accumulate = true});
  }
  for (int layer = 0; layer < static_cast<int>(config_.num_hidden_layers); ++layer) {
    const BlockWeights weights = WeightsOf(store_, params_.blocks[static_cast<size_t>(layer)]);
    const BlockInput input = {.x = layer == 0 ? stash.x : stash.x2,
                              .delta = layer == 0 ? ConstTensorView() : ConstTensorView(delta),
                              .positions = positions_.Rows(0, n)};
    const auto attend = [&](const QkvHeads& heads, const Heads& out, TensorView lse) {
      Attend(layer, n, sequence_begins, heads, out, lse);
    };
    AttentionHalfForward(context, weights, input, attend, stash);
    MlpHalfForward(context, weights, stash, delta);
  }
  const HeadStash head = {.x = head_.x.Rows(0, n), .stats = head_.stats.Rows(0, n), .y = head_.y.Rows(0, n)};
  const HeadWeights weights = {WeightsOf(store_, params_.final_norm), store_.Weight(params_.lm_head)};
  HeadForward(*stream_, config_, weights, stash.x2, delta, head);
}

void InferenceModel::Attend(int layer, int64_t n, bool sequence_begins, const QkvHeads& heads, const Heads& out,
                            TensorView lse) {
  const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_dim)));
  const TensorView slots = slots_.Rows(0, n), positions = positions_.Rows(0, n);
  CacheAppend(*stream_, {.k = heads.k, .v = heads.v, .slots = slots, .positions = positions, .keys = cache_.keys(layer),
                         .values = cache_.values(layer)});
  if (!sequence_begins) {
    CachedAttention(*stream_, {.q = heads.q, .keys = cache_.keys(layer), .values = cache_.values(layer),
                               .num_kv_heads = config_.num_key_value_heads, .slots = slots, .positions = positions,
                               .out = out, .scale = scale});
    return;
  }
  cu_seqlens_.data<int32_t>()[0] = 0;
  cu_seqlens_.data<int32_t>()[1] = static_cast<int32_t>(n);
  AttentionForward(*stream_, {.q = heads.q, .k = heads.k, .v = heads.v,
                              .packing = {.cu_seqlens = cu_seqlens_, .max_seqlen = n}, .out = out, .lse = lse,
                              .scale = scale});
}

absl::Span<const float> InferenceModel::Logits(int64_t first_row, int64_t num_rows) {
  const int64_t vocab = config_.vocab_size;
  if (logits_.view().empty() || logits_.shape()[0] < num_rows) {
    logits_ = Tensor({num_rows, vocab}, store_.options().compute_dtype);
    logits_f32_ = Tensor({num_rows, vocab}, DType::kF32);
  }
  const TensorView logits = logits_.view().Rows(0, num_rows), as_f32 = logits_f32_.view().Rows(0, num_rows);
  Gemm(*stream_, {.a = head_.y.Rows(first_row, first_row + num_rows), .b = store_.Weight(params_.lm_head), .c = logits,
                  .transpose_b = true});
  Cast(*stream_, {.from = logits.Flat(), .to = as_f32.Flat()});
  stream_->Synchronize();
  return {as_f32.data<float>(), static_cast<size_t>(num_rows * vocab)};
}

}  // namespace weft
