// Reads a whole store once and describes it.
#include "data/inspect.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/progress.h"
#include "data/token_store_hdf5.h"
#include "data/tokenizer.h"

namespace weft {
namespace {

constexpr int64_t kReadTokens = 1 << 20;
constexpr int kMostFrequent = 10;

struct Counts {
  std::vector<int64_t> by_token;  // [vocab_size]
  int64_t in_loss = 0;
};

StatusOr<Counts> CountTokens(const TokenStore& store) {
  Counts counts;
  counts.by_token.resize(store.vocab_size());
  Progress progress("reading", store.num_tokens(), "tokens");
  for (int64_t begin = 0; begin < store.num_tokens(); begin += kReadTokens) {
    const int64_t length = std::min(kReadTokens, store.num_tokens() - begin);
    std::vector<int32_t> tokens(length);
    std::vector<uint8_t> loss_mask(length);
    WEFT_RETURN_IF_ERROR(store.Read({begin, length}, absl::MakeSpan(tokens), absl::MakeSpan(loss_mask)));
    for (const int32_t token : tokens) ++counts.by_token[token];
    for (const uint8_t in_loss : loss_mask) counts.in_loss += in_loss != 0;
    progress.Advance(length);
  }
  return counts;
}

Status AppendSplit(const TokenStore& store, DataSplit split, std::string_view name, std::string* text) {
  WEFT_ASSIGN_OR_RETURN(const PackingPlan plan, store.Plan(split, store.planned_sequence_length()));
  const double positions = static_cast<double>(plan.num_sequences() * plan.sequence_length);
  *text += absl::StrFormat("%-12s %d documents, %d tokens in %d sequences of %d, %.2f %% padding\n", name,
                           store.InputsOf(split).size(), plan.num_tokens(), plan.num_sequences(), plan.sequence_length,
                           positions > 0 ? 100 * (1 - static_cast<double>(plan.num_tokens()) / positions) : 0);
  return absl::OkStatus();
}

void AppendLengths(const TokenStore& store, std::string* text) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < store.num_documents(); ++i) lengths.push_back(store.Document(i).length);
  if (lengths.empty()) return;
  std::sort(lengths.begin(), lengths.end());
  *text += absl::StrFormat("%-12s %d shortest, %d median, %d longest (tokens)\n", "documents", lengths.front(),
                           lengths[lengths.size() / 2], lengths.back());
}

void AppendMostFrequent(const Counts& counts, const Tokenizer& tokenizer, std::string* text) {
  std::vector<int32_t> ids(counts.by_token.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](int32_t a, int32_t b) { return counts.by_token[a] > counts.by_token[b]; });
  *text += absl::StrFormat("%-12s", "frequent");
  for (int i = 0; i < kMostFrequent && i < static_cast<int>(ids.size()) && counts.by_token[ids[i]] > 0; ++i) {
    *text += absl::StrFormat(" %s (%d)", tokenizer.TokenOf(ids[i]).value_or("?"), counts.by_token[ids[i]]);
  }
  *text += "\n";
}

}  // namespace

StatusOr<std::string> InspectData(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<const TokenStore> store, TokenStore::Open(path, /*verify_all=*/true));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                        Tokenizer::Parse(store->tokenizer_json(), store->tokenizer_config_json(), path));
  WEFT_ASSIGN_OR_RETURN(const Counts counts, CountTokens(*store));
  std::string text = absl::StrFormat("%-12s %d documents, %d tokens (%d in the loss), vocabulary %d\n", "all",
                                     store->num_documents(), store->num_tokens(), counts.in_loss, store->vocab_size());
  WEFT_RETURN_IF_ERROR(AppendSplit(*store, DataSplit::kTrain, "training", &text));
  WEFT_RETURN_IF_ERROR(AppendSplit(*store, DataSplit::kValidation, "validation", &text));
  AppendLengths(*store, &text);
  AppendMostFrequent(counts, *tokenizer, &text);
  text += StrCat("made from ", store->provenance_json(), "\n");
  return text;
}

}  // namespace weft
