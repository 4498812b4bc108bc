// The same documents as one padded sequence each or packed several to a sequence, in any micro-batches on any number of
// replicas: one training, loss and gradients included (f32, 1e-5). A step takes all documents, so that the set is the same
// however they are packed.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "core/rng.h"
#include "data/loader.h"
#include "data/token_store_hdf5.h"
#include "tests/equivalence/trajectory.h"
#include "tests/equivalence/uneven_run.h"

namespace weft {
namespace {

constexpr int32_t kVocabSize = 80;  // of UnevenRun's model
constexpr int kNumTraining = 24, kNumValidation = 8;
// Documents have 26 to 31 inputs, so 32 tokens hold just one of them, 64 two and 128 four: 24, 12 or 6 sequences.
constexpr int64_t kUnpacked = 32, kByTwo = 64, kByFour = 128;
constexpr int kSteps = 6;

struct Document {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> loss_mask;
};

// Prompts of every length, learnt from their end alone.
std::vector<Document> MakeDocuments() {
  const Rng rng(11, StreamKey("packing"));
  uint64_t draw = 0;
  std::vector<Document> documents(kNumTraining + kNumValidation);
  for (Document& document : documents) {
    document.tokens.resize(27 + rng.Below(draw++, 6));
    const uint64_t prompt = rng.Below(draw++, 25);
    for (size_t i = 0; i < document.tokens.size(); ++i) {
      const bool jumps = i == 0 || rng.Below(draw++, 6) == 0;
      document.tokens[i] = jumps ? static_cast<int32_t>(rng.Below(draw++, kVocabSize)) : (document.tokens[i - 1] * 3 + 1) % 13;
      document.loss_mask.push_back(i > prompt);
    }
  }
  return documents;
}

// Neighbours as one document each, where the second sees the first. What is learnt stays: of the second all but its first
// token, as before.
std::vector<Document> Joined(const std::vector<Document>& documents) {
  std::vector<Document> joined;
  for (size_t i = 0; i < documents.size(); i += 2) {
    Document both = documents[i];
    both.tokens.insert(both.tokens.end(), documents[i + 1].tokens.begin(), documents[i + 1].tokens.end());
    both.loss_mask.push_back(0);
    both.loss_mask.insert(both.loss_mask.end(), documents[i + 1].loss_mask.begin() + 1, documents[i + 1].loss_mask.end());
    joined.push_back(both);
  }
  return joined;
}

class Packing : public testing::Test {
 protected:
  void Write(const std::vector<Document>& documents) {
    auto writer = TokenStoreWriter::Create(corpus_, kVocabSize);
    ASSERT_TRUE(writer.ok()) << writer.status();
    std::vector<uint8_t> validation;
    for (const Document& document : documents) {
      ASSERT_TRUE((*writer)->Add(document.tokens, document.loss_mask).ok());
      validation.push_back(validation.size() * (kNumTraining + kNumValidation) >= kNumTraining * documents.size());
    }
    ASSERT_TRUE((*writer)->Finish({std::move(validation), kUnpacked, "{}", "", "{}"}).ok());
  }

  int64_t NumSequences(int64_t sequence_length) const {
    return (*Loader::Training(*TokenStore::Open(corpus_), sequence_length, 1))->num_sequences();
  }

  // A step is all sequences, `micro_batch` at a time on each of `dp` replicas.
  Trajectory Train(int64_t sequence_length, int dp, int64_t micro_batch) const {
    const int64_t batch = NumSequences(sequence_length);
    Composition composition = OneRank("llama", false);
    composition.mesh.dp = dp;
    const RunConfig config = run_.ConfigOf(
        composition, {"data.path=" + corpus_, StrCat("data.sequence_length=", sequence_length),
                      "model.max_position_embeddings=128", StrCat("train_batch_size=", batch),
                      StrCat("train_micro_batch_size_per_gpu=", micro_batch),
                      StrCat("gradient_accumulation_steps=", batch / micro_batch / dp), "eval.every=3"});
    return RunOnThreads(config, dp, {.asynchronous = dp > 1, .steps = kSteps});
  }

  const UnevenRun run_;
  const std::string corpus_ = run_.Path("packing.h5");
};

TEST_F(Packing, ChangesNothingWhateverTheMicroBatchesAndReplicas) {
  Write(MakeDocuments());
  ASSERT_EQ(NumSequences(kUnpacked), kNumTraining) << "a document each";
  ASSERT_EQ(NumSequences(kByTwo), kNumTraining / 2);
  ASSERT_EQ(NumSequences(kByFour), kNumTraining / 4);
  const Trajectory reference = Train(kUnpacked, 1, kNumTraining);
  ASSERT_EQ(reference.losses.size(), static_cast<size_t>(kSteps));
  ASSERT_EQ(reference.eval_losses.size(), 2u);
  EXPECT_LT(reference.losses.back(), 0.95 * reference.losses.front()) << "it learns";
  struct Layout {
    int64_t sequence_length;
    int dp;
    int64_t micro_batch;
  };
  const Layout layouts[] = {{kUnpacked, 1, 1}, {kUnpacked, 2, 3}, {kUnpacked, 3, 8}, {kUnpacked, 4, 2}, {kByTwo, 1, 12}, {kByTwo, 1, 2},
                            {kByTwo, 2, 3},    {kByTwo, 3, 1},    {kByTwo, 4, 3},    {kByFour, 1, 6},   {kByFour, 1, 1}, {kByFour, 2, 3},
                            {kByFour, 2, 1},   {kByFour, 3, 2},   {kByFour, 6, 1}};
  for (const Layout& l : layouts) {
    if (kSanitized && l.dp != 2) continue;
    const Difference difference = Compare(reference, Train(l.sequence_length, l.dp, l.micro_batch));
    EXPECT_TRUE(Exceeded(difference).empty()) << l.sequence_length << " tokens, dp " << l.dp << ", micro-batch " << l.micro_batch;
    std::cout << l.sequence_length << " tokens, dp " << l.dp << ", micro-batch " << l.micro_batch << ": " << difference.ToString() << "\n";
  }
}

TEST_F(Packing, WouldShowWhereDocumentsSawEachOther) {
  const std::vector<Document> documents = MakeDocuments();
  Write(documents);
  const Trajectory reference = Train(kByTwo, 1, 12);
  Write(Joined(documents));
  ASSERT_EQ(NumSequences(kByTwo), kNumTraining / 2);
  const std::vector<std::string> exceeded = Exceeded(Compare(reference, Train(kByTwo, 1, 12)));
  for (const std::string figure : {"loss", "norm", "evaluation", "gradient", "weight"}) {
    EXPECT_NE(std::find(exceeded.begin(), exceeded.end(), figure), exceeded.end()) << figure;
  }
}

}  // namespace
}  // namespace weft
