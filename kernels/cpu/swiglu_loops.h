// One row of SwiGLU and of its gradient (see swiglu.h). With s = 1 / (1 + e^-g): silu(g) = g s, and its derivative is
// s (1 + g (1 - s)).
#pragma once

#include "kernels/cpu/vec.h"

namespace weft::cpu {
namespace {

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

}  // namespace
}  // namespace weft::cpu
