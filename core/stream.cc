// The three kinds of stream: inline on the host, a queue on the host, CUDA.
#include "core/stream.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "core/cuda_device.h"
#include "core/log.h"

namespace weft {

// Exactly one of the two ways is in use: a CUDA event, or a flag that the host queue sets.
struct Event::State {
  ~State() {
    if (cuda_event != nullptr) cuda::DestroyEvent(cuda_event);
  }
  void Set() {
    std::lock_guard<std::mutex> lock(mutex);
    happened = true;
    changed.notify_all();
  }
  void Await() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [this] { return happened; });
  }

  cuda::EventHandle cuda_event = nullptr;
  std::mutex mutex;
  std::condition_variable changed;
  bool happened = false;
};

void Event::Synchronize() const {
  if (state_ == nullptr) return;
  if (state_->cuda_event != nullptr) {
    cuda::SynchronizeEvent(state_->cuda_event);
  } else {
    state_->Await();
  }
}

namespace {

class InlineStream : public Stream {
 public:
  InlineStream(Device device, ThreadPool* pool) : Stream(device, pool) {}
  void Run(std::function<void()> work) override { work(); }
  Event Record() override { return {}; }
  void Wait(const Event& event) override { event.Synchronize(); }
  void Synchronize() override {}
};

class QueueStream : public Stream {
 public:
  QueueStream(Device device, const StreamOptions& options)
      : Stream(device, options.pool), random_(options.delay_seed), delays_(options.delay_seed != 0) {
    const RankLabel label = CurrentRank();
    thread_ = std::thread([this, label] {
      SetCurrentRank(label);
      Loop();
    });
  }
  ~QueueStream() override {
    Push(nullptr);  // the end mark
    thread_.join();
  }

  void Run(std::function<void()> work) override { Push(std::move(work)); }
  Event Record() override {
    auto state = std::make_shared<Event::State>();
    Push([state] { state->Set(); });
    return Event(state);
  }
  void Wait(const Event& event) override {
    if (event.state() != nullptr) Push([event] { event.Synchronize(); });
  }
  void Synchronize() override { Record().Synchronize(); }

 private:
  void Push(std::function<void()> work) {
    std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(std::move(work));
    wake_.notify_one();
  }
  void Loop() {
    while (true) {
      std::function<void()> work;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this] { return !queue_.empty(); });
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      if (!work) return;
      Delay();
      work();
    }
  }
  void Delay() {
    if (!delays_) return;
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator: only spread matters
    const uint64_t draw = random_ >> 33;
    if (draw % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(draw % 200));
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  uint64_t random_;
  bool delays_;
  std::thread thread_;
};

class CudaStream : public Stream {
 public:
  CudaStream(Device device, ThreadPool* pool) : Stream(device, pool), handle_(cuda::CreateStream(device.index)) {}
  ~CudaStream() override { cuda::DestroyStream(handle_); }

  void Run(std::function<void()>) override { WEFT_CHECK(false) << "host work on a CUDA stream"; }
  void* cuda_handle() const override { return handle_; }
  Event Record() override {
    auto state = std::make_shared<Event::State>();
    state->cuda_event = cuda::CreateEvent();
    cuda::Record(state->cuda_event, handle_);
    return Event(state);
  }
  void Wait(const Event& event) override {
    if (event.state() == nullptr) return;
    if (event.state()->cuda_event != nullptr) {
      cuda::Wait(handle_, event.state()->cuda_event);
    } else {
      event.Synchronize();
    }
  }
  void Synchronize() override { cuda::SynchronizeStream(handle_); }

 private:
  cuda::StreamHandle handle_;
};

}  // namespace

Stream::Stream(Device device, ThreadPool* pool) : device_(device), pool_(pool) {
  if (pool_ == nullptr) {
    own_pool_ = std::make_unique<ThreadPool>(1);
    pool_ = own_pool_.get();
  }
}

std::unique_ptr<Stream> Stream::Create(Device device, const StreamOptions& options) {
  if (device.is_cuda()) return std::make_unique<CudaStream>(device, options.pool);
  if (options.asynchronous) return std::make_unique<QueueStream>(device, options);
  return std::make_unique<InlineStream>(device, options.pool);
}

void Stream::Copy(TensorView to, ConstTensorView from) {
  WEFT_CHECK(to.dtype() == from.dtype() && to.num_elements() == from.num_elements())
      << to.shape() << " := " << from.shape();
  if (to.num_bytes() == 0) return;
  if (device_.is_cuda()) {
    cuda::CopyAsync(to.raw(), from.raw(), to.num_bytes(), cuda_handle());
  } else {
    Run([to, from] { std::memcpy(to.raw(), from.raw(), to.num_bytes()); });
  }
}

void Stream::Zero(TensorView to) {
  if (to.num_bytes() == 0) return;
  if (device_.is_cuda()) {
    cuda::SetAsync(to.raw(), 0, to.num_bytes(), cuda_handle());
  } else {
    Run([to] { std::memset(to.raw(), 0, to.num_bytes()); });
  }
}

TensorView Stream::Workspace(size_t bytes) {
  if (bytes > workspace_.bytes()) {
    Synchronize();
    workspace_ = Buffer(device_, bytes);
  }
  return TensorView(workspace_.data(), {static_cast<int64_t>(workspace_.bytes())}, DType::kU8, device_);
}

void Stream::PoisonWorkspace() {
  if (workspace_.bytes() == 0) return;
  Synchronize();
  if (device_.is_cuda()) {
    cuda::SetAsync(workspace_.data(), 0xff, workspace_.bytes(), cuda_handle());
  } else {
    std::memset(workspace_.data(), 0xff, workspace_.bytes());  // all ones is NaN in f32, bf16 and f16
  }
}

}  // namespace weft
