// ParamLayout: which flat buffers a rank holds for its parameters, gradients and optimizer state, and where each
// parameter lies in them. Pure arithmetic: ParamStore allocates exactly what Buffers() lists, and a listing of memory
// prints it without allocating.
//
// Parameters lie in *buckets*: one a group (embedding, each block, head) with its matrices, and a last one with all
// vectors (norms, biases: ParamSpec::persist). Under ZeRO (Rajbhandari et al., "ZeRO", 2020) data-parallel rank r owns
// rows [r S, (r + 1) S) of every matrix, after tensor parallelism, padded with zero rows to a multiple of S; so the
// shards of a matrix follow each other in its whole form, and gathers and reduce-scatters need no copies. What is owned is
// updated here: stage 1 shards masters and moments, 2 gradients too, 3 weights too. Vectors stay whole on every rank.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "parallel/mesh.h"
#include "parallel/param_spec.h"

namespace weft {

enum class ParamState : uint8_t { kWeights, kGrads, kMasters, kFirstMoments, kSecondMoments };
inline constexpr int kNumParamStates = 5;
const char* ParamStateName(ParamState state);  // "weights", ...

struct ParamLayoutOptions {
  DType compute_dtype = DType::kF32;  // f32 | bf16: of weights; the rest is f32
  bool training = true;               // false: weights alone, for serving
  int zero_stage = 0;                 // 0 to 3; with one data-parallel rank there is nothing to share out
  bool offload_optimizer = false;     // masters and moments in host memory
};

// A flat buffer, whole or this rank's shard of it.
struct ParamBuffer {
  ParamState state;
  int bucket = 0;
  int64_t num_elements = 0;
  DType dtype = DType::kF32;
  bool on_host = false;  // of an offloaded optimizer; else on the model's device
  std::string name() const;
  size_t bytes() const { return static_cast<size_t>(num_elements) * DTypeSize(dtype); }
};

// One parameter on this rank. Offsets count elements.
struct ParamPlace {
  bool held = false;         // by this pipeline stage; else the rest means nothing
  bool sharded = false;      // this rank owns a run of its rows; else all
  int bucket = 0;
  Shape local;               // after tensor parallelism: what the model computes with
  Shape owned;               // what this rank updates: [rows of a shard, columns], or `local`
  int64_t shard_begin = 0;   // the element of the (padded) whole where the owned part begins
  int64_t whole_offset = 0;  // in the bucket's whole form
  int64_t owned_offset = 0;  // in the bucket's owned form
};

class ParamLayout {
 public:
  ParamLayout(std::vector<ParamSpec> specs, const MeshShape& mesh, const Coord& coord, const ParamLayoutOptions& options);

  const std::vector<ParamSpec>& specs() const { return specs_; }
  const ParamLayoutOptions& options() const { return options_; }
  const ParamPlace& place(int id) const { return places_[static_cast<size_t>(id)]; }
  int num_params() const { return static_cast<int>(specs_.size()); }
  int num_groups() const { return num_groups_; }
  int num_buckets() const { return num_groups_ + 1; }
  int vector_bucket() const { return num_groups_; }
  int num_shards() const { return num_shards_; }  // 1: nothing is sharded
  // The effective ZeRO stage: 0 when there is one shard.
  int zero_stage() const { return num_shards_ > 1 ? options_.zero_stage : 0; }

  int64_t whole_elements(int bucket) const { return whole_[static_cast<size_t>(bucket)]; }
  int64_t owned_elements(int bucket) const { return owned_[static_cast<size_t>(bucket)]; }
  // Vectors whose gradients are partial over tp (under sequence parallelism) lie first in their bucket: so many elements.
  int64_t partial_vector_elements() const { return partial_vector_elements_; }

  // Whether a rank always holds the whole of a bucket's weights or gradients, or its own shard.
  bool IsWhole(ParamState state, int bucket) const;
  // In f32 the weights are the masters: no buffer of their own. Not when the masters are on the host.
  bool MastersAreWeights() const;
  // What is allocated for good, in order. Empty buckets are left out.
  std::vector<ParamBuffer> Buffers() const;

  // Where what this rank owns of parameter `id` lies in the global tensor; nothing when it is not held.
  std::vector<Slab> OwnedSlabs(int id) const;
  // Of all ranks that own the same slabs, exactly one votes: it counts in the gradient norm and writes checkpoints.
  bool Votes(int id) const;

 private:
  void Place(int id);

  std::vector<ParamSpec> specs_;
  MeshShape mesh_;
  Coord coord_;
  ParamLayoutOptions options_;
  int num_shards_ = 1;
  int num_groups_ = 0;
  std::vector<ParamPlace> places_;
  std::vector<int64_t> whole_, owned_;  // elements, by bucket
  int64_t partial_vector_elements_ = 0;
};

}  // namespace weft
