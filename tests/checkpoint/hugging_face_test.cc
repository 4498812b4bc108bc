// Import and export of model folders: exact values, all misfits at once, round trips bit for bit.
#include "checkpoint/hugging_face.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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

// Conv1D, as GPT-2 stores its projections; kSix is [3, 2] in the file.
TEST(LoadHuggingFacePieces, TurnsWhatIsStoredTransposed) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/model.safetensors";
  WriteSafetensors(path, {{"h.0.w", DType::kF32, {3, 2}, BytesOf(kSix)}, {"h.0.attn.bias", DType::kF32, {6}, BytesOf(kSix)},
                          {"h.0.attn.masked_bias", DType::kF32, {6}, BytesOf(kSix)}});
  Wanted whole("transformer.h.0.w", {2, 3});
  whole.piece.transposed = true;
  const Status status = LoadHuggingFacePieces(folder.path(), {whole.piece});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(whole.values(), (std::vector<float>{kSix[0], kSix[2], kSix[4], kSix[1], kSix[3], kSix[5]}));
  Tensor memory({1, 2}, DType::kF32);
  WEFT_CHECK_OK(LoadHuggingFacePieces(folder.path(), {{"transformer.h.0.w", {2, 3}, 1, 2, 1, 3, memory.view(), true}}));
  EXPECT_EQ(memory.data<float>()[0], kSix[3]);
  EXPECT_EQ(memory.data<float>()[1], kSix[5]);
  whole.piece.transposed = false;
  EXPECT_THAT(std::string(LoadHuggingFacePieces(folder.path(), {whole.piece}).message()),
              HasSubstr("shape: transformer.h.0.w is [3, 2], the model needs [2, 3]"));
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

// --- Export -----------------------------------------------------------------------------------------------------------

constexpr char kConfig[] = R"({"architectures":["LlamaForCausalLM"],"bos_token_id":1,"model_type":"llama","torch_dtype":"float16"})";
constexpr char kTokenizer[] = R"({"added_tokens":[{"id":5,"content":"<end>"},{"id":6,"content":"<pad>"}]})";
constexpr char kTokenizerConfig[] = R"({"eos_token":"<end>","pad_token":{"content":"<pad>"}})";

// A checkpoint of three weights and a moment.
std::string SaveSome(const std::string& run) {
  Wanted a("weights/a", {6}), b("weights/b", {2, 3}), c("weights/c", {3, 2}), moment("first_moment/a", {6});
  std::vector<TensorPiece> pieces;
  for (Wanted* wanted : {&a, &b, &c, &moment}) {
    std::copy(kSix.begin(), kSix.end(), wanted->memory.data<float>());
    pieces.push_back(wanted->piece);
  }
  const CheckpointInfo info{.step = 3, .model_config_json = kConfig, .tokenizer_json = kTokenizer, .tokenizer_config_json = kTokenizerConfig,
                            .table_yaml = "text: row\n"};
  const auto world = MakeSelfCommunicator();
  WEFT_CHECK_OK(SaveCheckpoint(run, info, pieces, *world));
  return StepFolder(run, 3);
}

