// ParamSync: what a plan's gather, release and reduce actions do: it moves weights and gradients between the ranks of a
// mesh, and owns the memory that holds whole weights and gradients while a plan needs them (ZeRO 2 and 3).
//
//   stage | gather G                    | reduce R
//   0     | -                           | all-reduce of the bucket, once a step
//   1     | shards into the whole, once | reduce-scatter onto the rank's own rows, once a step
//   2     | as 1                        | scratch, reduce-scattered and added to the shard, every micro-batch
//   3     | shards into a slot          | as 2
//
// Everything over the data-parallel axis goes in order on one stream, so all ranks agree on the order of collectives; the
// compute stream waits for an event where it reads, and slots are used again only after an event.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "core/arena.h"
#include "parallel/param_store.h"
#include "parallel/process_mesh.h"
#include "parallel/schedule.h"

namespace weft {

// Slots of whole weights and gradients that plans need at most at once, by size in elements.
struct SlotCounts {
  std::map<int64_t, int> weights;  // compute dtype
  std::map<int64_t, int> grads;    // f32
};
SlotCounts CountSlots(const ParamLayout& layout, const StageLayout& stages, const std::vector<Plan>& plans);

class ParamSync {
 public:
  // Allocates the slots that `plans` (this rank's) need. All references outlive it. `comm` may be the compute stream.
  ParamSync(ParamStore* store, const ProcessMesh& mesh, const StageLayout& stages, const std::vector<Plan>& plans,
            Stream* compute, Stream* comm);

  void Gather(int bucket);
  void Release(int bucket);
  // Before work that reads the bucket's weights, or adds to its gradients, is issued on the compute stream.
  void UseWeights(int bucket);
  void UseGrads(int bucket);
  void Reduce(int bucket);
  void ReduceTied();     // adds the tied table's gradients of the first and the last pipeline stage
  void ReduceVectors();  // sums the gradients of all vectors
  void Finish();         // the compute stream waits for all of it

  // Owned weights changed (an update, a load): what ranks hold of each other's shards is stale until the next gather.
  void MarkUpdated();

  const Arena& arena() const { return arena_; }  // the slots
  // At some time so far all slots of each size were held: there are not more than the plans need. For tests of the counts.
  bool all_slots_were_held() const;

 private:
  struct Slot {
    TensorView memory;  // [n]
    Event free;         // nothing uses it after this
  };
  struct Bucket {
    Slot* weights = nullptr;  // ZeRO 3: bound now
    Slot* grads = nullptr;    // ZeRO 2 and 3: bound now
    Event gathered;
    bool current = false;     // ZeRO 1 and 2: the whole weights are those of the last update
  };
  struct FreeSlots {
    std::multimap<int64_t, Slot*> by_size;        // in elements
    std::map<int64_t, bool> all_were_held_of_size;  // at some time so far
  };
  void AllocateSlots(const char* what, const std::map<int64_t, int>& counts, DType dtype, FreeSlots* free);
  // Takes a free slot; `stream` waits until nothing uses it any more.
  Slot* Take(FreeSlots& free, int64_t num_elements, Stream& stream);
  // Shards of a bucket's matrices into, or sums of its whole gradients out of, a whole buffer.
  void GatherShards(int bucket, TensorView whole);
  void ReduceScatterShards(int bucket, TensorView whole);
  // The rows of matrix `id` that this rank owns, flat, within its bucket's whole form.
  TensorView OwnedRows(int id, TensorView whole) const;
  const ParamLayout& layout() const { return store_->layout(); }

  ParamStore* const store_;
  const ProcessMesh& mesh_;
  Stream* const compute_;
  Stream* const comm_;
  Arena arena_;
  FreeSlots free_weights_, free_grads_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Bucket> buckets_;
  Event updated_;
  std::vector<std::vector<int>> matrices_;  // parameter ids, by bucket
  int tied_param_ = -1;
};

}  // namespace weft
