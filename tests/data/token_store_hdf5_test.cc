// The token store: what is written comes back, and damage of any byte, truncation or a foreign file is refused.
#include "data/token_store_hdf5.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "core/file.h"
#include "core/hdf5_file.h"
#include "core/rng.h"
#include "data/loader.h"
#include "data/store_header.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

struct Written {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> loss_mask;
  std::vector<int64_t> begins{0};
  std::vector<uint8_t> validation;
};

// Random documents of 2..60 tokens; every fourth is validation.
Written WriteStore(const std::string& path, int32_t vocab_size, int num_documents, int64_t sequence_length) {
  const Rng rng(11, 0);
  Written written;
  auto writer = TokenStoreWriter::Create(path, vocab_size);
  EXPECT_TRUE(writer.ok()) << writer.status();
  uint64_t draw = 0;
  for (int d = 0; d < num_documents; ++d) {
    const int64_t length = 2 + static_cast<int64_t>(rng.Below(draw++, 59));
    std::vector<int32_t> tokens;
    std::vector<uint8_t> mask;
    for (int64_t i = 0; i < length; ++i) {
      tokens.push_back(static_cast<int32_t>(rng.Below(draw++, vocab_size)));
      mask.push_back(rng.Below(draw++, 4) != 0);
    }
    EXPECT_TRUE((*writer)->Add(tokens, mask).ok());
    written.tokens.insert(written.tokens.end(), tokens.begin(), tokens.end());
    written.loss_mask.insert(written.loss_mask.end(), mask.begin(), mask.end());
    written.begins.push_back(static_cast<int64_t>(written.tokens.size()));
    written.validation.push_back(d % 4 == 3);
  }
  const Status status = (*writer)->Finish({.validation = written.validation, .sequence_length = sequence_length,
                                           .tokenizer_json = "{\"é\": 1}", .tokenizer_config_json = "",
                                           .provenance_json = "{}",
                                           .table_yaml = "text: row\n"});
  EXPECT_TRUE(status.ok()) << status;
  return written;
}

TEST(TokenStoreTest, GivesBackWhatWasWritten) {
  const ScratchFolder folder;
  for (const int32_t vocab_size : {300, 1 << 16, 200000}) {
    const std::string path = folder.Path("data.h5");
    const Written written = WriteStore(path, vocab_size, 200, 32);
    auto store = TokenStore::Open(path);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->num_tokens(), static_cast<int64_t>(written.tokens.size()));
    EXPECT_EQ((*store)->num_documents(), 200);
    EXPECT_EQ((*store)->vocab_size(), vocab_size);
    EXPECT_EQ((*store)->tokenizer_json(), "{\"é\": 1}");
    EXPECT_EQ((*store)->tokenizer_config_json(), "");
    EXPECT_EQ((*store)->table_yaml(), "text: row\n");
    std::vector<int32_t> tokens(written.tokens.size());
    std::vector<uint8_t> mask(written.tokens.size());
    ASSERT_TRUE((*store)->Read({0, (*store)->num_tokens()}, absl::MakeSpan(tokens), absl::MakeSpan(mask)).ok());
    EXPECT_EQ(tokens, written.tokens);
    EXPECT_EQ(mask, written.loss_mask);
    for (int64_t d = 0; d < 200; ++d) {
      EXPECT_EQ((*store)->Document(d), (TokenRange{written.begins[d], written.begins[d + 1] - written.begins[d]}));
      EXPECT_EQ((*store)->SplitOf(d) == DataSplit::kValidation, d % 4 == 3);
    }
    EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
  }
}

TEST(TokenStoreTest, StoredPlanIsTheFunction) {
  const ScratchFolder folder;
  WriteStore(folder.Path("data.h5"), 300, 100, 32);
  auto store = TokenStore::Open(folder.Path("data.h5"));
  ASSERT_TRUE(store.ok()) << store.status();
  for (const DataSplit split : {DataSplit::kTrain, DataSplit::kValidation}) {
    auto plan = (*store)->Plan(split, 32);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(*plan, PackDocuments((*store)->InputsOf(split), 32));
    EXPECT_EQ((*store)->Plan(split, 20)->sequence_length, 20);
  }
}

TEST(TokenStoreTest, TheSameDocumentsGiveTheSameFile) {
  const ScratchFolder folder;
  WriteStore(folder.Path("a.h5"), 300, 50, 32);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 counts time in seconds
  WriteStore(folder.Path("b.h5"), 300, 50, 32);
  EXPECT_TRUE(*ReadFile(folder.Path("a.h5")) == *ReadFile(folder.Path("b.h5")));
}

TEST(TokenStoreTest, AnAbandonedWriterLeavesNothing) {
  const ScratchFolder folder;
  {
    auto writer = TokenStoreWriter::Create(folder.Path("data.h5"), 300);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Add({1, 2}, {1, 1}).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.Path()));
}

