// OffloadedAdamW: the update of parameters whose masters and moments lie in host memory, after Ren et al.,
// "ZeRO-Offload", 2021: gradients come down, the host's cores update, and new weights go up in the compute dtype.
//
// The parameters are cut into chunks, and the chunks pass through a ring of page-locked buffers, so that while one is
// updated, gradients of later ones come down on one stream and weights of earlier ones go up on another:
//
//   download   g0 g1 g2 ------ g3 ----- g4          a gradient buffer is free again when its update is done,
//   update           u0 ------ u1 ----- u2 ...      a weight buffer when its upload is
//   upload                     w0       w1
//
// The ring is all the memory this takes, whatever the size of the model. The update is element by element, so chunks
// give the bits that the same update of the whole gives. Where the model's device is the CPU the same code runs, copies
// included.
#pragma once

#include <memory>
#include <vector>

#include "core/arena.h"
#include "kernels/adamw.h"
#include "parallel/param_layout.h"

namespace weft {

// 3 slots keep all three streams busy; 4 Mi elements (16 MiB down, 8 MiB up in bf16) hide the latency of a copy and are
// about a millisecond of work for the host.
struct OffloadRing {
  int64_t chunk_elements = int64_t{4} << 20;  // of a slot
  int num_slots = 3;
  // In host memory, with f32 gradients, weights of `weight_dtype` and the clipping factor.
  size_t bytes(DType weight_dtype) const;
};

// The ring of a rank with this layout: slots no larger than the largest parameter it owns.
OffloadRing RingFor(const ParamLayout& layout);

class OffloadedAdamW {
 public:
  // Allocates the ring. The update runs on `streams.pool`, on a stream of the host made by `streams`, as are the others:
  // an inline one makes Step return when the update is done, though not all uploads.
  OffloadedAdamW(Device device, DType weight_dtype, const StreamOptions& streams, const OffloadRing& ring);

  // Runs all `updates`, which differ from kernels/adamw.h in where things are: param, m and v in host memory; grad,
  // grad_scale and weight ([n] `weight_dtype`, never empty) on the device. Starts after what `compute` has been given so
  // far, and what it is given next starts after the last upload. The pool of `streams` must have no other work meanwhile.
  void Step(Stream& compute, const std::vector<AdamWArgs>& updates);

  const Arena& arena() const { return arena_; }  // the ring

 private:
  struct Slot {
    TensorView grad;    // [chunk_elements] f32, host
    TensorView weight;  // [chunk_elements] weight dtype, host
    Event downloaded, updated, uploaded;
  };
  // Elements [begin, end) of a parameter, flat.
  struct Chunk {
    const AdamWArgs* update;
    int64_t begin, end;
  };
  std::vector<Chunk> Cut(const std::vector<AdamWArgs>& updates) const;
  void Download(const Chunk& chunk, Slot& slot);
  void Update(const Chunk& chunk, Slot& slot);
  void Upload(const Chunk& chunk, Slot& slot);

  const int64_t chunk_elements_;
  Arena arena_;
  std::vector<Slot> slots_;
  TensorView grad_scale_;  // [1] f32, host
  std::unique_ptr<Stream> download_, upload_;  // of the device
  std::unique_ptr<Stream> update_;             // of the host
};

}  // namespace weft
