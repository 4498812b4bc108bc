// Gathers and sums over the ranks that share each layer (see tensor_parallel.h).
#include "model/tensor_parallel.h"

namespace weft {

TensorParallel::TensorParallel(Communicator* communicator, Arena& arena, int64_t num_tokens, int64_t width, DType dtype)
    : communicator_(communicator) {
  if (size() > 1) whole_ = arena.Allocate("tokens of all tp ranks", {num_tokens, width}, dtype);
}

ConstTensorView TensorParallel::Gather(Stream& stream, ConstTensorView part, TensorView whole) const {
  if (size() == 1) return part;
  if (whole.empty()) whole = whole_;
  communicator_->AllGather(stream, part.Flat(), whole.Flat());
  return whole;
}

void TensorParallel::ReduceScatter(Stream& stream, ConstTensorView partial, TensorView part) const {
  if (size() == 1) {
    WEFT_CHECK(partial.raw() == part.raw()) << "alone, a sum is written where it belongs";
    return;
  }
  communicator_->ReduceScatter(stream, partial.Flat(), part.Flat());
}

void TensorParallel::GatherStatistics(Stream& stream, ConstTensorView mine, TensorView parts) const {
  WEFT_CHECK_GT(size(), 1) << "there are no other statistics";
  communicator_->AllGather(stream, mine.Flat(), parts.Flat());
}

ModelConfig LocalConfig(const ModelConfig& config, int tp) {
  ModelConfig local = config;
  local.num_attention_heads /= tp;
  local.num_key_value_heads /= tp;
  local.intermediate_size /= tp;
  local.vocab_size /= tp;
  return local;
}

Status CheckTensorParallel(const ModelConfig& config, int tp, int64_t num_tokens) {
  const struct {
    const char* name;
    int64_t count;
  } shared[] = {{"num_attention_heads", config.num_attention_heads},
                {"num_key_value_heads", config.num_key_value_heads},
                {"intermediate_size", config.intermediate_size},
                {"vocab_size", config.vocab_size},
                {"max_position_embeddings", config.positions == PositionKind::kLearned ? config.max_position_embeddings : 0},
                {"the tokens of a micro-batch (train_micro_batch_size_per_gpu x data.sequence_length)", num_tokens}};
  std::string failing;
  for (const auto& each : shared) {
    if (each.count % tp != 0) StrAppend(&failing, failing.empty() ? "" : ", ", each.name, " = ", each.count);
  }
  if (failing.empty()) return absl::OkStatus();
  return UserError("parallel.tp: ", tp, " ranks cannot share equally ", failing, "; choose a parallel.tp that divides ",
                   "each of them");
}

}  // namespace weft
