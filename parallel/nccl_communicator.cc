// Collectives between CUDA devices over NCCL. The only file that knows nccl.h.
//
// Calls are queued on the stream and return at once, but for the first between two ranks, which connects them and waits for
// the other on the host. NCCL's errors come later, or never (over NVLink a device simply waits for a peer that is gone). So
// each call is noted before it is made and leaves an event behind it, and one thread a process looks at them.
// https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/usage/communicators.html#error-handling-and-communicator-abort
#include "parallel/nccl_communicator.h"

#include <nccl.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "absl/functional/function_ref.h"
#include "core/cuda_device.h"
#include "core/log.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

ncclDataType_t NcclType(DType dtype) {
  if (dtype == DType::kF32) return ncclFloat32;
  if (dtype == DType::kBF16) return ncclBfloat16;
  if (dtype == DType::kI64) return ncclInt64;
  WEFT_CHECK(false) << "reductions take f32, bf16 or i64, not " << DTypeName(dtype);
  return ncclNumTypes;
}

// A call as messages name it.
struct Call {
  const char* operation;  // "all-reduce", "send to"
  DType dtype;
  int64_t num_elements;
  int peer = -1;  // the other rank, or the root

  std::string ToString() const {
    const std::string rank = peer < 0 ? "" : StrCat(" rank ", peer);
    return StrCat(operation, rank, " (", num_elements, " ", DTypeName(dtype), ")");
  }
};

// The calls of one communicator that the device has not finished, oldest first.
class UnfinishedCalls {
 public:
  ~UnfinishedCalls() {
    for (const Entry& entry : entries_) cuda::DestroyEvent(entry.event);
    for (cuda::EventHandle event : free_events_) cuda::DestroyEvent(event);
  }

  // The host makes `call` now, which takes until Add.
  void Begin(const Call& call) {
    std::lock_guard<std::mutex> lock(mutex_);
    begun_ = call;
    begun_at_ = Clock::now();
  }

  void Add(const Call& call, cuda::StreamHandle stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    begun_.reset();
    if (free_events_.empty()) free_events_.push_back(cuda::CreateEvent());
    Entry entry = {call, free_events_.back(), ++num_calls_};
    free_events_.pop_back();
    cuda::Record(entry.event, stream);
    if (entries_.empty()) oldest_since_ = Clock::now();
    entries_.push_back(entry);
  }

  // Forgets what has finished; then names the oldest of the rest, and how long it has been that.
  std::string Oldest(std::chrono::seconds* waiting) {
    std::lock_guard<std::mutex> lock(mutex_);
    while (!entries_.empty() && cuda::HasHappened(entries_.front().event)) {
      free_events_.push_back(entries_.front().event);
      entries_.pop_front();
      oldest_since_ = Clock::now();
    }
    const auto since = [](Clock::time_point start) { return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start); };
    *waiting = std::chrono::seconds(0);
    if (entries_.empty() && !begun_.has_value()) return "no call is under way";
    if (entries_.empty()) {
      *waiting = since(begun_at_);
      return StrCat("call ", num_calls_ + 1, ", ", begun_->ToString(), ", is under way");
    }
    *waiting = since(oldest_since_);
    return StrCat("call ", entries_.front().number, ", ", entries_.front().call.ToString(), ", is under way");
  }

 private:
  struct Entry {
    Call call;
    cuda::EventHandle event;  // after the call
    int64_t number;           // of the communicator's calls, from 1: ranks can be compared
  };
  std::mutex mutex_;
  std::deque<Entry> entries_;
  std::vector<cuda::EventHandle> free_events_;
  Clock::time_point oldest_since_;
  int64_t num_calls_ = 0;
  std::optional<Call> begun_;
  Clock::time_point begun_at_;
};

// One communicator as the watching thread sees it.
struct Watched {
  ncclComm_t comm = nullptr;
  std::string name;  // "dp (rank 1 of 4)"
  UnfinishedCalls calls;
};

// The thread that asks the communicators of a process whether all is well, five times a second.
class Watch {
 public:
  Watch(int device, const NcclOptions& options) : patience_(options.patience) {
    const RankLabel label = CurrentRank();
    thread_ = std::thread([this, device, label] {
      SetCurrentRank(label);
      cuda::BindThread(device);
      Loop();
    });
  }
  ~Watch() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  void Add(Watched* watched) {
    std::lock_guard<std::mutex> lock(mutex_);
    watched_.insert(watched);
  }
  void Remove(Watched* watched) {
    std::lock_guard<std::mutex> lock(mutex_);
    watched_.erase(watched);
  }