TEST(ExportHuggingFace, WritesWeightsAndTexts) {
  const TemporaryFolder folder;
  const std::string to = folder.path() + "/out";
  WEFT_CHECK_OK(ExportHuggingFace(SaveSome(folder.path()), to + "/"));
  const auto file = SafetensorsFile::Open(to + "/model.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata().at("format"), "pt");
  ASSERT_EQ(file->entries().size(), 3u);
  EXPECT_EQ(file->entries()[2].name, "c");
  EXPECT_EQ(file->Data(file->entries()[2]), BytesOf(kSix));
  EXPECT_THAT(ReadFile(to + "/config.json").value(), HasSubstr("\"torch_dtype\": \"float32\""));
  EXPECT_EQ(ReadFile(to + "/generation_config.json").value(),
            "{\n  \"bos_token_id\": 1,\n  \"eos_token_id\": 5,\n  \"pad_token_id\": 6\n}\n");
  EXPECT_EQ(ReadFile(to + "/tokenizer.json").value(), kTokenizer);
  EXPECT_EQ(ReadFile(to + "/tokenizer_config.json").value(), kTokenizerConfig);
  EXPECT_EQ(ReadFile(to + "/table.yaml").value(), "text: row\n");
  EXPECT_FALSE(std::filesystem::exists(to + ".partial"));
}

TEST(ExportHuggingFace, TurnsWhatHuggingFaceStoresTransposed) {
  const TemporaryFolder folder;
  Wanted w("weights/w", {2, 3});
  std::copy(kSix.begin(), kSix.end(), w.memory.data<float>());
  w.piece.transposed = true;
  const auto world = MakeSelfCommunicator();
  WEFT_CHECK_OK(SaveCheckpoint(folder.path(), {.step = 1, .model_config_json = kConfig}, {w.piece}, *world));
  Wanted same("weights/w", {2, 3});
  WEFT_CHECK_OK(LoadCheckpointPieces(StepFolder(folder.path(), 1), {same.piece}));
  EXPECT_EQ(same.values(), kSix) << "a checkpoint keeps our orientation";
  WEFT_CHECK_OK(ExportHuggingFace(StepFolder(folder.path(), 1), folder.path() + "/out"));
  const auto file = SafetensorsFile::Open(folder.path() + "/out/model.safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->entries()[0].shape, (std::vector<uint64_t>{3, 2}));
  EXPECT_EQ(file->Data(file->entries()[0]), BytesOf(std::vector<float>{kSix[0], kSix[3], kSix[1], kSix[4], kSix[2], kSix[5]}));
}

TEST(ExportHuggingFace, RoundsToBf16) {
  const TemporaryFolder folder;
  const std::string to = folder.path() + "/out";
  WEFT_CHECK_OK(ExportHuggingFace(SaveSome(folder.path()), to, {.dtype = DType::kBF16}));
  EXPECT_THAT(ReadFile(to + "/config.json").value(), HasSubstr("\"torch_dtype\": \"bfloat16\""));
  Wanted a("a", {6}), b("b", {2, 3}), c("c", {3, 2});
  WEFT_CHECK_OK(LoadHuggingFacePieces(to, {a.piece, b.piece, c.piece}));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(b.values()[i], static_cast<float>(bf16(kSix[i])));
}

TEST(ExportHuggingFace, ShardsWhatIsLarge) {
  const TemporaryFolder folder;
  const std::string to = folder.path() + "/out";
  WEFT_CHECK_OK(ExportHuggingFace(SaveSome(folder.path()), to, {.max_file_bytes = 50}));
  EXPECT_TRUE(std::filesystem::exists(to + "/model-00001-of-00002.safetensors"));
  EXPECT_THAT(ReadFile(to + "/model.safetensors.index.json").value(), HasSubstr("\"total_size\": 72"));
  Wanted a("a", {6}), b("b", {2, 3}), c("c", {3, 2});
  WEFT_CHECK_OK(LoadHuggingFacePieces(to, {a.piece, b.piece, c.piece}));
  EXPECT_EQ(c.values(), kSix);
}

TEST(ExportHuggingFace, ReplacesOnlyItsOwn) {
  const TemporaryFolder folder;
  const std::string checkpoint = SaveSome(folder.path()), to = folder.path() + "/out";
  WEFT_CHECK_OK(ExportHuggingFace(checkpoint, to, {.max_file_bytes = 50}));
  WEFT_CHECK_OK(ExportHuggingFace(checkpoint, to));
  EXPECT_FALSE(std::filesystem::exists(to + "/model-00001-of-00002.safetensors"));
  WEFT_CHECK_OK(WriteFileAtomically(to + "/thesis.tex", "years of work"));
  EXPECT_THAT(std::string(ExportHuggingFace(checkpoint, to).message()), HasSubstr("it holds thesis.tex"));
  EXPECT_EQ(ReadFile(to + "/thesis.tex").value(), "years of work");
  const std::string model = folder.path() + "/model";
  WEFT_CHECK_OK(MakeFolders(model));
  WriteSafetensors(model + "/model.safetensors", {{"w", DType::kF32, {6}, BytesOf(kSix)}});
  EXPECT_THAT(std::string(ExportHuggingFace(checkpoint, model).message()), HasSubstr("it holds model.safetensors"));
  EXPECT_THAT(std::string(ExportHuggingFace(checkpoint, checkpoint).message()), HasSubstr("not an earlier export"));
}

TEST(ExportHuggingFace, FailsWithoutATrace) {
  const TemporaryFolder folder;
  const std::string checkpoint = SaveSome(folder.path()), to = folder.path() + "/out";
  std::filesystem::resize_file(checkpoint + "/rank-0.h5", 100);
  EXPECT_THAT(std::string(ExportHuggingFace(checkpoint, to).message()), HasSubstr("rank-0.h5"));
  EXPECT_FALSE(std::filesystem::exists(to));
  EXPECT_FALSE(std::filesystem::exists(to + ".partial"));
}

Shape ShapeOf(const SafetensorsEntry& entry) {
  Shape shape;
  for (uint64_t extent : entry.shape) shape.Append(static_cast<int64_t>(extent));
  return shape;
}

TEST(ExportHuggingFace, ARealModelSurvivesImportCheckpointAndExportBitForBit) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES names no folder of fixtures";
  const std::string model = StrCat(fixtures, "/models/stories260K/hf");
  const auto original = SafetensorsFile::Open(model + "/model.safetensors");
  ASSERT_TRUE(original.ok()) << original.status();
  std::vector<Wanted> wanted;
  std::vector<TensorPiece> pieces;
  for (const SafetensorsEntry& entry : original->entries()) {
    wanted.emplace_back(entry.name, ShapeOf(entry));
    pieces.push_back(wanted.back().piece);
  }
  WEFT_CHECK_OK(LoadHuggingFacePieces(model, pieces));
  for (TensorPiece& piece : pieces) piece.name = "weights/" + piece.name;
  const TemporaryFolder folder;
  const auto world = MakeSelfCommunicator();
  const CheckpointInfo info{.step = 1, .model_config_json = ReadFile(model + "/config.json").value()};
  WEFT_CHECK_OK(SaveCheckpoint(folder.path(), info, pieces, *world));
  WEFT_CHECK_OK(ExportHuggingFace(FindCheckpoint(folder.path()).value(), folder.path() + "/out"));
  const auto exported = SafetensorsFile::Open(folder.path() + "/out/model.safetensors");
  ASSERT_TRUE(exported.ok()) << exported.status();
  ASSERT_EQ(exported->entries().size(), original->entries().size());
  for (size_t i = 0; i < exported->entries().size(); ++i) {
    const SafetensorsEntry &before = original->entries()[i], &after = exported->entries()[i];
    EXPECT_EQ(after.name, before.name);
    EXPECT_EQ(after.shape, before.shape);
    EXPECT_EQ(exported->Data(after), original->Data(before)) << before.name;
  }
}

}  // namespace
}  // namespace weft
