// The inner loops of loops.h, written once over Vec, and the table of them: whoever includes this compiles them for its
// own instruction set.
#pragma once

#include "kernels/cpu/loops.h"
#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

// --- Casts, sums and scalings ---------------------------------------------------------------------------------------

template <typename From, typename To>
void CastLoop(const From* x, int64_t n, To* y) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(y + i, Load(x + i, lanes), lanes); });
}

template <typename From, typename To>
void AddLoop(const From* x, int64_t n, To* y) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(y + i, Load(y + i, lanes) + Load(x + i, lanes), lanes); });
}

void ScaleLoop(float factor, int64_t n, float* y) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(y + i, Load(y + i, lanes) * factor, lanes); });
}

// Eight rows at a time, added in pairs: `sum` is read and written once for them.
template <typename T>
void AddRowsLoop(const T* x, int64_t num_rows, int64_t stride, int64_t n, float* sum) {
  int64_t row = 0;
  for (; row + 8 <= num_rows; row += 8) {
    const T* rows = x + row * stride;
    ForVectors(n, [=](int64_t i, auto lanes) {
      const auto pair = [=](int64_t k) {
        return Load(rows + k * stride + i, lanes) + Load(rows + (k + 1) * stride + i, lanes);
      };
      const Vec eight = (pair(0) + pair(2)) + (pair(4) + pair(6));
      Store(sum + i, Load(sum + i, lanes) + eight, lanes);
    });
  }
  for (; row < num_rows; ++row) AddLoop(x + row * stride, n, sum);
}

// --- RMSNorm --------------------------------------------------------------------------------------------------------

template <typename T>
float RmsNormForwardLoop(const T* x, const T* delta, const T* weight, float eps, int64_t n, T* sum, T* y) {
  const float squares = SumVectors(n, [&](int64_t i, auto lanes) {
    Vec s = Load(x + i, lanes);
    if (delta != nullptr) {
      s = RoundTo(x, s + Load(delta + i, lanes));  // the norm is that of the stream as it is kept
      Store(sum + i, s, lanes);
    }
    return s * s;
  });
  const T* normalised = delta != nullptr ? sum : x;
  const float rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
  ForVectors(n, [&](int64_t i, auto lanes) {
    Store(y + i, Load(normalised + i, lanes) * rstd * Load(weight + i, lanes), lanes);
  });
  return rstd;
}

// With h = x * rstd and dh = dy * weight: dx = rstd * (dh - h * mean(dh * h)) + dsum.
template <typename T>
void RmsNormBackwardLoop(const T* dy, const T* dsum, const T* x, const T* weight, float rstd, int64_t n, T* dx,
                         float* dweight) {
  const float dot = SumVectors(n, [&](int64_t i, auto lanes) {
    const Vec dy_h = Load(dy + i, lanes) * (Load(x + i, lanes) * rstd);
    if (dweight != nullptr) Store(dweight + i, Load(dweight + i, lanes) + dy_h, lanes);
    return dy_h * Load(weight + i, lanes);
  });
  const float mean = dot / static_cast<float>(n);
  ForVectors(n, [&](int64_t i, auto lanes) {
    const Vec dh = Load(dy + i, lanes) * Load(weight + i, lanes);
    Vec result = (dh - Load(x + i, lanes) * rstd * mean) * rstd;
    if (dsum != nullptr) result += Load(dsum + i, lanes);
    Store(dx + i, result, lanes);
  });
}

// --- LayerNorm ------------------------------------------------------------------------------------------------------

// Mean first, then the squares around it, so that a mean far from zero costs no digits.
template <typename T>
MeanRstd LayerNormForwardLoop(const T* x, const T* delta, const T* weight, const T* bias, float eps, int64_t n, T* sum,
                              T* y) {
  const float total = SumVectors(n, [&](int64_t i, auto lanes) {
    Vec s = Load(x + i, lanes);
    if (delta != nullptr) {
      s = RoundTo(x, s + Load(delta + i, lanes));  // the norm is that of the stream as it is kept
      Store(sum + i, s, lanes);
    }
    return s;
  });
  const T* normalised = delta != nullptr ? sum : x;
  const float mean = total / static_cast<float>(n);
  const float squares = SumVectors(n, [&](int64_t i, auto lanes) {
    const Vec centred = WithRest(Load(normalised + i, lanes) - mean, 0.0f, lanes);
    return centred * centred;
  });
  const float rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
  ForVectors(n, [&](int64_t i, auto lanes) {
    const Vec h = (Load(normalised + i, lanes) - mean) * rstd;
    Store(y + i, h * Load(weight + i, lanes) + Load(bias + i, lanes), lanes);
  });
  return {mean, rstd};
}

