// Composition: one way to lay a training run out over ranks, as the equivalence matrix enumerates them.
//
// Every composition of one model computes the same numbers; what differs is who computes them, when, and where they lie.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "parallel/mesh.h"

namespace weft {

// Sanitizers make a step some thirty times slower: under them tests take fewer compositions and fewer steps.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

struct Composition {
  MeshShape mesh;
  int zero_stage = 0;
  bool offload = false;              // of the optimizer
  std::string schedule = "1f1b";     // parallel.schedule
  bool uneven = false;               // stages: as uneven as five blocks allow, embedding or head alone; else even
  std::string recompute = "none";
  int accumulation = 1;              // micro-batches of a step on a replica
  std::string reshard = "per_micro_batch";  // zero_optimization.reshard
  bool tied = false;                 // the head is the embedding
  std::string family = "llama";      // model.model_type

  // "dp2_zero3_offload_acc4_tied_qwen2": what differs from the defaults; a gtest name.
  std::string Name() const;
  // The keys of the layout that differ from their defaults, as `--set` takes them.
  std::vector<std::string> LayoutKeys() const;
  // The keys of the model, and of what its family needs.
  std::vector<std::string> ModelKeys() const;
};

void PrintTo(const Composition& composition, std::ostream* out);

// One rank, nothing sharded, one micro-batch a step: what all others must equal.
Composition OneRank(const std::string& family, bool tied);

// Every composition whose settings mean something together:
//   - schedules other than 1f1b and uneven stages are for pipelines
//   - ZeRO stages shard over dp; without dp they mean stage 0 (IdleCompositions() shows that they are accepted)
//   - reshard says how long weights stay that stage 3 gathered
std::vector<Composition> AllCompositions();
// A pairwise cover of those.
std::vector<Composition> PairwiseCompositions();
// What must be there whatever the cover holds: tp2 x pp2 x dp2 with ZeRO 3 and offload, under each schedule.
std::vector<Composition> FullCompositions();
// Settings that mean nothing where they stand, which must then change nothing.
std::vector<Composition> IdleCompositions();

}  // namespace weft
