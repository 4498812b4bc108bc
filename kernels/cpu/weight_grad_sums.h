// Sums over tokens for the gradients of a norm's weight and bias. Tokens are cut into a number of parts that depends on
// their number alone; each part has its own sums, which are then added in order: the thread count changes no bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "core/thread_pool.h"
#include "kernels/cpu/host_loops.h"

namespace weft::cpu {

inline constexpr int64_t kTokensPerPart = 16;
inline constexpr int64_t kMaxParts = 64;  // beyond 64 threads a norm's gradient gains nothing: memory is the limit

inline int64_t NumTokenParts(int64_t num_tokens) {
  return std::clamp<int64_t>(num_tokens / kTokensPerPart, 1, kMaxParts);
}

// Scratch: [num_grads, NumTokenParts, n] f32.
inline size_t WeightGradScratchBytes(int64_t num_tokens, int64_t n, int64_t num_grads = 1) {
  return static_cast<size_t>(num_grads * NumTokenParts(num_tokens) * n) * sizeof(float);
}

// Calls body(token, sums) for every token, sums[g] [n] being those of its part, and then grads[g] += all its sums.
// With null grads all sums are null, and scratch is not used.
template <size_t kNumGrads, typename Body>
void ForTokensWithSums(ThreadPool& pool, int64_t num_tokens, int64_t n, float* scratch,
                       const std::array<float*, kNumGrads>& grads, Body body) {
  const int64_t num_parts = NumTokenParts(num_tokens);
  const bool wanted = grads[0] != nullptr;
  const auto sums_of = [=](size_t grad, int64_t part) { return scratch + (static_cast<int64_t>(grad) * num_parts + part) * n; };
  pool.ParallelFor(num_parts, 1, [&](int64_t first_part, int64_t end_part) {
    for (int64_t part = first_part; part < end_part; ++part) {
      std::array<float*, kNumGrads> sums = {};
      for (size_t g = 0; wanted && g < kNumGrads; ++g) {
        sums[g] = sums_of(g, part);
        std::memset(sums[g], 0, static_cast<size_t>(n) * sizeof(float));
      }
      const int64_t end = num_tokens * (part + 1) / num_parts;
      for (int64_t token = num_tokens * part / num_parts; token < end; ++token) body(token, sums);
    }
  });
  if (!wanted) return;
  pool.ParallelFor(n, kColumnGranule, [&](int64_t begin, int64_t end) {
    for (size_t g = 0; g < kNumGrads; ++g) {
      HostLoops().f32.add_rows(sums_of(g, 0) + begin, num_parts, n, end - begin, grads[g] + begin);
    }
  });
}

}  // namespace weft::cpu
