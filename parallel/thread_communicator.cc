// Collectives between threads: everyone posts a pointer, a barrier, each rank computes its part, a barrier.
//
// Reductions add in rank order, so results are the same bits on every run and every rank.
#include "parallel/thread_communicator.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>

#include "core/log.h"
#include "parallel/reduction.h"

namespace weft {
namespace {

// A reusable barrier that also works when several streams of a rank use different groups at once.
class Barrier {
 public:
  explicit Barrier(int size) : size_(size) {}
  void Arrive() {
    std::unique_lock<std::mutex> lock(mutex_);
    const uint64_t round = round_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      ++round_;
      all_here_.notify_all();
    } else {
      all_here_.wait(lock, [&] { return round_ != round; });
    }
  }

 private:
  const int size_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  int arrived_ = 0;
  uint64_t round_ = 0;
};

// What a rank brings to a collective. All ranks must bring the same: with other sizes they would read out of bounds, with
// other operations at the wrong time, and nobody would know.
struct Call {
  std::string_view operation;
  DType dtype = DType::kF32;
  int64_t num_elements = 0;
  int root = -1;  // of a broadcast
  bool operator==(const Call&) const = default;

  std::string ToString() const {
    const std::string from = root < 0 ? "" : StrCat(" from rank ", root);
    return StrCat(operation, " of ", num_elements, " ", DTypeName(dtype), from);
  }
};

// One direction between two ranks. A sender waits until its message has been taken, as MPI and NCCL do with long ones:
// so a plan that only works with buffers in between hangs here too.
struct Mailbox {
  struct Message {
    const std::byte* data;
    int64_t num_elements;
    DType dtype;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Message> messages;
  uint64_t num_sent = 0, num_taken = 0;
};

// What the ranks of one group share. Host-side calls have a barrier and slots of their own, so that they cannot meet
// a collective that is still under way on an asynchronous stream.
struct Group {
  explicit Group(int size)
      : size(size), barrier(size), host_barrier(size), calls(size), posted(size), bytes(size), split(size) {}
  const int size;
  Barrier barrier;
  Barrier host_barrier;
  std::vector<Call> calls;                // of the collective under way, by rank
  std::vector<const std::byte*> posted;   // and each rank's data for it
  std::vector<std::string> bytes;
  struct SplitChoice {
    int color, key;
  };
  std::vector<SplitChoice> split;
  std::map<int, std::shared_ptr<Group>> children;  // by color, while a split is under way
  std::mutex mutex;
  std::map<std::pair<int, int>, Mailbox> mailboxes;  // (from, to)

