// Import and export of model folders: exact values, all misfits at once, round trips bit for bit.
#include "checkpoint/hugging_face.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_folders.h"
#include "checkpoint/safetensors.h"
#include "core/file.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Stored {
  std::string name;
  DType dtype;
  Shape shape;
  std::string bytes;
};

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

void WriteSafetensors(const std::string& path, const std::vector<Stored>& stored) {
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const Stored& one : stored) tensors.push_back({one.name, one.dtype, one.shape});
  auto writer = SafetensorsWriter::Create(path, tensors, {{"format", "pt"}});
  WEFT_CHECK_OK(writer);
  for (const Stored& one : stored) WEFT_CHECK_OK(writer->Append(one.bytes));
  WEFT_CHECK_OK(writer->Finish());
}

// A whole tensor and its memory.
struct Wanted {
  Wanted(std::string name, const Shape& shape) : memory(shape, DType::kF32) {
    piece = {std::move(name), shape, 0, shape[0], 0, shape.row_elements(), memory.view()};
  }
  std::vector<float> values() const { return {memory.data<float>(), memory.data<float>() + memory.num_elements()}; }
  Tensor memory;
  TensorPiece piece;
};

const std::vector<float> kSix = {0, 1, -2, 3.25f, 1e-30f, 1e30f};

TEST(LoadHuggingFacePieces, CastsEveryDType) {
  const TemporaryFolder folder;
  std::vector<bf16> brains;
  for (float value : kSix) brains.emplace_back(value);
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x0001, 0x03ff, 0x7bff, 0xfc00};
  WriteSafetensors(folder.path() + "/model.safetensors",
                   {{"full", DType::kF32, {6}, BytesOf(kSix)}, {"brain", DType::kBF16, {6}, BytesOf(brains)}, {"half", DType::kF16, {6}, BytesOf(halves)}});
  Wanted full("full", {6}), brain("brain", {6}), half("half", {6});
  const Status status = LoadHuggingFacePieces(folder.path(), {full.piece, brain.piece, half.piece});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(full.values(), kSix);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(brain.values()[i], static_cast<float>(bf16(kSix[i])));
  EXPECT_EQ(half.values(), (std::vector<float>{1, -2, 0x1p-24f, 1023 * 0x1p-24f, 65504, -INFINITY}));
}

TEST(LoadHuggingFacePieces, TakesOnlyTheBoxThatIsWanted) {
  const TemporaryFolder folder;
  WriteSafetensors(folder.path() + "/model.safetensors", {{"w", DType::kF32, {2, 3}, BytesOf(kSix)}});
  Tensor memory({1, 2}, DType::kF32);
  const Status status = LoadHuggingFacePieces(folder.path(), {{"w", {2, 3}, 1, 2, 1, 3, memory.view()}});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(memory.data<float>()[0], kSix[4]);
  EXPECT_EQ(memory.data<float>()[1], kSix[5]);
}

TEST(LoadHuggingFacePieces, ListsAllMisfitsAtOnce) {
  const TemporaryFolder folder;
  WriteSafetensors(folder.path() + "/model.safetensors",
                   {{"a", DType::kF32, {6}, BytesOf(kSix)}, {"b", DType::kF32, {6}, BytesOf(kSix)}, {"c", DType::kF32, {6}, BytesOf(kSix)}});
  Wanted a("a", {6}), b("b", {2, 3}), d("d", {1}), e("e", {2});
  const std::string message(LoadHuggingFacePieces(folder.path(), {a.piece, b.piece, d.piece, e.piece}).message());
  EXPECT_THAT(message, HasSubstr("shape: b is [6], the model needs [2, 3]"));
  EXPECT_THAT(message, HasSubstr("missing: d [1]"));
  EXPECT_THAT(message, HasSubstr("missing: e [2]"));
  EXPECT_THAT(message, HasSubstr("unused: c [6]"));
  EXPECT_THAT(message, Not(HasSubstr(" a ")));
}

TEST(LoadHuggingFacePieces, KnowsTiedHeadsRotaryTablesAndBaseModels) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/model.safetensors";
  const Stored embedding{"embed_tokens.weight", DType::kF32, {2, 3}, BytesOf(kSix)};
  Wanted wanted("model.embed_tokens.weight", {2, 3});
  WriteSafetensors(path, {embedding, {"lm_head.weight", DType::kF32, {2, 3}, BytesOf(kSix)},
                          {"layers.0.self_attn.rotary_emb.inv_freq", DType::kF32, {6}, BytesOf(kSix)}});
  const Status status = LoadHuggingFacePieces(folder.path(), {wanted.piece});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(wanted.values(), kSix);
  WriteSafetensors(path, {embedding, {"lm_head.weight", DType::kF32, {2, 3}, BytesOf(std::vector<float>(6, 1.0f))}});
  EXPECT_THAT(std::string(LoadHuggingFacePieces(folder.path(), {wanted.piece}).message()), HasSubstr("unused: lm_head.weight"));
}

TEST(LoadHuggingFacePieces, ReadsShardsAndRefusesFalseTables) {
  const TemporaryFolder folder;
  const auto write_table = [&](const std::string& text) { WEFT_CHECK_OK(WriteFileAtomically(folder.path() + "/model.safetensors.index.json", text)); };
  WriteSafetensors(folder.path() + "/one.safetensors", {{"a", DType::kF32, {6}, BytesOf(kSix)}});
  WriteSafetensors(folder.path() + "/two.safetensors", {{"b", DType::kF32, {2, 3}, BytesOf(kSix)}});
  Wanted a("a", {6}), b("b", {2, 3});
  const auto load = [&] { return std::string(LoadHuggingFacePieces(folder.path(), {a.piece, b.piece}).message()); };
  EXPECT_THAT(load(), HasSubstr("holds no weights"));
  write_table(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_EQ(load(), "");
  EXPECT_EQ(b.values(), kSix);
  write_table(R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})");
  EXPECT_THAT(load(), HasSubstr("lacks b"));
  write_table(R"({"weight_map":{"a":"../one.safetensors"}})");
  EXPECT_THAT(load(), HasSubstr("../one.safetensors"));
  write_table(R"({"weight_map":{"a":"three.safetensors"}})");
  EXPECT_THAT(load(), HasSubstr("three.safetensors"));
  write_table("{");
  EXPECT_THAT(load(), HasSubstr("model.safetensors.index.json"));
}

}  // namespace
}  // namespace weft
