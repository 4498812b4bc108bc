// InferenceModel: a Hugging Face folder, loaded, and its forward pass with a KV cache. The blocks are training's own;
// only how they attend differs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "core/status.h"
#include "inference/kv_cache.h"
#include "model/block.h"
#include "model/head.h"
#include "parallel/param_store.h"

namespace weft {

class InferenceModel {
 public:
  struct Options {
    DType dtype = DType::kF32;  // f32 | bf16, of weights and cache
    int64_t num_slots = 1;      // sequences at once
    int64_t capacity = 0;       // tokens a sequence; 0: max_position_embeddings, at most 8192
    int num_threads = 1;
    int64_t chunk_tokens = 512;  // of a prompt at once: enough to keep the matrix products busy
  };

  // Reads config.json and the safetensors of `folder`. CPU only so far.
  static StatusOr<std::unique_ptr<InferenceModel>> Load(const std::string& folder, const Options& options);

  // Starts the sequence of `slot` anew with `tokens` [1 .. capacity], read in chunks so that scratch does not grow with
  // the context. Returns the logits after the last one, [V] f32, valid until the next call.
  absl::Span<const float> Prefill(int slot, absl::Span<const int32_t> tokens);

  // One more token for each of several sequences, at most num_slots. Returns logits [B, V] f32, valid until the next
  // call. A sequence's logits do not depend on the others in f32.
  struct Next {
    int slot = 0;
    int32_t token = 0;
    int64_t position = 0;  // of this token; below the capacity
  };
  absl::Span<const float> Decode(absl::Span<const Next> batch);

  // Logits after every token of a fresh sequence, [T, V] f32: what training's forward gives (tests, evaluation).
  std::vector<float> AllLogits(absl::Span<const int32_t> tokens);

  const ModelConfig& config() const { return config_; }
  int64_t capacity() const { return cache_.capacity(); }
  int64_t num_slots() const { return cache_.num_slots(); }

 private:
  InferenceModel(const ModelConfig& config, const Options& options);
  // Calls after_chunk(n) when n more tokens of a fresh sequence have gone through all blocks.
  void ForwardInChunks(int slot, absl::Span<const int32_t> tokens, absl::FunctionRef<void(int64_t n)> after_chunk);
  // All blocks over the input rows [0, n); leaves the normed rows in head_.y.
  void Forward(int64_t num_tokens, bool sequence_begins);
  void Attend(int layer, int64_t num_tokens, bool sequence_begins, const QkvHeads& heads, const Heads& out,
              TensorView lse);
  BlockStash StashRows(int64_t num_tokens) const;
  void SetInput(int64_t row, int32_t token, int64_t position, int slot);
  absl::Span<const float> Logits(int64_t first_row, int64_t num_rows);

  ModelConfig config_;
  int64_t chunk_tokens_;
  DecoderParams params_;
  ThreadPool pool_;
  std::unique_ptr<Stream> stream_;
  ParamStore store_;
  KvCache cache_;
  Arena arena_;
  RopeTable rope_;
  BlockStash stash_;   // shared by all blocks: nothing is kept for a backward pass
  HeadStash head_;
  TensorView delta_;   // [T, D]
  TensorView tokens_, positions_, slots_;  // [T] i32
  TensorView cu_seqlens_;                  // [2] i32
  Tensor logits_;      // [B, V] in the compute dtype
  Tensor logits_f32_;  // [B, V]
};

}  // namespace weft
