// Sums over tokens for the gradient of a norm's weight. Tokens are cut into a number of parts that depends on their
// number alone; each part has its own sums, which are then added in order: the thread count changes no bit.
#pragma once

#include <algorithm>
#include <cstring>

#include "core/thread_pool.h"
#include "kernels/cpu/host_loops.h"

namespace weft::cpu {

inline constexpr int64_t kTokensPerPart = 16;
inline constexpr int64_t kMaxParts = 64;  // beyond 64 threads a norm's gradient gains nothing: memory is the limit

inline int64_t NumTokenParts(int64_t num_tokens) {
  return std::clamp<int64_t>(num_tokens / kTokensPerPart, 1, kMaxParts);
}

// Scratch: [NumTokenParts, n] f32.
inline size_t WeightGradScratchBytes(int64_t num_tokens, int64_t n) {
  return static_cast<size_t>(NumTokenParts(num_tokens) * n) * sizeof(float);
}

// Calls body(token, sums) for every token, `sums` [n] being those of its part, and then dweight += all sums.
// With a null dweight `sums` is null, and scratch is not used.
template <typename Body>
void ForTokensWithSums(ThreadPool& pool, int64_t num_tokens, int64_t n, float* scratch, float* dweight, Body body) {
  const int64_t num_parts = NumTokenParts(num_tokens);
  pool.ParallelFor(num_parts, 1, [&](int64_t first_part, int64_t end_part) {
    for (int64_t part = first_part; part < end_part; ++part) {
      float* sums = dweight != nullptr ? scratch + part * n : nullptr;
      if (sums != nullptr) std::memset(sums, 0, static_cast<size_t>(n) * sizeof(float));
      const int64_t end = num_tokens * (part + 1) / num_parts;
      for (int64_t token = num_tokens * part / num_parts; token < end; ++token) body(token, sums);
    }
  });
  if (dweight == nullptr) return;
  pool.ParallelFor(n, kColumnGranule, [&](int64_t begin, int64_t end) {
    HostLoops().f32.add_rows(scratch + begin, num_parts, n, end - begin, dweight + begin);
  });
}

}  // namespace weft::cpu
