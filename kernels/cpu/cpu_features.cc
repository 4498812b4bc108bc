// Asks the CPU once, then WEFT_ISA.
#include "kernels/cpu/cpu_features.h"

#include <atomic>
#include <cstdlib>

#include "core/check.h"

namespace weft::cpu {
namespace {

constexpr IsaLevel kLevels[] = {IsaLevel::kPortable, IsaLevel::kAvx2, IsaLevel::kAvx512, IsaLevel::kAvx512Bf16};

IsaLevel HighestOfThisCpu() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return IsaLevel::kPortable;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!avx512) return IsaLevel::kAvx2;
  return __builtin_cpu_supports("avx512bf16") ? IsaLevel::kAvx512Bf16 : IsaLevel::kAvx512;
#else
  return IsaLevel::kPortable;
#endif
}

IsaLevel Detect() {
  const IsaLevel highest = HighestOfThisCpu();
  const char* wanted = std::getenv("WEFT_ISA");
  if (wanted == nullptr || *wanted == '\0') return highest;
  for (IsaLevel level : kLevels) {
    if (IsaName(level) != wanted) continue;
    WEFT_CHECK(level <= highest) << "WEFT_ISA is '" << wanted << "', but this CPU runs only " << IsaName(highest);
    return level;
  }
  WEFT_CHECK(false) << "WEFT_ISA is '" << wanted << "'; expected portable, avx2, avx512 or avx512bf16";
  return highest;
}

std::atomic<IsaLevel>& CurrentLevel() {
  static std::atomic<IsaLevel> level{Detect()};
  return level;
}

}  // namespace

std::string_view IsaName(IsaLevel level) {
  switch (level) {
    case IsaLevel::kPortable: return "portable";
    case IsaLevel::kAvx2: return "avx2";
    case IsaLevel::kAvx512: return "avx512";
    case IsaLevel::kAvx512Bf16: return "avx512bf16";
  }
  return "?";
}

IsaLevel HostIsa() { return CurrentLevel().load(std::memory_order_relaxed); }

ScopedIsaLimit::ScopedIsaLimit(IsaLevel level) : before_(HostIsa()) {
  if (level < before_) CurrentLevel().store(level, std::memory_order_relaxed);
}

ScopedIsaLimit::~ScopedIsaLimit() { CurrentLevel().store(before_, std::memory_order_relaxed); }

}  // namespace weft::cpu
