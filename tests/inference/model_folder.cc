// See model_folder.h.
#include "tests/inference/model_folder.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/param_pieces.h"
#include "checkpoint/safetensors.h"
#include "data/tokenizer.h"
#include "tests/model/tiny_model.h"

namespace weft {

ModelConfig ServableConfig(const std::string& model_type) {
  ModelConfig config = TinyConfig(model_type);
  config.vocab_size = Tokenizer::ByteLevel()->vocab_size();
  return config;
}

void WriteModelFolder(const std::string& folder, const ModelConfig& config, uint64_t seed) {
  const DecoderParams params = MakeDecoderParams(config);
  const std::unique_ptr<Stream> stream = Stream::Create(Device::Cpu());
  ParamStore store(params.specs, MeshShape{}, Coord{}, Device::Cpu(),
                   {.compute_dtype = DType::kF32, .training = false});
  store.Initialize(*stream, seed);
  std::vector<TensorPiece> pieces;
  for (int id = 0; id < store.num_params(); ++id) {
    const TensorView weight = store.OwnedWeight(id);
    // Larger than an initialisation: what comes next must depend on what came before.
    for (int64_t i = 0; i < weight.num_elements() && weight.shape().num_dims() == 2; ++i) weight.data<float>()[i] *= 8;
    for (const TensorPiece& piece : PiecesOf(store.specs()[static_cast<size_t>(id)], store.SlabsOf(id), weight)) {
      pieces.push_back(piece);
    }
  }
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const TensorPiece& piece : pieces) {
    const Shape& shape = piece.global_shape;
    tensors.push_back({piece.name, DType::kF32, piece.transposed ? Shape{shape[1], shape[0]} : shape});
  }
  StatusOr<SafetensorsWriter> writer = SafetensorsWriter::Create(folder + "/model.safetensors", tensors, {});
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const TensorPiece& piece : pieces) {
    std::vector<float> values;
    const int64_t rows = NumRows(piece.global_shape), columns = NumColumns(piece.global_shape);
    for (int64_t i = 0; i < rows * columns; ++i) {
      values.push_back(piece.data.data<float>()[piece.transposed ? i % rows * columns + i / rows : i]);
    }
    ASSERT_TRUE(writer->Append({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}).ok());
  }
  ASSERT_TRUE(writer->Finish().ok());
  std::ofstream(folder + "/config.json") << ModelConfigToJson(config).dump();
  ASSERT_TRUE(Tokenizer::ByteLevel()->Save(folder).ok());
}

}  // namespace weft
