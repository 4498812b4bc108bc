// Saving and loading of a run's tensors (see train_state.h).
#include "trainer/train_state.h"

#include <cstring>
#include <iterator>
#include <utility>

#include "checkpoint/hugging_face.h"
#include "checkpoint/param_pieces.h"

namespace weft {
namespace {

struct StateKind {
  const char* prefix;  // in the checkpoint's names
  TensorView (ParamStore::*view)(int) const;
};
constexpr StateKind kStateKinds[] = {{"weights/", &ParamStore::Master},
                                     {"first_moment/", &ParamStore::FirstMoment},
                                     {"second_moment/", &ParamStore::SecondMoment}};

// Host memory for device tensors; on the CPU the tensors themselves.
class HostImages {
 public:
  explicit HostImages(Stream& stream) : stream_(stream) {}
  TensorView ImageOf(TensorView tensor) {
    if (!tensor.device().is_cuda()) return tensor;
    images_.push_back({tensor, Tensor(tensor.shape(), tensor.dtype())});
    std::memset(images_.back().host.data<float>(), 0, tensor.num_bytes());  // the padding of shards, which no file holds
    return images_.back().host;
  }
  void Download() {
    for (Image& image : images_) stream_.Copy(image.host, image.device);
    stream_.Synchronize();
  }
  void Upload() {
    for (Image& image : images_) stream_.Copy(image.device, image.host);
    stream_.Synchronize();
  }

 private:
  struct Image {
    TensorView device;
    Tensor host;
  };
  Stream& stream_;
  std::vector<Image> images_;
};

void Append(std::vector<TensorPiece> from, std::vector<TensorPiece>* to) {
  for (TensorPiece& piece : from) to->push_back(std::move(piece));
}

// What this rank writes: `image_of(tensor)` is where the values of a parameter's master or moment lie in host memory.
template <typename ImageOf>
std::vector<TensorPiece> PiecesToSave(const ParamStore& params, const ImageOf& image_of) {
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < params.num_params(); ++id) {
    if (!params.Votes(id)) continue;  // another rank that owns the same writes it
    for (const StateKind& kind : kStateKinds) {
      Append(PiecesOf(params.spec(id), params.SlabsOf(id), image_of((params.*kind.view)(id)), kind.prefix), &pieces);
    }
  }
  return pieces;
}

// Names every tensor that the parameter is made of without wanting any of it: a rank holds parts of some tensors, and the
// import checks the names of all.
std::vector<TensorPiece> EmptyPiecesOf(const ParamSpec& spec) {
  std::vector<TensorPiece> pieces;
  for (const ForeignPiece& foreign : spec.foreign) {
    Shape shape = spec.shape;
    shape.set(0, foreign.row_end - foreign.row_begin);
    pieces.push_back({.name = foreign.name, .global_shape = shape, .transposed = foreign.transposed});
  }
  return pieces;
}

}  // namespace

Status SaveTrainState(Stream& stream, const ParamStore& params, const std::string& run_folder,
                      const CheckpointInfo& info, Communicator& world) {
  HostImages images(stream);
  const std::vector<TensorPiece> pieces = PiecesToSave(params, [&images](TensorView tensor) { return images.ImageOf(tensor); });
  stream.Synchronize();
  images.Download();
  return SaveCheckpoint(run_folder, info, pieces, world);
}

TrainStateSnapshot::TrainStateSnapshot(const ParamStore& params) : params_(params), arena_(Device::Cpu()) {
  const auto elements = static_cast<int64_t>(BytesOf(params.layout()) / sizeof(float));
  memory_ = arena_.AllocatePageLocked("snapshot", {elements}, DType::kF32, params.device());
}

size_t TrainStateSnapshot::BytesOf(const ParamLayout& layout) {
  int64_t elements = 0;
  for (int id = 0; id < layout.num_params(); ++id) {
    if (layout.Votes(id)) elements += layout.place(id).owned.num_elements() * static_cast<int64_t>(std::size(kStateKinds));
  }
  return static_cast<size_t>(elements) * sizeof(float);
}

std::vector<TensorPiece> TrainStateSnapshot::Take(Stream& stream) {
  int64_t used = 0;
  stream.Synchronize();  // masters and moments in host memory are copied by the host
  const std::vector<TensorPiece> pieces = PiecesToSave(params_, [&](TensorView tensor) {
    const int64_t begin = std::exchange(used, used + tensor.num_elements());
    const TensorView copy = memory_.Rows(begin, used).Reshaped(tensor.shape());
    if (tensor.device().is_cuda()) {
      stream.Copy(copy, tensor);
    } else {
      std::memcpy(copy.raw(), tensor.raw(), tensor.num_bytes());
    }
    return copy;
  });
  stream.Synchronize();
  return pieces;
}

Status LoadTrainState(Stream& stream, ParamStore& params, const std::string& checkpoint) {
  HostImages images(stream);
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < params.num_params(); ++id) {
    if (!params.Holds(id)) continue;
    for (const StateKind& kind : kStateKinds) {
      Append(PiecesOf(params.spec(id), params.SlabsOf(id),
                      images.ImageOf((params.*kind.view)(id)), kind.prefix),
             &pieces);
    }
  }
  WEFT_RETURN_IF_ERROR(LoadCheckpointPieces(checkpoint, pieces));
  images.Upload();
  params.RefreshWeights(stream);
  return absl::OkStatus();
}

Status LoadWeights(Stream& stream, ParamStore& params, const std::string& model_folder) {
  HostImages images(stream);
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < params.num_params(); ++id) {
    if (params.Holds(id)) {
      Append(PiecesOf(params.spec(id), params.SlabsOf(id), images.ImageOf(params.Master(id))), &pieces);
    }
    Append(EmptyPiecesOf(params.spec(id)), &pieces);
  }
  WEFT_RETURN_IF_ERROR(LoadHuggingFacePieces(model_folder, pieces));
  images.Upload();
  params.RefreshWeights(stream);
  return absl::OkStatus();
}

}  // namespace weft