  Mailbox& MailboxOf(int from, int to) {
    WEFT_CHECK(from != to && to >= 0 && to < size && from >= 0 && from < size) << "a message from rank " << from
                                                                              << " to rank " << to << " of " << size;
    std::lock_guard<std::mutex> lock(mutex);
    return mailboxes[{from, to}];
  }
};

class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Group> group, int rank, const std::string& name)
      : Communicator(name), group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size; }

  void AllReduce(Stream& stream, TensorView data, ReduceOp op) override {
    WEFT_CHECK(data.dtype() == DType::kF32 || data.dtype() == DType::kI64) << "an all-reduce of " << DTypeName(data.dtype());
    stream.Run([this, data, op] {
      Enter({op == ReduceOp::kSum ? "all-reduce (sum)" : "all-reduce (max)", data.dtype(), data.num_elements()}, data.raw());
      // Each rank reduces its share aside; only when all have read may anyone write.
      const int64_t n = data.num_elements(), begin = n * rank_ / size(), end = n * (rank_ + 1) / size();
      const size_t offset = static_cast<size_t>(begin) * DTypeSize(data.dtype());
      std::vector<std::byte> share(static_cast<size_t>(end - begin) * DTypeSize(data.dtype()));
      ReduceInRankOrder(PostedFrom(offset), op, data.dtype(), end - begin, share.data());
      group_->barrier.Arrive();
      for (const std::byte* to : group_->posted) std::copy(share.begin(), share.end(), const_cast<std::byte*>(to) + offset);
      Leave();
    });
  }

  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    WEFT_CHECK_EQ(whole.num_bytes(), part.num_bytes() * static_cast<size_t>(size()));
    stream.Run([this, part, whole] {
      Enter({"all-gather", part.dtype(), part.num_elements()}, part.raw());
      for (int r = 0; r < size(); ++r) {
        std::byte* to = static_cast<std::byte*>(whole.raw()) + part.num_bytes() * static_cast<size_t>(r);
        if (to != group_->posted[r]) std::memcpy(to, group_->posted[r], part.num_bytes());
      }
      Leave();
    });
  }

  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    WEFT_CHECK_EQ(whole.num_elements(), part.num_elements() * size());
    WEFT_CHECK(whole.dtype() == part.dtype()) << DTypeName(whole.dtype()) << " into " << DTypeName(part.dtype());
    stream.Run([this, whole, part] {
      Enter({"reduce-scatter", part.dtype(), part.num_elements()}, whole.raw());
      std::vector<std::byte> sum(part.num_bytes());
      ReduceInRankOrder(PostedFrom(part.num_bytes() * static_cast<size_t>(rank_)), ReduceOp::kSum, part.dtype(),
                        part.num_elements(), sum.data());
      group_->barrier.Arrive();
      std::memcpy(part.raw(), sum.data(), sum.size());
      Leave();
    });
  }

  void Broadcast(Stream& stream, TensorView data, int root) override {
    stream.Run([this, data, root] {
      Enter({"broadcast", data.dtype(), data.num_elements(), root}, data.raw());
      if (rank_ != root) std::memcpy(data.raw(), group_->posted[root], data.num_bytes());
      Leave();
    });
  }

  void Send(Stream& stream, ConstTensorView data, int to) override {
    Mailbox& box = group_->MailboxOf(rank_, to);
    stream.Run([&box, data] {
      std::unique_lock<std::mutex> lock(box.mutex);
      box.messages.push_back({static_cast<const std::byte*>(data.raw()), data.num_elements(), data.dtype()});
      const uint64_t number = ++box.num_sent;
      box.changed.notify_all();
      box.changed.wait(lock, [&box, number] { return box.num_taken >= number; });
    });
  }

  void Receive(Stream& stream, TensorView data, int from) override {
    Mailbox& box = group_->MailboxOf(from, rank_);
    stream.Run([this, &box, data, from] {
      std::unique_lock<std::mutex> lock(box.mutex);
      box.changed.wait(lock, [&box] { return !box.messages.empty(); });
      const Mailbox::Message message = box.messages.front();
      WEFT_CHECK(message.num_elements == data.num_elements() && message.dtype == data.dtype())
          << name() << ": rank " << from << " sends " << message.num_elements << " " << DTypeName(message.dtype)
          << ", rank " << rank_ << " receives " << data.num_elements() << " " << DTypeName(data.dtype());
      std::memcpy(data.raw(), message.data, data.num_bytes());
      box.messages.pop_front();
      ++box.num_taken;
      box.changed.notify_all();
    });
  }

  std::unique_ptr<Communicator> Split(int color, int key, const std::string& name) override {
    group_->split[rank_] = {color, key};
    group_->host_barrier.Arrive();
    int rank = 0, size = 0;
    for (int r = 0; r < group_->size; ++r) {
      const Group::SplitChoice& other = group_->split[r];
      if (other.color != color) continue;
      ++size;
      if (other.key < key || (other.key == key && r < rank_)) ++rank;
    }
    std::shared_ptr<Group> child;
    {
      std::lock_guard<std::mutex> lock(group_->mutex);
      std::shared_ptr<Group>& slot = group_->children[color];
      if (slot == nullptr) slot = std::make_shared<Group>(size);
      child = slot;
    }
    group_->host_barrier.Arrive();
    {
      std::lock_guard<std::mutex> lock(group_->mutex);
      group_->children.erase(color);
    }
    group_->host_barrier.Arrive();
    if (color < 0) return nullptr;
    return std::make_unique<ThreadCommunicator>(child, rank, name);
  }

  std::vector<std::string> AllGatherBytes(const std::string& mine) override {
    group_->bytes[rank_] = mine;
    group_->host_barrier.Arrive();
    std::vector<std::string> all = group_->bytes;
    group_->host_barrier.Arrive();
    return all;
  }

 private:
  // Shows the other ranks this rank's data, waits for theirs, and makes sure that all mean the same collective.
  void Enter(const Call& call, const void* data) {
    WEFT_CHECK(!is_inside_.exchange(true))
        << name() << ": rank " << rank_ << " calls " << call.ToString()
        << " while another of its streams is inside a collective: let one stream wait for the other's event";
    group_->calls[rank_] = call;
    group_->posted[rank_] = static_cast<const std::byte*>(data);
    group_->barrier.Arrive();
    for (int r = 0; r < size(); ++r) {
      WEFT_CHECK(group_->calls[r] == call) << name() << ": rank " << rank_ << " calls " << call.ToString() << ", rank " << r
                                           << " calls " << group_->calls[r].ToString();
    }
  }
  // Nobody goes on while another rank still reads.
  void Leave() {
    group_->barrier.Arrive();
    is_inside_ = false;
  }
  // Every rank's data from a byte offset on.
  std::vector<const std::byte*> PostedFrom(size_t offset) const {
    std::vector<const std::byte*> from = group_->posted;
    for (const std::byte*& data : from) data += offset;
    return from;
  }

  std::shared_ptr<Group> group_;
  const int rank_;
  std::atomic<bool> is_inside_ = false;  // a collective of this rank is under way
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> MakeThreadCommunicators(int size) {
  auto group = std::make_shared<Group>(size);
  std::vector<std::unique_ptr<Communicator>> communicators;
  for (int rank = 0; rank < size; ++rank) communicators.push_back(std::make_unique<ThreadCommunicator>(group, rank, "world"));
  return communicators;
}

void RunThreadRanks(int size, const std::function<void(Communicator&)>& body) {
  std::vector<std::unique_ptr<Communicator>> communicators = MakeThreadCommunicators(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      SetCurrentRank({rank, StrCat("rank ", rank)});
      body(*communicators[rank]);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace weft
