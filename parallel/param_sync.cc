// Gathering weights and reducing gradients (see param_sync.h).
#include "parallel/param_sync.h"

#include <algorithm>

#include "core/str_cat.h"
#include "kernels/elementwise.h"

namespace weft {
namespace {

// Counts how many slots of each size are held as a plan is walked.
class HeldSlots {
 public:
  HeldSlots(const ParamLayout& layout, ParamState state) : layout_(layout), state_(state) {}
  void Take(int bucket) {
    const int64_t size = layout_.whole_elements(bucket);
    if (size == 0 || layout_.IsWhole(state_, bucket) || !held_.emplace(bucket, size).second) return;
    const auto same = std::count_if(held_.begin(), held_.end(), [size](const auto& held) { return held.second == size; });
    most_[size] = std::max(most_[size], static_cast<int>(same));
  }
  void Return(int bucket) { held_.erase(bucket); }
  const std::map<int64_t, int>& most() const { return most_; }

 private:
  const ParamLayout& layout_;
  const ParamState state_;
  std::map<int, int64_t> held_;  // bucket: size
  std::map<int64_t, int> most_;
};

}  // namespace

SlotCounts CountSlots(const ParamLayout& layout, const StageLayout& stages, const std::vector<Plan>& plans) {
  HeldSlots weights(layout, ParamState::kWeights), grads(layout, ParamState::kGrads);
  for (const Plan& plan : plans) {
    for (const Action& action : plan) {
      switch (action.kind) {
        case ActionKind::kGather:
          weights.Take(action.group);
          break;
        case ActionKind::kRelease:
          weights.Return(action.group);
          break;
        case ActionKind::kBackward:
        case ActionKind::kBackwardWeight:
          for (int bucket : stages.ParamGroupsOf(action.group)) grads.Take(bucket);
          break;
        case ActionKind::kReduce:
          grads.Return(action.group);
          break;
        default:
          break;
      }
    }
  }
  return {weights.most(), grads.most()};
}

ParamSync::ParamSync(ParamStore* store, const ProcessMesh& mesh, const StageLayout& stages, const std::vector<Plan>& plans,
                     Stream* compute, Stream* comm)
    : store_(store), mesh_(mesh), compute_(compute), comm_(comm), arena_(store->device()) {
  buckets_.resize(static_cast<size_t>(layout().num_buckets()));
  matrices_.resize(buckets_.size());
  for (int id = 0; id < store->num_params(); ++id) {
    if (!store->Holds(id)) continue;
    if (layout().place(id).sharded) matrices_[static_cast<size_t>(layout().place(id).bucket)].push_back(id);
    if (store->spec(id).stages.size() > 1) tied_param_ = id;
  }
  const SlotCounts counts = CountSlots(layout(), stages, plans);
  AllocateSlots("gathered weights", counts.weights, store->options().compute_dtype, &free_weights_);
  AllocateSlots("whole gradients", counts.grads, DType::kF32, &free_grads_);
}

void ParamSync::AllocateSlots(const char* what, const std::map<int64_t, int>& counts, DType dtype, FreeSlots* free) {
  for (const auto& [size, count] : counts) {
    for (int i = 0; i < count; ++i) {
      slots_.push_back(std::make_unique<Slot>());
      slots_.back()->memory = arena_.Allocate(StrCat(what, ", slot ", i, " of ", size), {size}, dtype);
      comm_->Zero(slots_.back()->memory);  // padding stays zero
      free->by_size.emplace(size, slots_.back().get());
      free->all_were_held_of_size[size] = false;
    }
  }
  comm_->Synchronize();
}

ParamSync::Slot* ParamSync::Take(FreeSlots& free, int64_t num_elements, Stream& stream) {
  const auto found = free.by_size.find(num_elements);
  WEFT_CHECK(found != free.by_size.end()) << "the plan holds more buckets of " << num_elements << " elements than were counted";
  Slot* slot = found->second;
  free.by_size.erase(found);
  if (!free.by_size.contains(num_elements)) free.all_were_held_of_size[num_elements] = true;
  stream.Wait(slot->free);
  return slot;
}

bool ParamSync::all_slots_were_held() const {
  for (const FreeSlots* free : {&free_weights_, &free_grads_}) {
    for (const auto& [size, all_were_held] : free->all_were_held_of_size) {
      if (!all_were_held) return false;
    }
  }
  return true;
}

TensorView ParamSync::OwnedRows(int id, TensorView whole) const {
  const ParamPlace& place = layout().place(id);
  const int64_t begin = place.whole_offset + place.shard_begin;
  return whole.Rows(begin, begin + place.owned.num_elements());
}

void ParamSync::GatherShards(int bucket, TensorView whole) {
  mesh_.dp->BeginGroup();
  for (int id : matrices_[static_cast<size_t>(bucket)]) {
    const ParamPlace& place = layout().place(id);
    const int64_t size = place.owned.num_elements() * layout().num_shards();
    mesh_.dp->AllGather(*comm_, store_->OwnedWeight(id).Flat(), whole.Rows(place.whole_offset, place.whole_offset + size));
  }
  mesh_.dp->EndGroup();
}

void ParamSync::ReduceScatterShards(int bucket, TensorView whole) {
  mesh_.dp->BeginGroup();
  for (int id : matrices_[static_cast<size_t>(bucket)]) {
    const ParamPlace& place = layout().place(id);
    const int64_t size = place.owned.num_elements() * layout().num_shards();
    mesh_.dp->ReduceScatter(*comm_, whole.Rows(place.whole_offset, place.whole_offset + size), OwnedRows(id, whole));
  }
  mesh_.dp->EndGroup();
}

void ParamSync::MarkUpdated() {
  updated_ = compute_->Record();
  for (Bucket& bucket : buckets_) bucket.current = false;
}

void ParamSync::Gather(int bucket) {
  Bucket& state = buckets_[static_cast<size_t>(bucket)];
  if (layout().zero_stage() == 0 || layout().whole_elements(bucket) == 0 || state.current) return;
  comm_->Wait(updated_);
  if (layout().IsWhole(ParamState::kWeights, bucket)) {
    GatherShards(bucket, store_->Buffer(ParamState::kWeights, bucket));
    state.current = true;
  } else {
    WEFT_CHECK(state.weights == nullptr) << "bucket " << bucket << " is gathered already";
    state.weights = Take(free_weights_, layout().whole_elements(bucket), *comm_);
    GatherShards(bucket, state.weights->memory);
    store_->Bind(ParamState::kWeights, bucket, state.weights->memory);
  }
  state.gathered = comm_->Record();
}

void ParamSync::Release(int bucket) {
  Bucket& state = buckets_[static_cast<size_t>(bucket)];
  if (state.weights == nullptr) return;
  state.weights->free = compute_->Record();
  free_weights_.by_size.emplace(layout().whole_elements(bucket), state.weights);
  state.weights = nullptr;
  store_->Bind(ParamState::kWeights, bucket, {});
}

void ParamSync::UseWeights(int bucket) {
  if (layout().zero_stage() == 0 || layout().whole_elements(bucket) == 0) return;
  const Bucket& state = buckets_[static_cast<size_t>(bucket)];
  WEFT_CHECK(state.current || state.weights != nullptr) << "bucket " << bucket << " is used while its weights are not gathered";
  compute_->Wait(state.gathered);
}

void ParamSync::UseGrads(int bucket) {
  Bucket& state = buckets_[static_cast<size_t>(bucket)];
  const int64_t size = layout().whole_elements(bucket);
  if (size == 0 || layout().IsWhole(ParamState::kGrads, bucket) || state.grads != nullptr) return;
  state.grads = Take(free_grads_, size, *compute_);
  compute_->Zero(state.grads->memory);
  store_->Bind(ParamState::kGrads, bucket, state.grads->memory);
}

void ParamSync::Reduce(int bucket) {
  if (layout().whole_elements(bucket) == 0) return;
  comm_->Wait(compute_->Record());
  if (layout().zero_stage() == 0) return mesh_.dp->AllReduce(*comm_, store_->Buffer(ParamState::kGrads, bucket));
  if (layout().IsWhole(ParamState::kGrads, bucket)) {
    return ReduceScatterShards(bucket, store_->Buffer(ParamState::kGrads, bucket));
  }
  Bucket& state = buckets_[static_cast<size_t>(bucket)];
  WEFT_CHECK(state.grads != nullptr) << "bucket " << bucket << " has no gradient to reduce";
  ReduceScatterShards(bucket, state.grads->memory);
  for (int id : matrices_[static_cast<size_t>(bucket)]) {
    Accumulate(*comm_, {.x = OwnedRows(id, state.grads->memory), .y = store_->OwnedGrad(id).Flat()});
  }
  state.grads->free = comm_->Record();
  free_grads_.by_size.emplace(layout().whole_elements(bucket), state.grads);
  state.grads = nullptr;
  store_->Bind(ParamState::kGrads, bucket, {});
}

void ParamSync::ReduceTied() {
  WEFT_CHECK(tied_param_ >= 0 && mesh_.tied != nullptr) << "there is no tied table on this pipeline stage";
  comm_->Wait(compute_->Record());
  mesh_.tied->AllReduce(*comm_, store_->OwnedGrad(tied_param_).Flat());
}

void ParamSync::ReduceVectors() {
  const TensorView grads = store_->Buffer(ParamState::kGrads, layout().vector_bucket());
  if (grads.empty()) return;
  comm_->Wait(compute_->Record());
  mesh_.dp->AllReduce(*comm_, grads);
  const int64_t partial = layout().partial_vector_elements();
  if (mesh_.shape.tp > 1 && partial > 0) mesh_.tp->AllReduce(*comm_, grads.Rows(0, partial));
}

void ParamSync::Finish() { compute_->Wait(comm_->Record()); }

}  // namespace weft