 private:
  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return stop_; })) {
      for (Watched* watched : watched_) Look(*watched);
    }
  }
  void Look(Watched& watched) {
    std::chrono::seconds waiting;
    const std::string oldest = watched.calls.Oldest(&waiting);
    ncclResult_t error = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(watched.comm, &error);
    if (asked != ncclSuccess) error = asked;
    WEFT_CHECK(error == ncclSuccess || error == ncclInProgress)
        << "NCCL failed on " << watched.name << ": " << ncclGetErrorString(error) << " (" << ncclGetLastError(watched.comm)
        << "); " << oldest << ". Look for the first rank that failed";
    WEFT_CHECK(waiting < patience_) << "NCCL is stuck on " << watched.name << ": " << oldest << " for " << waiting.count()
                                    << " s. A rank is gone, or is in another call";
  }

  const std::chrono::seconds patience_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::set<Watched*> watched_;
  std::thread thread_;
};

class NcclCommunicator : public Communicator {
 public:
  // Takes `comm` over.
  NcclCommunicator(ncclComm_t comm, std::unique_ptr<Communicator> host, Device device, std::shared_ptr<Watch> watch)
      : Communicator(host->name()), host_(std::move(host)), device_(device), watch_(std::move(watch)) {
    watched_.comm = comm;
    watched_.name = StrCat(name(), " (rank ", rank(), " of ", size(), ")");
    int nccl_rank = -1;
    Check(ncclCommUserRank(comm, &nccl_rank), "ncclCommUserRank");
    WEFT_CHECK_EQ(nccl_rank, rank()) << "NCCL orders " << name() << " in another way than the host";
    watch_->Add(&watched_);
  }
  ~NcclCommunicator() override {
    watch_->Remove(&watched_);
    ncclCommDestroy(watched_.comm);  // waits for calls under way; a failure at the end changes nothing
  }

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }

  void AllReduce(Stream& stream, TensorView data, ReduceOp op) override {
    WEFT_CHECK(data.dtype() == DType::kF32 || data.dtype() == DType::kI64) << "an all-reduce of " << DTypeName(data.dtype());
    CheckPlace(data);
    Issue(stream, {"all-reduce", data.dtype(), data.num_elements()},
          [&] { return ncclAllReduce(data.raw(), data.raw(), Count(data), NcclType(data.dtype()), op == ReduceOp::kSum ? ncclSum : ncclMax,
                        watched_.comm, Native(stream)); });
  }

  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    WEFT_CHECK_EQ(whole.num_bytes(), part.num_bytes() * static_cast<size_t>(size()));
    CheckPlace(part);
    CheckPlace(whole);
    Issue(stream, {"all-gather", part.dtype(), part.num_elements()},
          [&] { return ncclAllGather(part.raw(), whole.raw(), part.num_bytes(), ncclUint8, watched_.comm, Native(stream)); });
  }

  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    WEFT_CHECK_EQ(whole.num_elements(), part.num_elements() * size());
    WEFT_CHECK(whole.dtype() == part.dtype()) << DTypeName(whole.dtype()) << " into " << DTypeName(part.dtype());
    CheckPlace(whole);
    CheckPlace(part);
    Issue(stream, {"reduce-scatter", part.dtype(), part.num_elements()},
          [&] { return ncclReduceScatter(whole.raw(), part.raw(), Count(part), NcclType(part.dtype()), ncclSum, watched_.comm, Native(stream)); });
  }

  void Broadcast(Stream& stream, TensorView data, int root) override {
    CheckPlace(data);
    Issue(stream, {"broadcast from", data.dtype(), data.num_elements(), root},
          [&] { return ncclBroadcast(data.raw(), data.raw(), data.num_bytes(), ncclUint8, root, watched_.comm, Native(stream)); });
  }

  void Send(Stream& stream, ConstTensorView data, int to) override {
    CheckPlace(data);
    Issue(stream, {"send to", data.dtype(), data.num_elements(), to},
          [&] { return ncclSend(data.raw(), data.num_bytes(), ncclUint8, to, watched_.comm, Native(stream)); });
  }

  void Receive(Stream& stream, TensorView data, int from) override {
    CheckPlace(data);
    Issue(stream, {"receive from", data.dtype(), data.num_elements(), from},
          [&] { return ncclRecv(data.raw(), data.num_bytes(), ncclUint8, from, watched_.comm, Native(stream)); });
  }

  void BeginGroup() override {
    WEFT_CHECK(!in_group_) << "groups do not nest";
    in_group_ = true;
    Check(ncclGroupStart(), "ncclGroupStart");
  }

  void EndGroup() override {
    in_group_ = false;
    if (!group_.empty()) watched_.calls.Begin(group_.front());
    Check(ncclGroupEnd(), "a group");
    for (const Call& call : group_) watched_.calls.Add(call, group_stream_);  // all done when the last is
    group_.clear();
  }

  std::unique_ptr<Communicator> Split(int color, int key, const std::string& name) override {
    ncclComm_t child = nullptr;
    Check(ncclCommSplit(watched_.comm, color < 0 ? NCCL_SPLIT_NOCOLOR : color, key, &child, nullptr), "ncclCommSplit");
    std::unique_ptr<Communicator> host = host_->Split(color, key, name);
    if (host == nullptr) return nullptr;
    return std::make_unique<NcclCommunicator>(child, std::move(host), device_, watch_);
  }

  std::vector<std::string> AllGatherBytes(const std::string& mine) override { return host_->AllGatherBytes(mine); }

 private:
  cudaStream_t Native(Stream& stream) const {
    WEFT_CHECK(stream.device() == device_) << name() << " works on streams of " << device_.ToString();
    return static_cast<cudaStream_t>(stream.cuda_handle());
  }
  static size_t Count(ConstTensorView data) { return static_cast<size_t>(data.num_elements()); }

  void CheckPlace(ConstTensorView data) const {
    WEFT_CHECK(data.device() == device_) << name() << " moves memory of " << device_.ToString() << ", not of "
                                         << data.device().ToString();
  }
  void Check(ncclResult_t result, const std::string& what) const {
    WEFT_CHECK(result == ncclSuccess) << "NCCL refuses " << what << " on " << watched_.name << ": " << ncclGetErrorString(result)
                                      << " (" << ncclGetLastError(watched_.comm) << ")";
  }
  // `make` hands the call to NCCL. Calls of a group are on the stream only after its end.
  void Issue(Stream& stream, const Call& call, absl::FunctionRef<ncclResult_t()> make) {
    watched_.calls.Begin(call);
    Check(make(), call.ToString());
    if (!in_group_) return watched_.calls.Add(call, stream.cuda_handle());
    WEFT_CHECK(group_.empty() || group_stream_ == stream.cuda_handle()) << "a group on " << name() << " uses two streams";
    group_stream_ = stream.cuda_handle();
    group_.push_back(call);
  }

  std::unique_ptr<Communicator> host_;
  const Device device_;
  std::shared_ptr<Watch> watch_;
  Watched watched_;
  bool in_group_ = false;
  std::vector<Call> group_;  // issued in the open group, all on group_stream_
  cuda::StreamHandle group_stream_ = nullptr;
};

