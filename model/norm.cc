// The two kinds of norm (see norm.h).
#include "model/norm.h"

#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"

namespace weft {

NormStats AllocateNormStats(Arena& arena, const std::string& name, const ModelConfig& config, int64_t local_tokens) {
  NormStats stats;
  if (config.norm == NormKind::kLayer) stats.mean = arena.Allocate(name + ".mean", {local_tokens}, DType::kF32);
  stats.rstd = arena.Allocate(name + ".rstd", {local_tokens}, DType::kF32);
  return stats;
}

void NormForward(Stream& stream, const ModelConfig& config, const NormForwardArgs& args) {
  const TensorView sum = args.delta.empty() ? TensorView() : args.sum;
  const auto eps = static_cast<float>(config.norm_eps);
  if (config.norm == NormKind::kLayer) {
    LayerNormForward(stream, {.x = args.x, .delta = args.delta, .weight = args.weights.weight, .bias = args.weights.bias,
                              .sum = sum, .y = args.y, .mean = args.stats.mean, .rstd = args.stats.rstd, .eps = eps});
  } else {
    RmsNormForward(stream, {.x = args.x, .delta = args.delta, .weight = args.weights.weight, .sum = sum, .y = args.y,
                            .rstd = args.stats.rstd, .eps = eps});
  }
}

void NormBackward(Stream& stream, const NormBackwardArgs& args) {
  if (!args.weights.bias.empty()) {
    LayerNormBackward(stream, {.dy = args.dy, .dsum = args.dsum, .x = args.x, .weight = args.weights.weight,
                               .mean = args.stats.mean, .rstd = args.stats.rstd, .dx = args.dx,
                               .dweight = args.grads.weight, .dbias = args.grads.bias});
  } else {
    RmsNormBackward(stream, {.dy = args.dy, .dsum = args.dsum, .x = args.x, .weight = args.weights.weight,
                             .rstd = args.stats.rstd, .dx = args.dx, .dweight = args.grads.weight});
  }
}

}  // namespace weft
