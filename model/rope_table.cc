// RoPE frequencies and their scalings (see rope_table.h).
#include "model/rope_table.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

constexpr double kTwoPi = 6.283185307179586;

// Llama 3.1: long wavelengths are slowed by the factor, short ones kept, those between blended.
double Llama3(double frequency, const RopeScaling& s) {
  const double wavelength = kTwoPi / frequency, original = static_cast<double>(s.original_max_position_embeddings);
  if (wavelength > original / s.low_freq_factor) return frequency / s.factor;
  if (wavelength < original / s.high_freq_factor) return frequency;
  const double smooth = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * frequency / s.factor + smooth * frequency;
}

// The pair of dims that turns `rotations` times over the original context.
double CorrectionDim(double rotations, const ModelConfig& c, double original) {
  return static_cast<double>(c.head_dim) * std::log(original / (rotations * kTwoPi)) / (2 * std::log(c.rope_theta));
}

double YarnMscale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

void ApplyYarn(const ModelConfig& c, RopeFrequencies* frequencies) {
  const RopeScaling& s = c.rope_scaling;
  const double original = static_cast<double>(s.original_max_position_embeddings > 0 ? s.original_max_position_embeddings
                                                                                     : c.max_position_embeddings);
  double low = CorrectionDim(s.beta_fast, c, original), high = CorrectionDim(s.beta_slow, c, original);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(c.head_dim - 1));
  if (low == high) high += 0.001;  // as transformers does, against a division by zero
  for (size_t i = 0; i < frequencies->inverse.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);  // 0: keep, 1: interpolate
    frequencies->inverse[i] *= (1 - ramp) + ramp / s.factor;
  }
  if (s.attention_factor > 0) {
    frequencies->attention_factor = s.attention_factor;
  } else if (s.mscale > 0 && s.mscale_all_dim > 0) {
    frequencies->attention_factor = YarnMscale(s.factor, s.mscale) / YarnMscale(s.factor, s.mscale_all_dim);
  } else {
    frequencies->attention_factor = YarnMscale(s.factor, 1);
  }
}

}  // namespace

RopeFrequencies ComputeRopeFrequencies(const ModelConfig& config) {
  RopeFrequencies frequencies;
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    frequencies.inverse.push_back(
        std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim)));
  }
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::kLinear) {
    for (double& frequency : frequencies.inverse) frequency /= scaling.factor;
  } else if (scaling.kind == RopeScaling::Kind::kLlama3) {
    for (double& frequency : frequencies.inverse) frequency = Llama3(frequency, scaling);
  } else if (scaling.kind == RopeScaling::Kind::kYarn) {
    ApplyYarn(config, &frequencies);
  }
  return frequencies;
}

RopeTable MakeRopeTable(Stream& stream, const ModelConfig& config, int64_t num_positions) {
  if (config.positions != PositionKind::kRotary) return {};
  const RopeFrequencies frequencies = ComputeRopeFrequencies(config);
  const int64_t half = config.head_dim / 2;
  Tensor cos({num_positions, half}, DType::kF32), sin({num_positions, half}, DType::kF32);
  for (int64_t position = 0; position < num_positions; ++position) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequencies.inverse[static_cast<size_t>(i)];
      cos.data<float>()[position * half + i] = static_cast<float>(std::cos(angle) * frequencies.attention_factor);
      sin.data<float>()[position * half + i] = static_cast<float>(std::sin(angle) * frequencies.attention_factor);
    }
  }
  if (!stream.device().is_cuda()) return {std::move(cos), std::move(sin)};
  RopeTable table{Tensor(cos.shape(), DType::kF32, stream.device()), Tensor(sin.shape(), DType::kF32, stream.device())};
  stream.Copy(table.cos, cos);
  stream.Copy(table.sin, sin);
  stream.Synchronize();
  return table;
}

}  // namespace weft