// With h = (x - mean) * rstd and dh = dy * weight: dx = rstd * (dh - mean(dh) - h * mean(dh * h)) + dsum.
template <typename T>
void LayerNormBackwardLoop(const T* dy, const T* dsum, const T* x, const T* weight, MeanRstd stats, int64_t n, T* dx,
                           float* dweight, float* dbias) {
  const auto normalised = [=](int64_t i, auto lanes) { return (Load(x + i, lanes) - stats.mean) * stats.rstd; };
  const float dot = SumVectors(n, [&](int64_t i, auto lanes) {
    const Vec d = Load(dy + i, lanes), dy_h = d * normalised(i, lanes);
    if (dweight != nullptr) {
      Store(dweight + i, Load(dweight + i, lanes) + dy_h, lanes);
      Store(dbias + i, Load(dbias + i, lanes) + d, lanes);
    }
    return dy_h * Load(weight + i, lanes);
  });
  const float total = SumVectors(n, [&](int64_t i, auto lanes) { return Load(dy + i, lanes) * Load(weight + i, lanes); });
  const float mean_dh_h = dot / static_cast<float>(n), mean_dh = total / static_cast<float>(n);
  ForVectors(n, [&](int64_t i, auto lanes) {
    const Vec dh = Load(dy + i, lanes) * Load(weight + i, lanes);
    Vec result = (dh - mean_dh - normalised(i, lanes) * mean_dh_h) * stats.rstd;
    if (dsum != nullptr) result += Load(dsum + i, lanes);
    Store(dx + i, result, lanes);
  });
}

// --- Rotary position embedding --------------------------------------------------------------------------------------

template <typename T>
void RopeLoop(const float* cos, const float* sin, float sign, int64_t num_heads, int64_t half_dim, T* x) {
  for (int64_t head = 0; head < num_heads; ++head) {
    T* low = x + head * 2 * half_dim;
    T* high = low + half_dim;
    ForVectors(half_dim, [=](int64_t i, auto lanes) {
      const Vec c = Load(cos + i, lanes), s = Load(sin + i, lanes) * sign;
      const Vec a = Load(low + i, lanes), b = Load(high + i, lanes);
      Store(low + i, a * c - b * s, lanes);
      Store(high + i, b * c + a * s, lanes);
    });
  }
}

// --- SwiGLU ---------------------------------------------------------------------------------------------------------

inline Vec Sigmoid(Vec x) { return 1.0f / (1.0f + Exp(-x)); }

template <typename T>
void SwigluForwardLoop(const T* gate, const T* up, int64_t n, T* y) {
  ForVectors(n, [=](int64_t i, auto lanes) {
    const Vec g = Load(gate + i, lanes);
    Store(y + i, g * Sigmoid(g) * Load(up + i, lanes), lanes);
  });
}

template <typename T>
void SwigluBackwardLoop(const T* dy, const T* gate, const T* up, int64_t n, T* dgate, T* dup) {
  ForVectors(n, [=](int64_t i, auto lanes) {
    const Vec g = Load(gate + i, lanes), u = Load(up + i, lanes), d = Load(dy + i, lanes);
    const Vec s = Sigmoid(g);
    Store(dgate + i, d * u * s * (1.0f + g * (1.0f - s)), lanes);
    Store(dup + i, d * (g * s), lanes);
  });
}

// --- GELU -----------------------------------------------------------------------------------------------------------

// (1 + tanh(u)) / 2 = sigmoid(2u): 2u, and its derivative.
inline Vec GeluArgument(Vec x) { return (x + x * x * x * 0.044715f) * 1.5957691216f; }
inline Vec GeluArgumentSlope(Vec x) { return (x * x * 0.134145f + 1.0f) * 1.5957691216f; }

template <typename T>
void GeluForwardLoop(const T* x, int64_t n, T* y) {
  ForVectors(n, [=](int64_t i, auto lanes) {
    const Vec v = Load(x + i, lanes);
    Store(y + i, v * Sigmoid(GeluArgument(v)), lanes);
  });
}

template <typename T>
void GeluBackwardLoop(const T* dy, const T* x, int64_t n, T* dx) {
  ForVectors(n, [=](int64_t i, auto lanes) {
    const Vec v = Load(x + i, lanes);
    const Vec s = Sigmoid(GeluArgument(v));
    Store(dx + i, Load(dy + i, lanes) * (s + v * s * (1.0f - s) * GeluArgumentSlope(v)), lanes);
  });
}

// --- Cross-entropy --------------------------------------------------------------------------------------------------

