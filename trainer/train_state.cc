// Saving and loading of a run's tensors (see train_state.h).
#include "trainer/train_state.h"

#include <cstring>

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
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < params.num_params(); ++id) {
    if (!params.Votes(id)) continue;  // another rank that owns the same writes it
    for (const StateKind& kind : kStateKinds) {
      Append(PiecesOf(params.spec(id), params.SlabsOf(id),
                      images.ImageOf((params.*kind.view)(id)), kind.prefix),
             &pieces);
    }
  }
  stream.Synchronize();
  images.Download();
  return SaveCheckpoint(run_folder, info, pieces, world);
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
