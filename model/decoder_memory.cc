// Pools and scratch of one pipeline rank (see decoder_memory.h).
#include "model/decoder_memory.h"

#include <algorithm>

namespace weft {
namespace {

// While one is sent the next can be written.
constexpr int kOutgoingBuffers = 2;

template <typename T, typename Allocate>
SlotPool<T> MakePool(const std::string& what, int size, const Allocate& allocate) {
  std::vector<T> buffers;
  for (int i = 0; i < size; ++i) buffers.push_back(allocate(StrCat(what, " ", i)));
  return SlotPool<T>(what, std::move(buffers));
}

// What of the model is on this rank.
struct Duties {
  bool blocks = false, head = false;
  bool block_sends = false;  // a virtual stage ends with a block
};

Duties DutiesOf(const StageLayout& stages, int stage) {
  Duties duties;
  for (int group = 0; group < stages.num_groups(); ++group) {
    if (stages.RankOfGroup(group) != stage) continue;
    duties.head |= group == stages.head_group();
    duties.blocks |= stages.IsBlock(group);
    duties.block_sends |= stages.IsBlock(group) && stages.IsLastOfStage(group);
  }
  return duties;
}

}  // namespace

DecoderMemory AllocateDecoderMemory(Arena& arena, const ModelConfig& config, const ActivationSizes& sizes,
                                    Recompute recompute, const StageLayout& stages, int stage, const Peaks& peaks) {
  const Duties duties = DutiesOf(stages, stage);
  const Shape residual = {sizes.local_tokens(), config.hidden_size};
  const auto take_residual = [&](const std::string& name) { return arena.Allocate(name, residual, sizes.dtype); };
  DecoderMemory memory;
  // An embedding alone writes only the input of the block above.
  const Recompute kept = duties.blocks ? recompute : Recompute::kBlock;
  memory.stashes = MakePool<BlockStash>("block stash", peaks.block_stashes, [&](const std::string& name) {
    return AllocateStash(arena, name, config, sizes, kept);
  });
  memory.head_stashes = MakePool<HeadStash>("head stash", peaks.head_stashes, [&](const std::string&) {
    return AllocateHeadStash(arena, config, sizes);
  });
  // Under recomputation a forward computes into the pieces that are not kept, beside what waits for weight gradients.
  const int forward_works = duties.blocks && recompute != Recompute::kNone ? peaks.pending_weights_at_forward + 1 : 0;
  const int num_works = std::max(peaks.pending_weights, forward_works);
  memory.works = MakePool<BlockWork>("block work", num_works, [&](const std::string& name) {
    return BlockWork{.recomputed = AllocateRecomputed(arena, name, config, sizes, recompute),
                     .pending = AllocatePendingWeightGrads(arena, name, config, sizes)};
  });
  memory.residual_grads = MakePool<TensorView>("residual gradient", peaks.residual_grads, take_residual);
  memory.outgoing = MakePool<TensorView>("outgoing activation", duties.block_sends ? kOutgoingBuffers : 0, take_residual);
  if (duties.blocks) {
    memory.delta = take_residual("delta");
    memory.block_scratch = AllocateBackwardScratch(arena, config, sizes);
  }
  if (duties.head) memory.head_scratch = AllocateHeadScratch(arena, config, sizes);
  memory.loss_sum = arena.Allocate("loss sum", {1}, DType::kF32);
  return memory;
}

}  // namespace weft
