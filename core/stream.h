// Stream: an ordered queue of work on one device. Every kernel and every collective is issued on one.
//
// On the CPU a stream runs work inline by default. With `asynchronous` it is a real queue with its own thread and
// seeded random delays, so that missing waits between streams show in tests without a GPU. On CUDA it is a cudaStream.
// A stream belongs to one rank and is used from one host thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <typeindex>
#include <typeinfo>

#include "core/device.h"
#include "core/tensor.h"
#include "core/thread_pool.h"

namespace weft {

struct StreamOptions {
  ThreadPool* pool = nullptr;   // CPU streams: the rank's threads (not owned); nullptr runs loops on one thread
  bool asynchronous = false;    // CPU streams: a queue with its own thread
  uint64_t delay_seed = 0;      // asynchronous: 0 means no delays, else random sleeps of up to 200 us before an item
};

// A point in a stream's order that others can wait for. Copyable; default-constructed means "already happened".
class Event {
 public:
  Event() = default;
  struct State;
  explicit Event(std::shared_ptr<State> state) : state_(std::move(state)) {}
  const std::shared_ptr<State>& state() const { return state_; }
  void Synchronize() const;  // blocks the host until it has happened

 private:
  std::shared_ptr<State> state_;
};

class Stream {
 public:
  static std::unique_ptr<Stream> Create(Device device, const StreamOptions& options = {});
  virtual ~Stream() = default;

  Device device() const { return device_; }
  // The threads that CPU work on this stream may use.
  ThreadPool& pool() const { return *pool_; }

  // CPU streams: runs `work` in order (inline, or later on the queue's thread). A bug on a CUDA stream.
  virtual void Run(std::function<void()> work) = 0;
  // CUDA streams: the cudaStream_t, for kernels/cuda and the NCCL communicator. nullptr on the CPU.
  virtual void* cuda_handle() const { return nullptr; }

  virtual Event Record() = 0;                // an event after all work issued so far
  virtual void Wait(const Event& event) = 0;  // work issued from now on starts after `event`
  virtual void Synchronize() = 0;            // blocks the host until all work issued has been done

  // to := from, same bytes, any two devices of this rank, in stream order.
  void Copy(TensorView to, ConstTensorView from);
  void Zero(TensorView to);

  // Scratch of at least `bytes` on the stream's device, [bytes] u8, shared by all work on this stream and valid until
  // the next call: each kernel takes it, writes before it reads, and leaves nothing in it. Grows (with a
  // synchronisation) only when a larger request than ever before comes, which after the first step does not happen.
  TensorView Workspace(size_t bytes);
  // The one T of this stream, constructed at first use and destroyed with it: a library's handle and its plans. As a
  // stream belongs to one host thread, what it keeps needs no lock.
  template <typename T>
  T& Attached() {
    std::shared_ptr<void>& slot = attached_[std::type_index(typeid(T))];
    if (slot == nullptr) slot = std::make_shared<T>();
    return *static_cast<T*>(slot.get());
  }
  // Tests: fills the workspace with bytes that are NaN in every float type.
  void PoisonWorkspace();

 protected:
  Stream(Device device, ThreadPool* pool);

 private:
  Device device_;
  std::unique_ptr<ThreadPool> own_pool_;  // when none was given
  ThreadPool* pool_;
  Buffer workspace_;
  std::map<std::type_index, std::shared_ptr<void>> attached_;
};

}  // namespace weft