TEST(TokenStoreTest, RefusesEveryDamagedByteAndEveryTruncation) {
  const ScratchFolder folder;
  WriteStore(folder.Path("data.h5"), 300, 20, 32);
  const std::string good = *ReadFile(folder.Path("data.h5"));
  ASSERT_TRUE(TokenStore::Open(folder.Path("data.h5")).ok());
  const Rng rng(3, 0);
  for (uint64_t i = 0; i < 300; ++i) {
    std::string bad = good;
    const size_t at = i < 120 ? static_cast<size_t>(i) : rng.Below(i, good.size());
    bad[at] = static_cast<char>(bad[at] ^ (1 << (i % 8)));
    const auto store = TokenStore::Open(folder.Write("bad.h5", bad));
    EXPECT_FALSE(store.ok()) << "byte " << at;
    EXPECT_EQ(ExitCode(store.status()), 2) << store.status();
  }
  for (const size_t size : std::vector<size_t>{0, 3, 18, 511, 512, good.size() / 2, good.size() - 1}) {
    const auto store = TokenStore::Open(folder.Write("bad.h5", good.substr(0, size)));
    EXPECT_FALSE(store.ok()) << size << " bytes";
    EXPECT_NE(store.status().message().find("bad.h5"), absl::string_view::npos) << store.status();
  }
  EXPECT_FALSE(TokenStore::Open(folder.Path("absent.h5")).ok());
  EXPECT_FALSE(TokenStore::Open(folder.Path()).ok());
}

// Damage under a digest that agrees, as in files beyond the size that is always verified: HDF5's own checksums.
// Not through libhdf5: the header's size and digest answer for all of the file. Every byte of the header, and some of the body.
TEST(TokenStoreTest, TheHeaderAnswersForTheWholeFile) {
  const ScratchFolder folder;
  const std::string path = folder.Path("data.h5");
  WriteStore(path, 300, 3, 32);
  const std::string good = *ReadFile(path);
  ASSERT_TRUE(CheckStoreHeader(path, true).ok());
  {
    const StatusOr<FileWriter> file = FileWriter::Open(path);
    for (size_t at = 0; at < good.size(); at += at < kStoreHeaderBytes ? 1 : 127) {
      const char altered = static_cast<char>(good[at] ^ (1 << at % 8));
      ASSERT_TRUE(file->WriteAt(static_cast<int64_t>(at), {&altered, 1}).ok());
      ASSERT_EQ(ExitCode(CheckStoreHeader(path, true).status()), 2) << "byte " << at << " of " << good.size();
      ASSERT_TRUE(file->WriteAt(static_cast<int64_t>(at), {&good[at], 1}).ok());
    }
  }
  ASSERT_TRUE(CheckStoreHeader(path, true).ok());
  for (size_t size = good.size() - 1; size > 0; size -= size <= 2 * kStoreHeaderBytes ? 1 : 127) {
    std::filesystem::resize_file(path, size);
    ASSERT_EQ(ExitCode(CheckStoreHeader(path, true).status()), 2) << size << " bytes of " << good.size();
  }
}

TEST(TokenStoreTest, ChunkChecksumsFindDamageOnReading) {
  const ScratchFolder folder;
  const Written written = WriteStore(folder.Path("data.h5"), 200000, 400, 32);
  std::string bytes = *ReadFile(folder.Path("data.h5"));
  const std::string needle(reinterpret_cast<const char*>(&written.tokens[100]), 32);
  const size_t at = bytes.find(needle);
  ASSERT_NE(at, std::string::npos);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  folder.Write("data.h5", bytes);
  ASSERT_TRUE(SealStore(folder.Path("data.h5")).ok());
  auto store = TokenStore::Open(folder.Path("data.h5"));
  ASSERT_TRUE(store.ok()) << store.status();
  auto loader = Loader::Training(*store, 32, 1);
  ASSERT_TRUE(loader.ok());
  EXPECT_FALSE((*loader)->At(0, (*loader)->num_sequences()).ok());
}

// A header that agrees over a dataset of 2^40 elements without a single chunk: no room is made for what is not there.
TEST(TokenStoreTest, RefusesListsThatTheFileCannotHold) {
  const ScratchFolder folder;
  const std::string path = folder.Path("data.h5");
  {
    const auto file = hdf5::CreateFile(path, 512);
    ASSERT_TRUE(file.ok()) << file.status();
    const hsize_t elements = hsize_t{1} << 40, chunk = 1 << 14;
    const hdf5::Handle space(H5Screate_simple(1, &elements, nullptr)), creation(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_chunk(creation.id(), 1, &chunk);
    const hdf5::Handle tokens(
        H5Dcreate2(file->id(), "tokens", H5T_STD_U16LE, space.id(), H5P_DEFAULT, creation.id(), H5P_DEFAULT));
    ASSERT_TRUE(tokens.valid());
  }
  ASSERT_TRUE(SealStore(path).ok());
  const auto store = TokenStore::Open(path);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(store.status().message().find("/tokens claims"), absl::string_view::npos) << store.status();
}

TEST(TokenStoreTest, RefusesForeignHdf5FilesBeforeHdf5SeesThem) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(fixtures) + "/suites/hdf5_corrupt")) {
    const auto store = TokenStore::Open(entry.path().string());
    ASSERT_FALSE(store.ok()) << entry.path();
    EXPECT_NE(store.status().message().find("not a token store"), absl::string_view::npos) << store.status();
    ++count;
  }
  EXPECT_GT(count, 10);
}

}  // namespace
}  // namespace weft
