// Notes calls on their way to the communicator that makes them (see watched_communicator.h).
#include "parallel/watched_communicator.h"

#include <utility>

namespace weft {
namespace {

// An id for a group that all its ranks compute alike and no other group does: FNV-1a over its origin.
uint64_t GroupId(uint64_t parent, uint64_t split, uint64_t color) {
  uint64_t hash = 14695981039346656037u;
  for (const uint64_t word : {parent, split, color}) {
    for (int byte = 0; byte < 8; ++byte) hash = (hash ^ ((word >> (8 * byte)) & 0xff)) * 1099511628211u;
  }
  return hash;
}

class WatchedCommunicator : public Communicator {
 public:
  WatchedCommunicator(std::unique_ptr<Communicator> inner, RankRecord& record, uint64_t id)
      : Communicator(inner->name()),
        inner_(std::move(inner)),
        record_(record),
        calls_(record.AddCommunicator(id, inner_->name(), inner_->rank(), inner_->size())) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }

  void AllReduce(Stream& stream, TensorView data, ReduceOp op) override {
    Note(stream, Describe(Operation::kAllReduce, data), [&] { inner_->AllReduce(stream, data, op); });
  }
  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    Note(stream, Describe(Operation::kAllGather, part), [&] { inner_->AllGather(stream, part, whole); });
  }
  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    Note(stream, Describe(Operation::kReduceScatter, part), [&] { inner_->ReduceScatter(stream, whole, part); });
  }
  void Broadcast(Stream& stream, TensorView data, int root) override {
    Note(stream, Describe(Operation::kBroadcast, data, root), [&] { inner_->Broadcast(stream, data, root); });
  }
  void Send(Stream& stream, ConstTensorView data, int to) override {
    Note(stream, Describe(Operation::kSend, data, to), [&] { inner_->Send(stream, data, to); });
  }
  void Receive(Stream& stream, TensorView data, int from) override {
    Note(stream, Describe(Operation::kReceive, data, from), [&] { inner_->Receive(stream, data, from); });
  }
  void BeginGroup() override { inner_->BeginGroup(); }
  void EndGroup() override { inner_->EndGroup(); }

  std::unique_ptr<Communicator> Split(int color, int key, const std::string& name) override {
    const uint64_t id = GroupId(calls_.id(), ++num_splits_, static_cast<uint64_t>(color));
    std::unique_ptr<Communicator> child = inner_->Split(color, key, name);
    if (child == nullptr) return nullptr;
    return std::make_unique<WatchedCommunicator>(std::move(child), record_, id);
  }

  std::vector<std::string> AllGatherBytes(const std::string& mine) override {
    calls_.Begin({.operation = Operation::kAllGatherBytes, .place = record_.position().place});
    std::vector<std::string> all = inner_->AllGatherBytes(mine);
    calls_.End();
    return all;
  }

 private:
  // The call, made here and now.
  CallRecord Describe(Operation operation, ConstTensorView data, int peer = -1) const {
    return {.operation = operation,
            .dtype = data.dtype(),
            .peer = peer,
            .num_elements = data.num_elements(),
            .place = record_.position().place};
  }

  static bool IsCollective(Operation operation) { return operation != Operation::kSend && operation != Operation::kReceive; }

  template <typename Body>
  void Note(Stream& stream, const CallRecord& call, const Body& body) {
    if (IsCollective(call.operation)) calls_.Count(call);
    if (stream.device().is_cuda()) {
      calls_.Begin(call);  // NCCL's first call between two ranks waits on the host
      body();
      calls_.End();
      return;
    }
    stream.Run([this, call] { calls_.Begin(call); });
    body();
    stream.Run([this] { calls_.End(); });
  }

  const std::unique_ptr<Communicator> inner_;
  RankRecord& record_;
  RankRecord::Calls& calls_;
  uint64_t num_splits_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> WatchCommunicator(std::unique_ptr<Communicator> inner, RankRecord& record) {
  const auto number = static_cast<uint64_t>(record.num_communicators());  // ranks wrap theirs in the same order
  return std::make_unique<WatchedCommunicator>(std::move(inner), record, GroupId(0, number, 0));
}

}  // namespace weft
