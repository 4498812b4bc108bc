// The ring of an offloaded update (see offloaded_adamw.h).
#include "optim/offloaded_adamw.h"

#include <algorithm>

#include "core/str_cat.h"

namespace weft {
namespace {

// The same kind of stream with other random delays.
StreamOptions WithDelays(StreamOptions options, uint64_t number) {
  if (options.delay_seed != 0) options.delay_seed += number << 32;
  return options;
}

}  // namespace

size_t OffloadRing::bytes(DType weight_dtype) const {
  const size_t slot_bytes = static_cast<size_t>(chunk_elements) * (sizeof(float) + DTypeSize(weight_dtype));
  return static_cast<size_t>(num_slots) * slot_bytes + sizeof(float);  // and the clipping factor
}

OffloadRing RingFor(const ParamLayout& layout) {
  int64_t largest = 1;
  for (int id = 0; id < layout.num_params(); ++id) {
    if (layout.place(id).held) largest = std::max(largest, layout.place(id).owned.num_elements());
  }
  OffloadRing ring;
  ring.chunk_elements = std::min(ring.chunk_elements, largest);
  return ring;
}

OffloadedAdamW::OffloadedAdamW(Device device, DType weight_dtype, const StreamOptions& streams, const OffloadRing& ring)
    : chunk_elements_(ring.chunk_elements),
      arena_(Device::Cpu()),
      download_(Stream::Create(device, WithDelays(streams, 1))),
      upload_(Stream::Create(device, WithDelays(streams, 2))),
      update_(Stream::Create(Device::Cpu(), WithDelays(streams, 3))) {
  WEFT_CHECK(ring.chunk_elements > 0 && ring.num_slots > 0) << ring.chunk_elements << " x " << ring.num_slots;
  for (int i = 0; i < ring.num_slots; ++i) {
    Slot slot;
    slot.grad = arena_.AllocatePageLocked(StrCat("offload ring, gradients ", i), {chunk_elements_}, DType::kF32, device);
    slot.weight = arena_.AllocatePageLocked(StrCat("offload ring, weights ", i), {chunk_elements_}, weight_dtype, device);
    slots_.push_back(slot);
  }
  grad_scale_ = arena_.AllocatePageLocked("offload ring, clipping factor", {1}, DType::kF32, device);
}

std::vector<OffloadedAdamW::Chunk> OffloadedAdamW::Cut(const std::vector<AdamWArgs>& updates) const {
  std::vector<Chunk> chunks;
  for (const AdamWArgs& update : updates) {
    const int64_t size = update.param.num_elements();
    for (int64_t begin = 0; begin < size; begin += chunk_elements_) {
      chunks.push_back({&update, begin, std::min(begin + chunk_elements_, size)});
    }
  }
  return chunks;
}

void OffloadedAdamW::Step(Stream& compute, const std::vector<AdamWArgs>& updates) {
  const std::vector<Chunk> chunks = Cut(updates);
  if (chunks.empty()) return;
  download_->Wait(compute.Record());
  compute.Copy(grad_scale_, updates.front().grad_scale);
  update_->Wait(compute.Record());
  size_t num_downloads = 0;
  for (size_t i = 0; i < chunks.size(); ++i) {
    for (; num_downloads < std::min(chunks.size(), i + slots_.size()); ++num_downloads) {
      Download(chunks[num_downloads], slots_[num_downloads % slots_.size()]);
    }
    Update(chunks[i], slots_[i % slots_.size()]);
    Upload(chunks[i], slots_[i % slots_.size()]);
  }
  compute.Wait(upload_->Record());
}

void OffloadedAdamW::Download(const Chunk& chunk, Slot& slot) {
  download_->Wait(slot.updated);  // the update that last read this gradient buffer
  download_->Copy(slot.grad.Rows(0, chunk.end - chunk.begin), chunk.update->grad.Rows(chunk.begin, chunk.end));
  slot.downloaded = download_->Record();
}

void OffloadedAdamW::Update(const Chunk& chunk, Slot& slot) {
  const int64_t size = chunk.end - chunk.begin;
  const TensorView weight = slot.weight.Rows(0, size);
  const bool rounds = weight.dtype() != DType::kF32;
  AdamWArgs args = *chunk.update;
  args.param = args.param.Rows(chunk.begin, chunk.end);
  args.m = args.m.Rows(chunk.begin, chunk.end);
  args.v = args.v.Rows(chunk.begin, chunk.end);
  args.grad = slot.grad.Rows(0, size);
  args.grad_scale = grad_scale_;
  args.weight = rounds ? weight : TensorView();
  update_->Wait(slot.downloaded);
  update_->Wait(slot.uploaded);  // the upload that last read this weight buffer
  AdamW(*update_, args);
  if (!rounds) update_->Copy(weight, args.param);
  slot.updated = update_->Record();
}

void OffloadedAdamW::Upload(const Chunk& chunk, Slot& slot) {
  upload_->Wait(slot.updated);
  upload_->Copy(chunk.update->weight.Rows(chunk.begin, chunk.end), slot.weight.Rows(0, chunk.end - chunk.begin));
  slot.uploaded = upload_->Record();
}

}  // namespace weft
