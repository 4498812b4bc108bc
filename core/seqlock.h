// Seqlock: one value that one thread writes often and others read now and then, without a lock on either side.
//
// A writer never waits; a reader that met a write tries again (Lameter, "Effective Synchronization on Linux/NUMA
// Systems", 2005). The value lies in atomic words, so that no access is a data race (Boehm, "Can Seqlocks Get Along
// with Programming Language Memory Models?", 2012), and sanitizers agree.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace weft {

template <typename T>
class Seqlock {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit Seqlock(const T& value = T()) { Write(value); }

  // From one thread at a time.
  void Write(const T& value) {
    std::array<uint64_t, kNumWords> words{};
    std::memcpy(words.data(), &value, sizeof(T));
    const uint64_t version = version_.load(std::memory_order_relaxed);
    version_.store(version + 1, std::memory_order_relaxed);
    for (size_t i = 0; i < kNumWords; ++i) words_[i].store(words[i], std::memory_order_release);
    version_.store(version + 2, std::memory_order_release);
  }

  // From any thread.
  T Read() const {
    std::array<uint64_t, kNumWords> words;
    uint64_t before, after;
    do {
      before = version_.load(std::memory_order_acquire);
      for (size_t i = 0; i < kNumWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
      after = version_.load(std::memory_order_relaxed);
    } while (before != after || before % 2 == 1);
    T value;
    std::memcpy(static_cast<void*>(&value), words.data(), sizeof(T));
    return value;
  }

 private:
  static constexpr size_t kNumWords = (sizeof(T) + 7) / 8;
  std::atomic<uint64_t> version_{0};  // odd while a write is under way
  std::array<std::atomic<uint64_t>, kNumWords> words_{};
};

}  // namespace weft
