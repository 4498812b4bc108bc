// FaultyCommunicator: a communicator that goes wrong at a chosen call, to prove that a test would notice.
//
// Wraps the world of a rank on the CPU; what is split from it is wrapped as well. A fault says at which calls (of a kind,
// on a communicator of a name) and what happens instead: the peers' shares are lost, the result is scaled, or the size is another.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "parallel/communicator.h"

namespace weft {

enum class CallKind : uint8_t { kAllReduce, kAllGather, kReduceScatter, kBroadcast, kSend, kReceive };

// A call as a fault sees it.
struct FaultyCall {
  CallKind kind;
  const Communicator& communicator;  // its name(), rank(), size()
  DType dtype;
  int64_t num_elements;  // of what the call writes (Send: reads)
};

enum class FaultEffect : uint8_t {
  // No rank's call is made. All-reduce and reduce-scatter leave the rank's own share, the others leave what was there.
  // Ranks must agree on it, and a Send is lost together with its Receive, or the job hangs.
  kSkip,
  kScale,  // the call is made; then this rank's result is multiplied by `factor` (a Send: nothing happens)
  kShorten,  // all-reduce alone: this rank's call is made with one element fewer than the others'
};

struct Fault {
  std::function<bool(const FaultyCall&)> where;
  FaultEffect effect = FaultEffect::kSkip;
  double factor = 2.0;
  int nth = 0;  // which of those calls, counted on each communicator; kEvery for all
  // How often the fault has struck, over all ranks that share it: a test that expects a wrong result checks this too.
  std::shared_ptr<std::atomic<int>> num_struck = std::make_shared<std::atomic<int>>(0);

  static constexpr int kEvery = -1;
};

// Calls of `kind` on communicators called `name`.
inline std::function<bool(const FaultyCall&)> CallsOn(const std::string& name, CallKind kind) {
  return [=](const FaultyCall& call) { return call.kind == kind && call.communicator.name() == name; };
}

namespace faulty_internal {

template <typename T>
void ScaleElements(TensorView data, double factor) {
  for (int64_t i = 0; i < data.num_elements(); ++i) {
    T& element = data.data<T>()[i];
    if constexpr (std::is_same_v<T, bf16>) {
      element = bf16(static_cast<float>(static_cast<double>(static_cast<float>(element)) * factor));
    } else {
      element = static_cast<T>(static_cast<double>(element) * factor);
    }
  }
}

inline void Scale(Stream& stream, TensorView data, double factor) {
  stream.Run([data, factor] {
    if (data.dtype() == DType::kF32) return ScaleElements<float>(data, factor);
    if (data.dtype() == DType::kBF16) return ScaleElements<bf16>(data, factor);
    if (data.dtype() == DType::kI64) return ScaleElements<int64_t>(data, factor);
    WEFT_CHECK(false) << "a fault cannot scale " << DTypeName(data.dtype());
  });
}

}  // namespace faulty_internal

class FaultyCommunicator : public Communicator {
 public:
  // `inner` must outlive this.
  FaultyCommunicator(Communicator& inner, const std::vector<Fault>& faults)
      : Communicator(inner.name()), inner_(inner), faults_(faults), num_calls_(faults.size()) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }

  void AllReduce(Stream& stream, TensorView data, ReduceOp op) override {
    const Fault* fault = Strike(CallKind::kAllReduce, data);
    const bool is_shortened = fault != nullptr && fault->effect == FaultEffect::kShorten;
    if (!IsSkipped(fault)) inner_.AllReduce(stream, is_shortened ? data.Flat().Rows(0, data.num_elements() - 1) : data, op);
    ScaleIf(fault, stream, data);
  }
  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    const Fault* fault = Strike(CallKind::kAllGather, whole);
    if (!IsSkipped(fault)) inner_.AllGather(stream, part, whole);
    ScaleIf(fault, stream, whole);
  }
  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    const Fault* fault = Strike(CallKind::kReduceScatter, part);
    if (!IsSkipped(fault)) {
      inner_.ReduceScatter(stream, whole, part);
    } else {
      const int64_t n = part.num_elements();
      const ConstTensorView mine = whole.Flat().Rows(rank() * n, (rank() + 1) * n);
      if (mine.raw() != part.raw()) stream.Copy(part, mine);
    }
    ScaleIf(fault, stream, part);
  }
  void Broadcast(Stream& stream, TensorView data, int root) override {
    const Fault* fault = Strike(CallKind::kBroadcast, data);
    if (!IsSkipped(fault)) inner_.Broadcast(stream, data, root);
    ScaleIf(fault, stream, data);
  }
  void Send(Stream& stream, ConstTensorView data, int to) override {
    if (!IsSkipped(Strike(CallKind::kSend, data))) inner_.Send(stream, data, to);
  }
  void Receive(Stream& stream, TensorView data, int from) override {
    const Fault* fault = Strike(CallKind::kReceive, data);
    if (!IsSkipped(fault)) inner_.Receive(stream, data, from);
    ScaleIf(fault, stream, data);
  }
  void BeginGroup() override { inner_.BeginGroup(); }
  void EndGroup() override { inner_.EndGroup(); }

  std::unique_ptr<Communicator> Split(int color, int key, const std::string& name) override {
    std::unique_ptr<Communicator> child = inner_.Split(color, key, name);
    if (child == nullptr) return nullptr;
    auto faulty = std::make_unique<FaultyCommunicator>(*child, faults_);
    faulty->owned_ = std::move(child);
    return faulty;
  }
  std::vector<std::string> AllGatherBytes(const std::string& mine) override { return inner_.AllGatherBytes(mine); }

 private:
  // The fault meant for this call; nullptr when it is to go well.
  const Fault* Strike(CallKind kind, ConstTensorView data) {
    const FaultyCall call = {kind, *this, data.dtype(), data.num_elements()};
    const Fault* struck = nullptr;
    for (size_t i = 0; i < faults_.size(); ++i) {
      if (!faults_[i].where(call)) continue;
      const int number = num_calls_[i]++;
      if (faults_[i].nth == Fault::kEvery || faults_[i].nth == number) struck = &faults_[i];
    }
    if (struck != nullptr) ++*struck->num_struck;
    return struck;
  }
  static bool IsSkipped(const Fault* fault) { return fault != nullptr && fault->effect == FaultEffect::kSkip; }
  static void ScaleIf(const Fault* fault, Stream& stream, TensorView data) {
    if (fault != nullptr && fault->effect == FaultEffect::kScale) faulty_internal::Scale(stream, data, fault->factor);
  }

  Communicator& inner_;
  std::unique_ptr<Communicator> owned_;  // inner_, for what Split has made
  const std::vector<Fault> faults_;
  std::vector<int> num_calls_;  // that each fault's `where` held for; counted where the call is issued
};

}  // namespace weft
