// The micro-batches of a step on the model's device.
#pragma once

#include <vector>

#include "core/stream.h"
#include "data/batch.h"
#include "model/decoder.h"

namespace weft {

class DeviceBatch {
 public:
  explicit DeviceBatch(Device device) : device_(device) {}

  // Takes the host's micro-batches and returns views of them on the device, valid until the next call. On the CPU they
  // are the host's own memory; on CUDA the copies are queued on `stream` into memory that is used again every step.
  std::vector<MicroBatchView> Upload(Stream& stream, std::vector<MicroBatch> micro_batches);

 private:
  struct Copies {
    Tensor tokens, targets, weights, positions, cu_seqlens;
  };
  ConstTensorView Place(Stream& stream, const Tensor& from, Tensor& copy);

  Device device_;
  std::vector<MicroBatch> host_;
  std::vector<Copies> copies_;
};

}  // namespace weft
