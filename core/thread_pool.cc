// Workers spin briefly for the next loop before they sleep: a training step is hundreds of loops a few microseconds
// apart, and a sleep and wake-up costs more than many of them.
#include "core/thread_pool.h"

#include <sched.h>

#include <algorithm>

#include "core/check.h"
#include "core/log.h"

namespace weft {
namespace {

constexpr int kSpins = 4000;  // some tens of microseconds

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  WEFT_CHECK_GE(num_threads, 1);
  const RankLabel label = CurrentRank();
  for (int thread = 1; thread < num_threads; ++thread) {
    workers_.emplace_back([this, thread, label] {
      SetCurrentRank(label);
      WorkerLoop(thread);
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    epoch_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t n, int64_t granule, absl::FunctionRef<void(int64_t, int64_t)> body) {
  if (n <= 0) return;
  const int64_t num_granules = (n + granule - 1) / granule;
  const int64_t parts = std::min<int64_t>(num_threads(), num_granules);
  if (parts == 1) return body(0, n);
  RunOnAll([&](int thread) {
    if (thread >= parts) return;
    const int64_t begin = num_granules * thread / parts * granule;
    const int64_t end = std::min(n, num_granules * (thread + 1) / parts * granule);
    if (begin < end) body(begin, end);
  });
}

void ThreadPool::ParallelTasks(int64_t n, absl::FunctionRef<void(int64_t)> body) {
  if (workers_.empty() || n <= 1) {
    for (int64_t i = 0; i < n; ++i) body(i);
    return;
  }
  std::atomic<int64_t> next{0};
  RunOnAll([&](int) {
    for (int64_t i = next.fetch_add(1); i < n; i = next.fetch_add(1)) body(i);
  });
}

void ThreadPool::RunOnAll(absl::FunctionRef<void(int)> body) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    body_ = &body;
    pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    epoch_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  body(0);
  for (int spin = 0; spin < kSpins && pending_.load(std::memory_order_acquire) != 0; ++spin) Pause();
  if (pending_.load(std::memory_order_acquire) != 0) {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return pending_.load(std::memory_order_acquire) == 0; });
  }
}

void ThreadPool::WorkerLoop(int thread) {
  uint64_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && epoch_.load(std::memory_order_acquire) == seen; ++spin) Pause();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return epoch_.load(std::memory_order_acquire) != seen; });
      seen = epoch_.load(std::memory_order_acquire);
      if (stopping_) return;
    }
    (*body_)(thread);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      std::lock_guard<std::mutex> lock(mutex_);
      done_.notify_one();
    }
  }
}

int DefaultNumThreads(int ranks_on_host) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = 1;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  return std::max(1, cores / std::max(1, ranks_on_host));
}

}  // namespace weft
