// Saving and loading of a run's tensors (see train_state.h).
#include "trainer/train_state.h"

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

}  // namespace

Status SaveTrainState(Stream& stream, const ParamStore& params, const std::string& run_folder,
                      const CheckpointInfo& info, Communicator& world) {
  HostImages images(stream);
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < params.num_params(); ++id) {
    if (id % world.size() != world.rank()) continue;  // data parallel: every rank holds the same
    for (const StateKind& kind : kStateKinds) {
      Append(PiecesOf(params.specs()[static_cast<size_t>(id)], params.SlabsOf(id),
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
    for (const StateKind& kind : kStateKinds) {
      Append(PiecesOf(params.specs()[static_cast<size_t>(id)], params.SlabsOf(id),
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
    Append(PiecesOf(params.specs()[static_cast<size_t>(id)], params.SlabsOf(id), images.ImageOf(params.Master(id))), &pieces);
  }
  WEFT_RETURN_IF_ERROR(LoadHuggingFacePieces(model_folder, pieces));
  images.Upload();
  params.RefreshWeights(stream);
  return absl::OkStatus();
}

}  // namespace weft
