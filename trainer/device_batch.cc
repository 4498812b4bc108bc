// Uploads (see device_batch.h).
#include "trainer/device_batch.h"

namespace weft {

ConstTensorView DeviceBatch::Place(Stream& stream, const Tensor& from, Tensor& copy) {
  if (!device_.is_cuda()) return from.view();
  if (!(copy.shape() == from.shape())) copy = Tensor(from.shape(), from.dtype(), device_);
  stream.Copy(copy, from);
  return copy.view();
}

std::vector<MicroBatchView> DeviceBatch::Upload(Stream& stream, std::vector<MicroBatch> micro_batches) {
  stream.Synchronize();  // the last step's copies may still read the host's memory
  host_ = std::move(micro_batches);
  copies_.resize(host_.size());
  std::vector<MicroBatchView> views;
  for (size_t i = 0; i < host_.size(); ++i) {
    const MicroBatch& from = host_[i];
    Copies& to = copies_[i];
    views.push_back({.tokens = Place(stream, from.tokens, to.tokens),
                     .targets = Place(stream, from.targets, to.targets),
                     .weights = Place(stream, from.weights, to.weights),
                     .positions = Place(stream, from.positions, to.positions),
                     .packing = {.cu_seqlens = Place(stream, from.cu_seqlens, to.cu_seqlens),
                                 .max_seqlen = from.max_seqlen}});
  }
  return views;
}

}  // namespace weft
