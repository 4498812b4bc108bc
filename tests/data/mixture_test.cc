// Several stores as one stream: whose sequences come when, that it is the same however it is cut, and which stores go
// together.
#include "data/mixture.h"

#include <map>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kLength = 8;

class MixtureTest : public testing::Test {
 protected:
  // A store of `documents` that fill a sequence each, with the tokens first, first + 1, ...; the last one is validation.
  std::string Write(const std::string& name, int documents, int32_t first, const std::string& tokenizer = "{}",
                    const std::string& table = "") {
    const std::string path = folder_.Path(name);
    auto writer = TokenStoreWriter::Create(path, 1 << 20);
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (int d = 0; d < documents; ++d) {
      EXPECT_TRUE((*writer)->Add(std::vector<int32_t>(kLength + 1, first + d), std::vector<uint8_t>(kLength + 1, 1)).ok());
    }
    std::vector<uint8_t> validation(static_cast<size_t>(documents), 0);
    validation.back() = 1;
    EXPECT_TRUE((*writer)->Finish({validation, kLength, tokenizer, "", "{}", table}).ok());
    return path;
  }

  static std::unique_ptr<Mixture> Open(const std::vector<DataSource>& sources, uint64_t seed = 1) {
    auto mixture = Mixture::Open(sources, kLength, seed);
    EXPECT_TRUE(mixture.ok()) << mixture.status();
    return *std::move(mixture);
  }

  // The documents of samples [first, first + count), by their token.
  static std::vector<int32_t> DocumentsOf(const Mixture& mixture, int64_t first, int64_t count) {
    const StatusOr<MicroBatch> batch = mixture.TrainingAt(first, count);
    EXPECT_TRUE(batch.ok()) << batch.status();
    std::vector<int32_t> documents;
    for (int64_t i = 0; i < count; ++i) documents.push_back(batch->tokens.data<int32_t>()[i * kLength]);
    return documents;
  }

  const ScratchFolder folder_;
};

TEST_F(MixtureTest, SharesAreExactAndASourcesEpochHasEachSequenceOnce) {
  const std::string a = Write("a.h5", 13, 0), b = Write("b.h5", 6, 1000);  // 12 and 5 to train on
  const auto mixture = Open({{a, 3}, {b, 1}});
  const std::vector<int32_t> documents = DocumentsOf(*mixture, 0, 80);  // 60 and 20 of them: five epochs and four
  std::map<int32_t, std::multiset<int32_t>> epochs;                    // by source and epoch
  int64_t from_a = 0, from_b = 0;
  for (size_t i = 0; i < documents.size(); ++i) {
    const bool is_a = documents[i] < 1000;
    const int64_t epoch = is_a ? from_a++ / 12 : from_b++ / 5;
    epochs[static_cast<int32_t>(is_a ? epoch : 1000 + epoch)].insert(documents[i]);
    if (i % 4 == 3) {
      ASSERT_EQ(from_a, 3 * from_b) << "after every four samples";
    }
  }
  EXPECT_EQ(epochs.size(), 9u);
  for (const auto& [epoch, seen] : epochs) {
    EXPECT_EQ(seen.size(), epoch < 1000 ? 12u : 5u) << epoch;
    EXPECT_EQ(std::set<int32_t>(seen.begin(), seen.end()).size(), seen.size()) << epoch << ": one twice";
  }
}

TEST_F(MixtureTest, SamplesDoNotDependOnHowRangesAreCut) {
  const std::string a = Write("a.h5", 13, 0), b = Write("b.h5", 6, 1000), c = Write("c.h5", 3, 2000);
  const std::vector<DataSource> sources = {{a, 5}, {b, 2}, {c, 1}};
  const auto mixture = Open(sources, 4);
  const std::vector<int32_t> whole = DocumentsOf(*mixture, 0, 100);
  const auto again = Open(sources, 4);
  for (const int64_t cut : {1, 3, 7}) {
    std::vector<int32_t> joined;
    for (int64_t first = 0; first < 100; first += cut) {
      const std::vector<int32_t> part = DocumentsOf(*again, first, std::min(cut, 100 - first));
      joined.insert(joined.end(), part.begin(), part.end());
    }
    EXPECT_EQ(joined, whole) << cut;
  }
  EXPECT_NE(DocumentsOf(*Open(sources, 5), 0, 100), whole) << "another seed, another order";
}

