// Collectives between threads: everyone posts a pointer, a barrier, each rank computes its part, a barrier.
//
// Reductions add in rank order, so results are the same bits on every run and every rank.
#include "parallel/thread_communicator.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "core/log.h"

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

// One direction between two ranks.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> messages;
};

// What the ranks of one group share. Host-side calls have a barrier and slots of their own, so that they cannot meet
// a collective that is still under way on an asynchronous stream.
struct Group {
  explicit Group(int size) : size(size), barrier(size), host_barrier(size), posted(size), bytes(size), split(size) {}
  const int size;
  Barrier barrier;
  Barrier host_barrier;
  std::vector<std::byte*> posted;
  std::vector<std::string> bytes;
  struct SplitChoice {
    int color, key;
  };
  std::vector<SplitChoice> split;
  std::map<int, std::shared_ptr<Group>> children;  // by color, while a split is under way
  std::mutex mutex;
  std::map<std::pair<int, int>, Mailbox> mailboxes;  // (from, to)

  Mailbox& MailboxOf(int from, int to) {
    std::lock_guard<std::mutex> lock(mutex);
    return mailboxes[{from, to}];
  }
};

template <typename T>
void ReduceInto(const std::vector<std::byte*>& inputs, T* out, int64_t begin, int64_t end, ReduceOp op) {
  for (int64_t i = begin; i < end; ++i) {
    T value = reinterpret_cast<const T*>(inputs[0])[i];
    for (size_t rank = 1; rank < inputs.size(); ++rank) {
      const T other = reinterpret_cast<const T*>(inputs[rank])[i];
      value = op == ReduceOp::kSum ? value + other : std::max(value, other);
    }
    out[i - begin] = value;
  }
}

void ReduceRange(const std::vector<std::byte*>& inputs, DType dtype, void* out, int64_t begin, int64_t end,
                 ReduceOp op) {
  if (dtype == DType::kF32) return ReduceInto(inputs, static_cast<float*>(out), begin, end, op);
  if (dtype == DType::kI64) return ReduceInto(inputs, static_cast<int64_t*>(out), begin, end, op);
  WEFT_CHECK(false) << "reductions take f32 or i64, not " << DTypeName(dtype);
}

class ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Group> group, int rank, const std::string& name)
      : Communicator(name), group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return group_->size; }

  void AllReduce(Stream& stream, TensorView data, ReduceOp op) override {
    stream.Run([this, data, op] {
      Post(data.raw());
      // Each rank reduces its share aside; only when all have read may anyone write.
      const int64_t n = data.num_elements(), begin = n * rank_ / size(), end = n * (rank_ + 1) / size();
      const size_t width = DTypeSize(data.dtype());
      std::vector<std::byte> share(static_cast<size_t>(end - begin) * width);
      ReduceRange(group_->posted, data.dtype(), share.data(), begin, end, op);
      group_->barrier.Arrive();
      for (std::byte* to : group_->posted) std::memcpy(to + static_cast<size_t>(begin) * width, share.data(), share.size());
      group_->barrier.Arrive();
    });
  }

  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    WEFT_CHECK_EQ(whole.num_bytes(), part.num_bytes() * static_cast<size_t>(size()));
    stream.Run([this, part, whole] {
      Post(const_cast<void*>(part.raw()));
      for (int r = 0; r < size(); ++r) {
        std::byte* to = static_cast<std::byte*>(whole.raw()) + part.num_bytes() * static_cast<size_t>(r);
        if (to != group_->posted[r]) std::memcpy(to, group_->posted[r], part.num_bytes());
      }
      group_->barrier.Arrive();
    });
  }

  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    WEFT_CHECK_EQ(whole.num_elements(), part.num_elements() * size());
    stream.Run([this, whole, part] {
      Post(const_cast<void*>(whole.raw()));
      const int64_t n = part.num_elements();
      std::vector<std::byte> sum(part.num_bytes());
      ReduceRange(group_->posted, part.dtype(), sum.data(), n * rank_, n * (rank_ + 1), ReduceOp::kSum);
      group_->barrier.Arrive();
      std::memcpy(part.raw(), sum.data(), sum.size());
      group_->barrier.Arrive();
    });
  }

  void Broadcast(Stream& stream, TensorView data, int root) override {
    stream.Run([this, data, root] {
      Post(data.raw());
      if (rank_ != root) std::memcpy(data.raw(), group_->posted[root], data.num_bytes());
      group_->barrier.Arrive();
    });
  }

  void Send(Stream& stream, ConstTensorView data, int to) override {
    Mailbox& box = group_->MailboxOf(rank_, to);
    stream.Run([&box, data] {
      std::lock_guard<std::mutex> lock(box.mutex);
      box.messages.emplace_back(static_cast<const char*>(data.raw()), data.num_bytes());
      box.changed.notify_one();
    });
  }

  void Receive(Stream& stream, TensorView data, int from) override {
    Mailbox& box = group_->MailboxOf(from, rank_);
    stream.Run([&box, data] {
      std::unique_lock<std::mutex> lock(box.mutex);
      box.changed.wait(lock, [&box] { return !box.messages.empty(); });
      WEFT_CHECK_EQ(box.messages.front().size(), data.num_bytes()) << "a message of another size";
      std::memcpy(data.raw(), box.messages.front().data(), data.num_bytes());
      box.messages.pop_front();
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
  void Post(void* data) {
    group_->posted[rank_] = static_cast<std::byte*>(data);
    group_->barrier.Arrive();
  }

  std::shared_ptr<Group> group_;
  const int rank_;
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
