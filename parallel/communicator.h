// Communicator: the collectives that weft uses, over one group of ranks, in stream order.
//
// Implementations: NCCL for CUDA tensors, MPI for CPU tensors, threads of one process (tests), self (one rank).
// Every rank of the group calls the same collectives, with the same sizes, in the same order, and on one stream at a
// time (a stream that goes on after another's collective waits for its event). Buffers must stay untouched until the
// stream has passed the call. A transport failure inside a step aborts the process, naming the operation: the peers are
// already waiting.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/status.h"
#include "core/stream.h"
#include "core/tensor.h"

namespace weft {

enum class ReduceOp : uint8_t { kSum, kMax };

class Communicator {
 public:
  // `name` stands for the group in messages: "world", "dp", ...
  explicit Communicator(std::string name) : name_(std::move(name)) {}
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  const std::string& name() const { return name_; }
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // data: [n] f32 | i64, in place.
  virtual void AllReduce(Stream& stream, TensorView data, ReduceOp op = ReduceOp::kSum) = 0;
  // part: [n] any dtype; whole: [size() * n], part r at r * n. `part` may be its own place in `whole`.
  virtual void AllGather(Stream& stream, ConstTensorView part, TensorView whole) = 0;
  // whole: [size() * n] f32 | bf16 | i64; part: [n], the sum of every rank's piece number rank(). May be its own place in
  // `whole`. On the host bf16 is summed in f32 and rounded once; NCCL rounds where its algorithm does.
  virtual void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) = 0;
  // data: [n] any dtype, from `root` to all.
  virtual void Broadcast(Stream& stream, TensorView data, int root) = 0;
  // Point to point; matching calls meet in order for each pair of ranks. The stream may stand at a Send until the peer
  // has come to its Receive.
  virtual void Send(Stream& stream, ConstTensorView data, int to) = 0;
  virtual void Receive(Stream& stream, TensorView data, int from) = 0;
  // Around several collectives on one stream: the transport may make one operation of them, and may issue nothing
  // before EndGroup. Only NCCL does; groups do not nest.
  virtual void BeginGroup() {}
  virtual void EndGroup() {}

  // A communicator called `name` of the ranks that gave the same `color`, ordered by `key`; nullptr where color < 0.
  // Collective.
  virtual std::unique_ptr<Communicator> Split(int color, int key, const std::string& name) = 0;

  // Host side, blocking, for boundaries (start, load, save, evaluation) and not for the loop:
  // every rank's bytes, in rank order.
  virtual std::vector<std::string> AllGatherBytes(const std::string& mine) = 0;
  void Barrier() { AllGatherBytes(""); }

 private:
  const std::string name_;
};

// One rank alone: every collective is the identity (a gather copies).
std::unique_ptr<Communicator> MakeSelfCommunicator(const std::string& name = "world");

// One rank's failure becomes every rank's answer: OK only if all are OK, else the error of the lowest failing rank,
// with its rank where there are several.
Status AgreeOnStatus(Communicator& communicator, const Status& mine);

}  // namespace weft