TEST_F(MixtureTest, OneSourceIsItsOwnOrderAndDigest) {
  const std::string a = Write("a.h5", 13, 0);
  const auto mixture = Open({{a, 7}}, 9);
  const auto store = *TokenStore::Open(a);
  const auto loader = *Loader::Training(store, kLength, 9);
  EXPECT_EQ(mixture->digest(), store->digest());
  const StatusOr<MicroBatch> expected = loader->At(5, 30), batch = mixture->TrainingAt(5, 30);
  ASSERT_TRUE(expected.ok() && batch.ok());
  for (int64_t i = 0; i < 30 * kLength; ++i) {
    ASSERT_EQ(batch->tokens.data<int32_t>()[i], expected->tokens.data<int32_t>()[i]) << i;
  }
  EXPECT_EQ(mixture->Describe(), "12 sequences an epoch");
}

TEST_F(MixtureTest, TheDigestIsOfDataAndWeights) {
  const std::string a = Write("a.h5", 13, 0), b = Write("b.h5", 6, 1000), moved = folder_.Path("moved.h5");
  std::filesystem::copy_file(a, moved);
  const std::string digest = Open({{a, 3}, {b, 1}})->digest();
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(Open({{moved, 3}, {b, 1}})->digest(), digest);
  EXPECT_NE(Open({{a, 2}, {b, 1}})->digest(), digest);
  EXPECT_NE(Open({{b, 1}, {a, 3}})->digest(), digest);
  EXPECT_NE(Open({{a, 3}, {Write("b.h5", 6, 1001), 1}})->digest(), digest);
}

TEST_F(MixtureTest, ValidationIsEachSourcesOwn) {
  const auto mixture = Open({{Write("a.h5", 13, 0), 3}, {Write("b.h5", 6, 1000), 1}});
  ASSERT_EQ(mixture->num_sources(), 2u);
  EXPECT_EQ(mixture->validation(0).At(0, 1)->tokens.data<int32_t>()[0], 12);
  EXPECT_EQ(mixture->validation(1).At(0, 1)->tokens.data<int32_t>()[0], 1005);
}

TEST_F(MixtureTest, RefusesStoresThatDoNotGoTogether) {
  const std::string a = Write("a.h5", 13, 0), other = Write("other.h5", 13, 0, R"({"other": 1})");
  const auto refused = Mixture::Open(std::vector<DataSource>{{a, 1}, {other, 1}}, kLength, 1);
  EXPECT_EQ(ExitCode(refused.status()), 2);
  EXPECT_THAT(std::string(refused.status().message()), AllOf(HasSubstr(a), HasSubstr(other), HasSubstr("another tokenizer")));
  const auto absent = Mixture::Open(std::vector<DataSource>{{a, 1}, {folder_.Path("absent.h5"), 1}}, kLength, 1);
  EXPECT_THAT(std::string(absent.status().message()), HasSubstr("absent.h5"));
  const auto empty = Mixture::Open(std::vector<DataSource>{{a, 1}, {Write("empty.h5", 1, 0), 1}}, kLength, 1);
  EXPECT_THAT(std::string(empty.status().message()), AllOf(HasSubstr("empty.h5"), HasSubstr("nothing to train on")));
}

TEST_F(MixtureTest, SourcesAgreeOnTheTable) {
  const std::string text = Write("text.h5", 3, 0), a = Write("a.h5", 3, 0, "{}", "x: 1\n"), b = Write("b.h5", 3, 0, "{}", "x: 2\n");
  EXPECT_EQ(Open({{text, 1}})->table_yaml(), "");
  EXPECT_EQ(Open({{text, 1}, {a, 1}, {a, 1}})->table_yaml(), "x: 1\n");
  const std::vector<DataSource> sources = {{a, 1}, {text, 1}, {b, 1}};
  const Status status = Mixture::Open(sources, kLength, 1).status();
  EXPECT_EQ(ExitCode(status), 2);
  EXPECT_THAT(std::string(status.message()), HasSubstr("b.h5 was rendered by another table's specification"));
}

}  // namespace
}  // namespace weft
