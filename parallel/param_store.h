// ParamStore: this rank's parameters, gradients and optimizer state, laid out from the ParamSpec table.
//
// Parameters come in groups (embedding, each block, head): what is reduced, and later gathered and released, together.
// Each kind of state of a group is one flat buffer, so a collective over a group is one call without copies. The model
// reads Weight (compute dtype), the backward pass accumulates into Grad (f32), the optimizer owns Master, m and v
// (f32). In f32 the weights are the masters.
#pragma once

#include <string>
#include <vector>

#include "core/arena.h"
#include "core/stream.h"
#include "parallel/mesh.h"
#include "parallel/param_spec.h"

namespace weft {

class ParamStore {
 public:
  struct Options {
    DType compute_dtype = DType::kF32;  // f32 | bf16
    bool training = true;               // false: weights alone, for serving
  };

  // Allocates all of it on `device`, zeroed.
  ParamStore(std::vector<ParamSpec> specs, const MeshShape& mesh, const Coord& coord, Device device,
             const Options& options);

  const std::vector<ParamSpec>& specs() const { return specs_; }
  int num_params() const { return static_cast<int>(specs_.size()); }
  int num_groups() const { return static_cast<int>(grads_.groups.size()); }
  const Options& options() const { return options_; }
  Device device() const { return arena_.device(); }
  const Arena& arena() const { return arena_; }

  ConstTensorView Weight(int id) const { return weights_.views[id]; }  // [local shape] compute dtype
  TensorView MutableWeight(int id) { return weights_.views[id]; }
  TensorView Grad(int id) const { return grads_.views[id]; }          // [local shape] f32; training only
  TensorView Master(int id) const { return masters_.views[id]; }      // [local shape] f32; training only
  TensorView FirstMoment(int id) const { return first_moments_.views[id]; }    // [local shape] f32; training only
  TensorView SecondMoment(int id) const { return second_moments_.views[id]; }  // [local shape] f32; training only
  TensorView GroupGrads(int group) const { return grads_.groups[group]; }      // [n] f32: a group's gradients, flat

  // Where this rank's part of parameter `id` lies in the global tensor.
  std::vector<Slab> SlabsOf(int id) const;

  // Initial values: a pure function of (seed, name, global element), so they are the same on every mesh and device.
  void Initialize(Stream& stream, uint64_t seed);
  // Weights := masters, rounded to the compute dtype; after masters were loaded.
  void RefreshWeights(Stream& stream);
  void ZeroGrads(Stream& stream);

 private:
  // One kind of state: a flat buffer a group, and each parameter's view into it.
  struct Kind {
    std::vector<TensorView> groups;
    std::vector<TensorView> views;
  };
  Kind AllocateKind(const std::string& name, DType dtype);
  void InitializeParam(Stream& stream, uint64_t seed, int id, TensorView host);

  std::vector<ParamSpec> specs_;
  MeshShape mesh_;
  Coord coord_;
  Options options_;
  Arena arena_;
  Kind weights_, masters_, grads_, first_moments_, second_moments_;
};

}  // namespace weft
