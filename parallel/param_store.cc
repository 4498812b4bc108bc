// Allocation, views and initial values of parameters (see param_store.h).
#include "parallel/param_store.h"

#include <algorithm>

#include "core/rng.h"
#include "kernels/elementwise.h"

namespace weft {
namespace {

size_t Index(ParamState state) { return static_cast<size_t>(state); }

// The elements of a parameter within a flat buffer.
TensorView Part(TensorView flat, int64_t offset, const Shape& shape) {
  return flat.Rows(offset, offset + shape.num_elements()).Reshaped(shape);
}

}  // namespace

ParamStore::ParamStore(std::vector<ParamSpec> specs, const MeshShape& mesh, const Coord& coord, Device device,
                       const Options& options)
    : layout_(std::move(specs), mesh, coord, options), device_arena_(device), host_arena_(Device::Cpu()) {
  for (std::vector<TensorView>& buffers : buffers_) buffers.resize(static_cast<size_t>(layout_.num_buckets()));
  for (std::vector<TensorView>& bound : bound_) bound.resize(static_cast<size_t>(layout_.num_buckets()));
  for (const ParamBuffer& buffer : layout_.Buffers()) {
    Arena& arena = buffer.on_host ? host_arena_ : device_arena_;
    TensorView& view = buffers_[Index(buffer.state)][static_cast<size_t>(buffer.bucket)];
    view = arena.Allocate(buffer.name(), {buffer.num_elements}, buffer.dtype);
  }
  Clear(*Stream::Create(device));
}

void ParamStore::Clear(Stream& stream) {
  stream.Synchronize();  // nothing works with host memory any more
  const std::unique_ptr<Stream> host_stream = Stream::Create(Device::Cpu());
  for (const ParamBuffer& buffer : layout_.Buffers()) {
    (buffer.on_host ? *host_stream : stream).Zero(buffers_[Index(buffer.state)][static_cast<size_t>(buffer.bucket)]);
  }
  stream.Synchronize();
}

TensorView ParamStore::Buffer(ParamState state, int bucket) const {
  return buffers_[Index(state)][static_cast<size_t>(bucket)];
}

TensorView ParamStore::Whole(ParamState state, int bucket) const {
  return layout_.IsWhole(state, bucket) ? Buffer(state, bucket) : bound_[Index(state)][static_cast<size_t>(bucket)];
}

void ParamStore::Bind(ParamState state, int bucket, TensorView whole) {
  WEFT_CHECK(!layout_.IsWhole(state, bucket)) << ParamStateName(state) << " of bucket " << bucket << " are held for good";
  bound_[Index(state)][static_cast<size_t>(bucket)] = whole;
}

ConstTensorView ParamStore::Weight(int id) const {
  const ParamPlace& place = layout_.place(id);
  const TensorView whole = Whole(ParamState::kWeights, place.bucket);
  WEFT_CHECK(!whole.empty()) << spec(id).name << " is used while its weights are not gathered";
  return Part(whole, place.whole_offset, place.local);
}

TensorView ParamStore::Grad(int id) const {
  const ParamPlace& place = layout_.place(id);
  const TensorView whole = Whole(ParamState::kGrads, place.bucket);
  WEFT_CHECK(!whole.empty()) << spec(id).name << ": no memory is bound for its gradient";
  return Part(whole, place.whole_offset, place.local);
}

// A state that is held whole contains the owned part; otherwise the buffer is the owned form.
TensorView ParamStore::OwnedState(ParamState state, int id) const {
  const ParamPlace& place = layout_.place(id);
  WEFT_CHECK(place.held) << spec(id).name << " belongs to another pipeline stage";
  if (state == ParamState::kMasters && layout_.MastersAreWeights()) state = ParamState::kWeights;
  const TensorView buffer = Buffer(state, place.bucket);
  const bool whole = layout_.IsWhole(state, place.bucket);
  return Part(buffer, whole ? place.whole_offset + place.shard_begin : place.owned_offset, place.owned);
}

TensorView ParamStore::OwnedWeight(int id) const { return OwnedState(ParamState::kWeights, id); }
TensorView ParamStore::OwnedGrad(int id) const { return OwnedState(ParamState::kGrads, id); }

void ParamStore::Initialize(Stream& stream, uint64_t seed) {
  for (int id = 0; id < num_params(); ++id) {
    if (!Holds(id)) continue;
    const TensorView target = options().training ? Master(id) : OwnedWeight(id);
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
  if (options().training) RefreshWeights(stream);
}

// Fills `host` [owned shape] f32; padding rows are zero. The host's own threads work here, whatever the device.
void ParamStore::InitializeParam(Stream& stream, uint64_t seed, int id, TensorView host) const {
  const Init& init = spec(id).init;
  const Rng rng(seed, StreamKey(spec(id).name));
  float* out = host.data<float>();
  std::fill_n(out, host.num_elements(), 0.0f);
  if (init.kind == Init::Kind::kZeros) return;
  const int64_t global_columns = NumColumns(spec(id).shape);
  for (const Slab& slab : SlabsOf(id)) {
    const int64_t columns = slab.col_end - slab.col_begin;
    stream.pool().ParallelFor(slab.row_end - slab.row_begin, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        float* to = out + (slab.local_row + row) * columns;
        const int64_t first = (slab.row_begin + row) * global_columns + slab.col_begin;
        for (int64_t column = 0; column < columns; ++column) {
          const bool ones = init.kind == Init::Kind::kOnes;
          to[column] = ones ? 1.0f : static_cast<float>(init.standard_deviation * rng.Normal(static_cast<uint64_t>(first + column)));
        }
      }
    });
  }
}

void ParamStore::RefreshWeights(Stream& stream) {
  if (layout_.MastersAreWeights()) return;
  for (int id = 0; id < num_params(); ++id) {
    if (!Holds(id)) continue;
    const TensorView weight = OwnedWeight(id).Flat(), master = Master(id).Flat();
    if (master.device() == weight.device()) {
      Cast(stream, {.from = master, .to = weight});
      continue;
    }
    Tensor rounded(weight.shape(), weight.dtype());  // the host rounds, so that only the compute dtype travels
    const std::unique_ptr<Stream> host_stream = Stream::Create(Device::Cpu(), {.pool = &stream.pool()});
    Cast(*host_stream, {.from = master, .to = rounded});
    stream.Copy(weight, rounded);
    stream.Synchronize();  // `rounded` ends here
  }
}

void ParamStore::ZeroGrads(Stream& stream) {
  for (const TensorView& buffer : buffers_[Index(ParamState::kGrads)]) {
    if (!buffer.empty()) stream.Zero(buffer);
  }
}

}  // namespace weft
