// Offsets and sizes of a rank's flat buffers (see param_layout.h).
#include "parallel/param_layout.h"

#include <algorithm>

#include "core/str_cat.h"

namespace weft {
namespace {

constexpr int64_t kAlignElements = 64;  // every parameter of a flat buffer begins on a 128-byte line, also in bf16

int64_t AlignUp(int64_t n) { return (n + kAlignElements - 1) / kAlignElements * kAlignElements; }

bool IsOnStage(const ParamSpec& spec, int stage) {
  return spec.stages.empty() || std::find(spec.stages.begin(), spec.stages.end(), stage) != spec.stages.end();
}

bool IsSplitOver(const ParamSpec& spec, Axis axis) {
  return std::any_of(spec.splits.begin(), spec.splits.end(), [axis](const Split& split) { return split.axis == axis; });
}

}  // namespace

const char* ParamStateName(ParamState state) {
  static const char* const kNames[kNumParamStates] = {"weights", "gradients", "masters", "first moments", "second moments"};
  return kNames[static_cast<size_t>(state)];
}

std::string ParamBuffer::name() const { return StrCat(ParamStateName(state), " of bucket ", bucket); }

ParamLayout::ParamLayout(std::vector<ParamSpec> specs, const MeshShape& mesh, const Coord& coord,
                         const ParamLayoutOptions& options)
    : specs_(std::move(specs)), mesh_(mesh), coord_(coord), options_(options) {
  if (options_.zero_stage > 0) num_shards_ = mesh_.dp;
  for (const ParamSpec& spec : specs_) num_groups_ = std::max(num_groups_, spec.group + 1);
  places_.resize(specs_.size());
  whole_.resize(static_cast<size_t>(num_buckets()), 0);
  owned_.resize(static_cast<size_t>(num_buckets()), 0);
  // Vectors with partial gradients first: their sum over tp is one call.
  for (int id = 0; id < num_params(); ++id) {
    if (specs_[static_cast<size_t>(id)].grad_sum_axes.contains(Axis::kTp)) Place(id);
  }
  partial_vector_elements_ = whole_elements(vector_bucket());
  for (int id = 0; id < num_params(); ++id) {
    if (!specs_[static_cast<size_t>(id)].grad_sum_axes.contains(Axis::kTp)) Place(id);
  }
}

void ParamLayout::Place(int id) {
  const ParamSpec& spec = specs_[static_cast<size_t>(id)];
  WEFT_CHECK(spec.persist || !spec.grad_sum_axes.contains(Axis::kTp)) << spec.name << ": a matrix with a partial gradient";
  ParamPlace& place = places_[static_cast<size_t>(id)];
  place.held = IsOnStage(spec, coord_.of(Axis::kPp));
  if (!place.held) return;
  place.sharded = num_shards_ > 1 && !spec.persist;
  place.bucket = spec.persist ? vector_bucket() : spec.group;
  place.local = place.owned = LocalShape(spec, mesh_);
  int64_t whole_elements = place.local.num_elements();
  if (place.sharded) {
    const int64_t rows = ShardRows(NumRows(place.local), num_shards_, spec.row_granule);
    place.owned.set(0, rows);
    place.shard_begin = place.owned.num_elements() * coord_.of(Axis::kDp);
    whole_elements = place.owned.num_elements() * num_shards_;
  }
  int64_t& whole = whole_[static_cast<size_t>(place.bucket)];
  int64_t& owned = owned_[static_cast<size_t>(place.bucket)];
  place.whole_offset = whole;
  place.owned_offset = owned;
  whole += AlignUp(whole_elements);
  owned += AlignUp(place.owned.num_elements());
}

bool ParamLayout::IsWhole(ParamState state, int bucket) const {
  if (num_shards_ == 1 || bucket == vector_bucket()) return true;
  switch (state) {
    case ParamState::kWeights:
      return options_.zero_stage < 3;
    case ParamState::kGrads:
      return options_.zero_stage < 2;
    default:
      return false;
  }
}

bool ParamLayout::MastersAreWeights() const {
  return options_.training && options_.compute_dtype == DType::kF32 && !options_.offload_optimizer;
}

std::vector<ParamBuffer> ParamLayout::Buffers() const {
  std::vector<ParamBuffer> buffers;
  for (int index = 0; index < (options_.training ? kNumParamStates : 1); ++index) {
    const auto state = static_cast<ParamState>(index);
    if (state == ParamState::kMasters && MastersAreWeights()) continue;
    for (int bucket = 0; bucket < num_buckets(); ++bucket) {
      const int64_t elements = IsWhole(state, bucket) ? whole_elements(bucket) : owned_elements(bucket);
      if (elements == 0) continue;
      buffers.push_back({.state = state,
                         .bucket = bucket,
                         .num_elements = elements,
                         .dtype = state == ParamState::kWeights ? options_.compute_dtype : DType::kF32,
                         .on_host = options_.offload_optimizer && state >= ParamState::kMasters});
    }
  }
  return buffers;
}

std::vector<Slab> ParamLayout::OwnedSlabs(int id) const {
  const ParamPlace& held = place(id);
  if (!held.held) return {};
  const ParamSpec& spec = specs_[static_cast<size_t>(id)];
  return held.sharded ? LocalSlabs(spec, mesh_, coord_, num_shards_, coord_.of(Axis::kDp)) : LocalSlabs(spec, mesh_, coord_);
}

bool ParamLayout::Votes(int id) const {
  const ParamPlace& held = place(id);
  if (!held.held) return false;
  const ParamSpec& spec = specs_[static_cast<size_t>(id)];
  if (!spec.stages.empty() && coord_.of(Axis::kPp) != spec.stages.front()) return false;
  for (const Axis axis : kAllAxes) {
    if (axis == Axis::kPp || IsSplitOver(spec, axis)) continue;
    if (axis == Axis::kDp && held.sharded) continue;
    if (coord_.of(axis) != id % mesh_.extent(axis)) return false;  // replicas take turns, so the work is spread
  }
  return true;
}

}  // namespace weft