// The running max and sum of Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, a block at a
// time: the row is read from memory once, its second reading is out of the first cache. f32 within a block, f64 across.
template <typename T>
SumExp SumExpLoop(const T* x, int64_t n) {
  constexpr int64_t kBlock = 2048;
  const float lowest = -__builtin_inff();
  SumExp total = {lowest, 0};
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const T* block = x + begin;
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    Vec max = Broadcast(total.max);
    ForVectors(count, [&](int64_t i, auto lanes) { max = Max(WithRest(Load(block + i, lanes), lowest, lanes), max); });
    const float block_max = MaxOfLanes<kLanes>(max);
    // All -infinity so far, or NaN: e^x then adds 0 or NaN, where e^(x - max) would make NaN of both.
    const float base = block_max == lowest ? 0.0f : block_max;
    const float sum = SumVectors(
        count, [&](int64_t i, auto lanes) { return Exp(WithRest(Load(block + i, lanes), lowest, lanes) - base); });
    if (total.sum != 0) total.sum *= static_cast<double>(Exp(Broadcast(total.max - base))[0]);
    total.sum += static_cast<double>(sum);
    total.max = block_max;
  }
  return total;
}

template <typename T>
void ScaledSoftmaxLoop(float lse, float factor, int64_t n, T* x) {
  ForVectors(n, [=](int64_t i, auto lanes) { Store(x + i, Exp(Load(x + i, lanes) - lse) * factor, lanes); });
}

// --- Sum of squares -------------------------------------------------------------------------------------------------

double SumSquaresLoop(const float* x, int64_t n) {
  constexpr int kDoubles = kLanes / 2;
  typedef double DoubleVec __attribute__((vector_size(kDoubles * 8)));
  typedef float FloatVec __attribute__((vector_size(kDoubles * 4)));
  constexpr int kSums = 4;  // enough to hide the latency of an addition
  DoubleVec sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums * kDoubles <= n; i += kSums * kDoubles) {
#pragma GCC unroll 4
    for (int k = 0; k < kSums; ++k) {
      FloatVec values;
      __builtin_memcpy(&values, x + i + k * kDoubles, sizeof(values));
      const DoubleVec wide = __builtin_convertvector(values, DoubleVec);
      sums[k] += wide * wide;
    }
  }
  double total = 0;
  for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const DoubleVec sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (int k = 0; k < kDoubles; ++k) total += sum[k];
  return total;
}

// --- AdamW ----------------------------------------------------------------------------------------------------------

void AdamWLoop(const AdamWConstants& constants, float grad_scale, int64_t n, const float* grad, float* param, float* m,
               float* v, uint16_t* weight) {
  const AdamWConstants c = constants;
  ForVectors(n, [=](int64_t i, auto lanes) {
    const Vec g = Load(grad + i, lanes) * grad_scale;
    const Vec old_m = Load(m + i, lanes);
    const Vec new_m = old_m + (g - old_m) * c.one_minus_beta1;
    const Vec new_v = Load(v + i, lanes) * c.beta2 + g * g * c.one_minus_beta2;
    const Vec denominator = Sqrt(new_v) / c.sqrt_bias_correction2 + c.eps;
    const Vec p = Load(param + i, lanes) * c.decay - new_m / denominator * c.step_size;
    Store(m + i, new_m, lanes);
    Store(v + i, new_v, lanes);
    Store(param + i, p, lanes);
    if (weight != nullptr) Store(weight + i, p, lanes);
  });
}

// --- The table ------------------------------------------------------------------------------------------------------

template <typename T>
constexpr FloatLoops<T> kFloatLoops = {
    .cast_to_f32 = CastLoop<T, float>,
    .cast_to_bf16 = CastLoop<T, uint16_t>,
    .add_to_f32 = AddLoop<T, float>,
    .add_to_bf16 = AddLoop<T, uint16_t>,
    .add_rows = AddRowsLoop<T>,
    .rms_norm_forward = RmsNormForwardLoop<T>,
    .rms_norm_backward = RmsNormBackwardLoop<T>,
    .layer_norm_forward = LayerNormForwardLoop<T>,
    .layer_norm_backward = LayerNormBackwardLoop<T>,
    .rope = RopeLoop<T>,
    .swiglu_forward = SwigluForwardLoop<T>,
    .swiglu_backward = SwigluBackwardLoop<T>,
    .gelu_forward = GeluForwardLoop<T>,
    .gelu_backward = GeluBackwardLoop<T>,
    .sum_exp = SumExpLoop<T>,
    .scaled_softmax = ScaledSoftmaxLoop<T>,
};

constexpr Loops kLoops = {.f32 = kFloatLoops<float>,
                          .bf16 = kFloatLoops<uint16_t>,
                          .scale = ScaleLoop,
                          .sum_squares = SumSquaresLoop,
                          .adamw = AdamWLoop};

}  // namespace
}  // namespace weft::cpu
