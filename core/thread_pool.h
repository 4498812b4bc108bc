// ThreadPool: the host threads of one rank. Fork-join only: ParallelFor returns when every part is done.
//
// Each rank owns one pool, so thread ranks in one process share nothing. Parts are cut statically by index, never by
// who comes first, so the result of a loop does not depend on timing. Plain std::thread: sanitizers see all of it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace weft {

class ThreadPool {
 public:
  // `num_threads` counts the calling thread: 1 means that loops run inline and no thread is started.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end) on disjoint parts that cover [0, n), at most one part a thread. Parts begin at multiples
  // of `granule`. Not reentrant: one loop at a time, from one thread.
  void ParallelFor(int64_t n, int64_t granule, absl::FunctionRef<void(int64_t begin, int64_t end)> body);

  // Calls body(i) once for each i in [0, n), on whichever thread is free next: for parts of uneven cost, whose results
  // must not depend on the order.
  void ParallelTasks(int64_t n, absl::FunctionRef<void(int64_t i)> body);

 private:
  void RunOnAll(absl::FunctionRef<void(int thread)> body);
  void WorkerLoop(int thread);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<uint64_t> epoch_{0};
  std::atomic<int> pending_{0};
  const absl::FunctionRef<void(int)>* body_ = nullptr;  // valid while a loop runs
  bool stopping_ = false;
};

// The cores this process may use, divided by the ranks that share the host; at least 1.
int DefaultNumThreads(int ranks_on_host);

}  // namespace weft
