// ParamStore: this rank's parameters, gradients and optimizer state, in the flat buffers that ParamLayout lists.
//
// The model reads Weight (compute dtype, whole after tensor parallelism); the backward pass accumulates into Grad (f32,
// whole); the optimizer updates what this rank *owns*: everything, or under ZeRO a shard of each matrix (param_layout.h).
// Where a rank does not hold the whole of something for good, ParamSync binds memory for it while a plan needs it.
// Parameter ids and groups are those of the whole model's table on every rank.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/stream.h"
#include "parallel/param_layout.h"

namespace weft {

class ParamStore {
 public:
  using Options = ParamLayoutOptions;

  // Allocates all of it, zeroed: on `device`, and with an offloaded optimizer masters and moments in host memory.
  ParamStore(std::vector<ParamSpec> specs, const MeshShape& mesh, const Coord& coord, Device device,
             const Options& options);

  const ParamLayout& layout() const { return layout_; }
  const std::vector<ParamSpec>& specs() const { return layout_.specs(); }
  const ParamSpec& spec(int id) const { return specs()[static_cast<size_t>(id)]; }
  int num_params() const { return layout_.num_params(); }
  const Options& options() const { return layout_.options(); }
  Device device() const { return device_arena_.device(); }
  Device state_device() const { return options().offload_optimizer ? Device::Cpu() : device(); }
  const Arena& device_arena() const { return device_arena_; }
  const Arena& host_arena() const { return host_arena_; }

  bool Holds(int id) const { return layout_.place(id).held; }  // this pipeline stage has it
  bool Votes(int id) const { return layout_.Votes(id); }       // see ParamLayout::Votes

  // Whole, [local shape]; the bucket must be resident (always, or between a plan's gather and release).
  ConstTensorView Weight(int id) const;  // compute dtype
  TensorView Grad(int id) const;         // f32, accumulated into

  // What this rank owns and updates, [owned shape]: `local shape`, or [shard rows, columns], padded with rows of zeros.
  TensorView OwnedWeight(int id) const;   // compute dtype, on device(); the master's memory where MastersAreWeights()
  TensorView OwnedGrad(int id) const;     // f32, on device(); reduced once the plan has run
  TensorView Master(int id) const { return OwnedState(ParamState::kMasters, id); }         // f32, on state_device()
  TensorView FirstMoment(int id) const { return OwnedState(ParamState::kFirstMoments, id); }    // f32, on state_device()
  TensorView SecondMoment(int id) const { return OwnedState(ParamState::kSecondMoments, id); }  // f32, on state_device()
  // Where it lies in the global tensor.
  std::vector<Slab> SlabsOf(int id) const { return layout_.OwnedSlabs(id); }

  // The whole or owned flat buffer of a bucket that is held for good; empty where it is not.
  TensorView Buffer(ParamState state, int bucket) const;
  // Whole weights or gradients of a bucket while a plan needs them; an empty view unbinds.
  void Bind(ParamState state, int bucket, TensorView whole);

  // Everything zero, as after construction.
  void Clear(Stream& stream);
  // Initial values: a pure function of (seed, name, global element), so they are the same on every mesh and device.
  void Initialize(Stream& stream, uint64_t seed);
  // Owned weights := masters, rounded to the compute dtype; after masters were loaded.
  void RefreshWeights(Stream& stream);
  void ZeroGrads(Stream& stream);

 private:
  TensorView OwnedState(ParamState state, int id) const;
  TensorView Whole(ParamState state, int bucket) const;
  void InitializeParam(Stream& stream, uint64_t seed, int id, TensorView host) const;

  ParamLayout layout_;
  Arena device_arena_, host_arena_;
  std::array<std::vector<TensorView>, kNumParamStates> buffers_;  // by bucket; empty where nothing is held for good
  std::array<std::vector<TensorView>, 2> bound_;                  // weights and gradients, by bucket
};

}  // namespace weft
