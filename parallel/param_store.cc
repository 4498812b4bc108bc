// Allocation and initial values of parameters (see param_store.h).
#include "parallel/param_store.h"

#include <algorithm>

#include "core/rng.h"
#include "core/str_cat.h"
#include "kernels/elementwise.h"

namespace weft {
namespace {

constexpr int64_t kAlignElements = 64;  // every parameter of a flat buffer begins on a 128-byte line, also in bf16

int64_t AlignUp(int64_t n) { return (n + kAlignElements - 1) / kAlignElements * kAlignElements; }

int NumGroups(const std::vector<ParamSpec>& specs) {
  int groups = 0;
  for (const ParamSpec& spec : specs) groups = std::max(groups, spec.group + 1);
  return groups;
}

}  // namespace

ParamStore::ParamStore(std::vector<ParamSpec> specs, const MeshShape& mesh, const Coord& coord, Device device,
                       const Options& options)
    : specs_(std::move(specs)), mesh_(mesh), coord_(coord), options_(options), arena_(device) {
  if (!options_.training) {
    weights_ = AllocateKind("weights", options_.compute_dtype);
    grads_.groups.resize(static_cast<size_t>(NumGroups(specs_)));
    return;
  }
  masters_ = AllocateKind("masters", DType::kF32);
  weights_ = options_.compute_dtype == DType::kF32 ? masters_ : AllocateKind("weights", options_.compute_dtype);
  grads_ = AllocateKind("gradients", DType::kF32);
  first_moments_ = AllocateKind("first moments", DType::kF32);
  second_moments_ = AllocateKind("second moments", DType::kF32);
}

ParamStore::Kind ParamStore::AllocateKind(const std::string& name, DType dtype) {
  std::vector<int64_t> lengths(static_cast<size_t>(NumGroups(specs_)), 0);
  std::vector<int64_t> offsets;
  for (const ParamSpec& spec : specs_) {
    int64_t& length = lengths[static_cast<size_t>(spec.group)];
    offsets.push_back(length);
    length += AlignUp(LocalShape(spec, mesh_).num_elements());
  }
  Kind kind;
  const std::unique_ptr<Stream> stream = Stream::Create(arena_.device());
  for (size_t group = 0; group < lengths.size(); ++group) {
    kind.groups.push_back(arena_.Allocate(StrCat(name, " of group ", group), {lengths[group]}, dtype));
    stream->Zero(kind.groups.back());
  }
  stream->Synchronize();
  for (size_t id = 0; id < specs_.size(); ++id) {
    const Shape shape = LocalShape(specs_[id], mesh_);
    const TensorView flat = kind.groups[static_cast<size_t>(specs_[id].group)];
    kind.views.push_back(flat.Rows(offsets[id], offsets[id] + shape.num_elements()).Reshaped(shape));
  }
  return kind;
}

std::vector<Slab> ParamStore::SlabsOf(int id) const { return LocalSlabs(specs_[id], mesh_, coord_); }

void ParamStore::Initialize(Stream& stream, uint64_t seed) {
  for (int id = 0; id < num_params(); ++id) {
    const TensorView target = options_.training ? Master(id) : MutableWeight(id);
    Tensor host(target.shape(), DType::kF32);
    InitializeParam(stream, seed, id, host);
    if (target.dtype() == DType::kF32) {
      stream.Copy(target, host);
    } else {
      Tensor staged(target.shape(), DType::kF32, device());
      stream.Copy(staged, host);
      Cast(stream, {.from = staged.view().Flat(), .to = target.Flat()});
      stream.Synchronize();  // `staged` ends here
    }
    stream.Synchronize();  // `host` ends here
  }
  if (options_.training) RefreshWeights(stream);
}

// Fills `host` [local shape] f32. The host's own threads work here, whatever the device.
void ParamStore::InitializeParam(Stream& stream, uint64_t seed, int id, TensorView host) {
  const ParamSpec& spec = specs_[id];
  const Rng rng(seed, StreamKey(spec.name));
  float* out = host.data<float>();
  if (spec.init.kind != Init::Kind::kNormal) {
    std::fill_n(out, host.num_elements(), spec.init.kind == Init::Kind::kOnes ? 1.0f : 0.0f);
    return;
  }
  const int64_t global_columns = NumColumns(spec.shape);
  for (const Slab& slab : SlabsOf(id)) {
    const int64_t columns = slab.col_end - slab.col_begin;
    stream.pool().ParallelFor(slab.row_end - slab.row_begin, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        float* to = out + (slab.local_row + row) * columns;
        const int64_t first = (slab.row_begin + row) * global_columns + slab.col_begin;
        for (int64_t column = 0; column < columns; ++column) {
          to[column] = static_cast<float>(spec.init.standard_deviation * rng.Normal(static_cast<uint64_t>(first + column)));
        }
      }
    });
  }
}

void ParamStore::RefreshWeights(Stream& stream) {
  if (options_.compute_dtype == DType::kF32) return;
  for (size_t group = 0; group < masters_.groups.size(); ++group) {
    Cast(stream, {.from = masters_.groups[group], .to = weights_.groups[group]});
  }
}

void ParamStore::ZeroGrads(Stream& stream) {
  for (const TensorView& group : grads_.groups) stream.Zero(group);
}

}  // namespace weft
