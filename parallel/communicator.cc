// What all communicators share, and the one for a single rank.
#include "parallel/communicator.h"

namespace weft {
namespace {

class SelfCommunicator : public Communicator {
 public:
  explicit SelfCommunicator(const std::string& name) : Communicator(name) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void AllReduce(Stream&, TensorView, ReduceOp) override {}
  void AllGather(Stream& stream, ConstTensorView part, TensorView whole) override {
    if (part.raw() != whole.raw()) stream.Copy(whole.Reshaped(part.shape()), part);
  }
  void ReduceScatter(Stream& stream, ConstTensorView whole, TensorView part) override {
    if (part.raw() != whole.raw()) stream.Copy(part.Reshaped(whole.shape()), whole);
  }
  void Broadcast(Stream&, TensorView, int) override {}
  void Send(Stream&, ConstTensorView, int) override { WEFT_CHECK(false) << "a single rank has nobody to send to"; }
  void Receive(Stream&, TensorView, int) override { WEFT_CHECK(false) << "a single rank has nobody to hear from"; }
  std::unique_ptr<Communicator> Split(int color, int, const std::string& name) override {
    return color < 0 ? nullptr : MakeSelfCommunicator(name);
  }
  std::vector<std::string> AllGatherBytes(const std::string& mine) override { return {mine}; }
};

}  // namespace

std::unique_ptr<Communicator> MakeSelfCommunicator(const std::string& name) {
  return std::make_unique<SelfCommunicator>(name);
}

Status AgreeOnStatus(Communicator& communicator, const Status& mine) {
  if (communicator.size() == 1) return mine;
  std::string encoded;
  if (!mine.ok()) encoded = StrCat(static_cast<int>(mine.code()), " ", mine.message());
  const std::vector<std::string> all = communicator.AllGatherBytes(encoded);
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].empty()) continue;
    const size_t space = all[rank].find(' ');
    const auto code = static_cast<absl::StatusCode>(std::stoi(all[rank].substr(0, space)));
    bool same_everywhere = true;
    for (const std::string& other : all) same_everywhere &= other == all[rank];
    const std::string message = all[rank].substr(space + 1);
    return Status(code, same_everywhere ? message : StrCat("rank ", rank, ": ", message));
  }
  return absl::OkStatus();
}

}  // namespace weft