// The same on all ranks; rank 0 makes it.
StatusOr<ncclUniqueId> AgreeOnId(Communicator& host) {
  ncclUniqueId id;
  Status made = absl::OkStatus();
  if (host.rank() == 0) {
    const ncclResult_t result = ncclGetUniqueId(&id);
    if (result != ncclSuccess) {
      made = absl::InternalError(StrCat("NCCL does not start: ", ncclGetErrorString(result), " (", ncclGetLastError(nullptr), ")"));
    }
  }
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(host, made));
  const std::string bytes = host.AllGatherBytes(host.rank() == 0 ? std::string(id.internal, sizeof id.internal) : "")[0];
  WEFT_CHECK_EQ(bytes.size(), sizeof id.internal);
  std::memcpy(id.internal, bytes.data(), bytes.size());
  return id;
}

}  // namespace

bool NcclIsBuiltIn() { return true; }

StatusOr<std::unique_ptr<Communicator>> MakeNcclCommunicator(Communicator& host, Device device, const NcclOptions& options) {
  WEFT_CHECK(device.is_cuda()) << "NCCL moves memory of CUDA devices, not of " << device.ToString();
  WEFT_ASSIGN_OR_RETURN(const ncclUniqueId id, AgreeOnId(host));
  std::unique_ptr<Communicator> own_host = host.Split(0, host.rank(), "all");
  cuda::BindThread(device.index);
  ncclComm_t comm = nullptr;
  const ncclResult_t result = ncclCommInitRank(&comm, host.size(), id, host.rank());
  if (result != ncclSuccess) {
    return absl::InternalError(StrCat("NCCL cannot connect rank ", host.rank(), " of ", host.size(), " on ", device.ToString(), " (",
                                      cuda::BusId(device.index), "): ", ncclGetErrorString(result), " (",
                                      ncclGetLastError(nullptr), "); NCCL_DEBUG=INFO shows more"));
  }
  auto watch = std::make_shared<Watch>(device.index, options);
  return std::make_unique<NcclCommunicator>(comm, std::move(own_host), device, std::move(watch));
}

}  // namespace weft
