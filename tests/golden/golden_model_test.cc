// Loss, logits, every gradient and three AdamW steps of tiny models against PyTorch (tests/golden/README.md).
#include <gtest/gtest.h>

#include "checkpoint/param_pieces.h"
#include "kernels/gemm.h"
#include "optim/optimizer.h"
#include "tests/golden/golden_file.h"
#include "tests/model/tiny_model.h"
#include "trainer/train_state.h"

namespace weft {
namespace {

constexpr double kBound = 1e-4;  // relative L2 per tensor, f32

// The golden batch as the loader would give it.
MicroBatch GoldenBatch(const GoldenFile& golden) {
  const auto tokens = golden.Read<int64_t>("tokens"), targets = golden.Read<int64_t>("targets");
  const std::vector<float> mask = golden.Floats("loss_mask");
  const auto borders = golden.Read<int32_t>("cu_seqlens");
  BatchBuilder builder(1, static_cast<int64_t>(tokens.size()));
  for (size_t d = 0; d + 1 < borders.size(); ++d) {
    std::vector<int32_t> piece;
    std::vector<uint8_t> counts = {1};
    for (int32_t t = borders[d]; t < borders[d + 1]; ++t) {
      piece.push_back(static_cast<int32_t>(tokens[static_cast<size_t>(t)]));
      counts.push_back(mask[static_cast<size_t>(t)] != 0);
    }
    piece.push_back(static_cast<int32_t>(targets[static_cast<size_t>(borders[d + 1] - 1)]));
    builder.AddPiece(piece, counts);
  }
  builder.EndSequence();
  return builder.Take();
}

// A piece's values in the orientation that Hugging Face's tensor has.
std::vector<float> ForeignValues(const TensorPiece& piece) {
  const float* ours = piece.data.data<float>();
  if (!piece.transposed) return {ours, ours + piece.data.num_elements()};
  std::vector<float> turned;
  const int64_t rows = piece.global_shape[0], columns = piece.global_shape[1];
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) turned.push_back(ours[r * columns + c]);
  }
  return turned;
}

class GoldenModel : public testing::TestWithParam<std::string> {
 protected:
  GoldenModel()
      : folder_("tests/golden/" + GetParam()),
        golden_(folder_ + "/golden.safetensors"),
        batch_(GoldenBatch(golden_)),
        rig_(*ReadModelConfig(folder_ + "/model"), batch_.tokens.num_elements()) {
    const Status loaded = LoadWeights(*rig_.stream, rig_.store, folder_ + "/model");
    EXPECT_TRUE(loaded.ok()) << loaded;
  }

  // The local tensor `view(id)` of every parameter, compared by Hugging Face's names with golden `prefix` + name.
  template <typename View>
  void ExpectByName(const std::string& prefix, const View& view) {
    size_t compared = 0;
    for (int id = 0; id < rig_.store.num_params(); ++id) {
      const ParamSpec& spec = rig_.store.specs()[static_cast<size_t>(id)];
      for (const TensorPiece& piece : PiecesOf(spec, rig_.store.SlabsOf(id), view(id))) {
        EXPECT_LT(RelativeDistance(ForeignValues(piece), golden_.Floats(prefix + piece.name)), kBound) << prefix << piece.name;
        ++compared;
      }
    }
    size_t expected = 0;
    for (const SafetensorsEntry& entry : golden_.file().entries()) expected += entry.name.starts_with(prefix) ? 1 : 0;
    EXPECT_EQ(compared, expected) << "every golden tensor " << prefix << "* has a counterpart";
  }

  const std::string folder_;
  const GoldenFile golden_;
  const MicroBatch batch_;
  TinyRig rig_;
};

TEST_P(GoldenModel, HasPyTorchsLossLogitsAndGradients) {
  const double loss = rig_.Train({ViewOf(batch_)}, batch_.num_unmasked);
  EXPECT_NEAR(loss, golden_.Floats("loss")[0], kBound * golden_.Floats("loss")[0]);
  ExpectByName("grad.", [this](int id) { return rig_.store.Grad(id); });

  const ConstTensorView y = rig_.decoder.head_input();
  Tensor logits({y.dim(0), rig_.config.vocab_size}, DType::kF32);
  Gemm(*rig_.stream, {.a = y, .b = rig_.store.Weight(rig_.params.lm_head), .c = logits, .transpose_b = true});
  const std::vector<float> ours(logits.data<float>(), logits.data<float>() + logits.num_elements());
  EXPECT_LT(RelativeDistance(ours, golden_.Floats("logits")), kBound);
}

TEST_P(GoldenModel, TakesPyTorchsAdamWSteps) {
  const double eps = GetParam() == "gpt2" ? 1e-4 : 1e-8;  // make_golden.py says why
  Optimizer optimizer(&rig_.store, {.lr = 1e-2, .betas = {0.9, 0.95}, .eps = eps, .weight_decay = 0.1}, 1.0);
  const std::vector<float> losses = golden_.Floats("losses"), norms = golden_.Floats("grad_norms");
  for (int step = 1; step <= 3; ++step) {
    const size_t i = static_cast<size_t>(step - 1);
    EXPECT_NEAR(rig_.Train({ViewOf(batch_)}, batch_.num_unmasked), losses[i], kBound * losses[i]) << "step " << step;
    optimizer.MeasureGradients(*rig_.stream, *rig_.self);
    optimizer.Update(*rig_.stream, 1e-2, step);
    rig_.stream->Synchronize();
    EXPECT_NEAR(optimizer.grad_norm().data<float>()[0], norms[i], kBound * norms[i]) << "step " << step;
  }
  ExpectByName("after.", [this](int id) { return rig_.store.Master(id); });
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenModel, testing::Values("llama", "llama_tied", "mistral", "qwen2", "qwen3", "gpt2"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
