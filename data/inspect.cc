// Reads a whole store once and describes it.
#include "data/inspect.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/progress.h"
#include "data/table_spec.h"
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

// A line for each power of two that lengths reach. `lengths` is sorted.
void AppendHistogram(const std::vector<int64_t>& lengths, std::string* text) {
  constexpr int64_t kBarWidth = 50;
  std::vector<int64_t> counts;  // of lengths in [2^i, 2^(i + 1))
  for (const int64_t length : lengths) {
    const size_t power = static_cast<size_t>(std::bit_width(static_cast<uint64_t>(length)) - 1);
    if (counts.size() <= power) counts.resize(power + 1);
    ++counts[power];
  }
  const int64_t most = *std::max_element(counts.begin(), counts.end());
  for (size_t i = 0; i < counts.size(); ++i) {
    if (lengths.front() >= int64_t{2} << i) continue;  // nothing is that short
    const int64_t bar = (counts[i] * kBarWidth + most - 1) / most;
    *text += absl::StrFormat("%8d..%-8d %8d %s\n", int64_t{1} << i, (int64_t{2} << i) - 1, counts[i],
                             std::string(static_cast<size_t>(bar), '#'));
  }
}

void AppendLengths(const TokenStore& store, std::string* text) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < store.num_documents(); ++i) lengths.push_back(store.Document(i).length);
  if (lengths.empty()) return;
  std::sort(lengths.begin(), lengths.end());
  *text += absl::StrFormat("%-12s %d shortest, %d median, %d longest (tokens)\n", "documents", lengths.front(),
                           lengths[lengths.size() / 2], lengths.back());
  AppendHistogram(lengths, text);
}

// Text of the data for a terminal, which must not obey it: control characters but line breaks and tabs are written out.
std::string Shown(std::string_view text) {
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      absl::StrAppendFormat(&shown, "\\x%02x", byte);
    } else if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {  // U+0080..U+009F; to some terminals, U+009B is ESC [
      absl::StrAppendFormat(&shown, "\\u%04x", next);
      ++i;
    } else {
      shown += text[i];
    }
  }
  return shown;
}

void AppendMostFrequent(const Counts& counts, const Tokenizer& tokenizer, std::string* text) {
  std::vector<int32_t> ids(counts.by_token.size());
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  std::stable_sort(ids.begin(), ids.end(),
                   [&](int32_t a, int32_t b) { return counts.by_token[a] > counts.by_token[b]; });
  *text += absl::StrFormat("%-12s", "frequent");
  for (int i = 0; i < kMostFrequent && i < static_cast<int>(ids.size()) && counts.by_token[ids[i]] > 0; ++i) {
    *text += absl::StrFormat(" %s (%d)", Shown(tokenizer.TokenOf(ids[i]).value_or("?")), counts.by_token[ids[i]]);
  }
  *text += "\n";
}

// A document's text, with what the loss counts marked. A token that is part of a character goes with its other parts.
Status AppendSample(const TokenStore& store, const Tokenizer& tokenizer, int64_t document, bool color,
                    std::string* text) {
  const TokenRange range = store.Document(document);
  std::vector<int32_t> tokens(range.length);
  std::vector<uint8_t> loss_mask(range.length);
  WEFT_RETURN_IF_ERROR(store.Read(range, absl::MakeSpan(tokens), absl::MakeSpan(loss_mask)));
  const std::string_view begin = color ? "\x1b[32m" : "»", end = color ? "\x1b[0m" : "«";
  *text += absl::StrFormat("--- document %d: %d tokens, %d in the loss\n", document, range.length,
                           std::count(loss_mask.begin(), loss_mask.end(), 1));
  StreamDecoder decoder(tokenizer, /*continues_text=*/false, /*skip_special=*/false);
  bool in_loss = false;
  for (int64_t i = 0; i < range.length; ++i) {
    if ((loss_mask[i] != 0) != in_loss) {
      *text += Shown(decoder.Finish());
      *text += in_loss ? end : begin;
      in_loss = !in_loss;
    }
    *text += Shown(decoder.Add(tokens[i]));
  }
  *text += Shown(decoder.Finish());
  if (in_loss) *text += end;
  *text += "\n";
  return absl::OkStatus();
}

Status AppendTable(const TokenStore& store, std::string* text) {
  WEFT_ASSIGN_OR_RETURN(const TableSpec spec, TableSpec::Parse(store.table_yaml(), store.path()));
  *text += absl::StrFormat("%-12s %d columns, fitted to %d rows; `weft data render ROW --table %s` shows one as these are\n",
                           "table", spec.columns.list.size(), spec.fitted_rows.value_or(0), store.path());
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::string> InspectData(const std::string& path, const InspectOptions& options) {
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
  if (!store->table_yaml().empty()) WEFT_RETURN_IF_ERROR(AppendTable(*store, &text));
  text += StrCat("made from ", store->provenance_json(), "\n");
  const int64_t num_samples = std::min(options.num_samples, store->num_documents());
  for (int64_t i = 0; i < num_samples; ++i) {
    const int64_t document = i * store->num_documents() / num_samples;
    WEFT_RETURN_IF_ERROR(AppendSample(*store, *tokenizer, document, options.color, &text));
  }
  return text;
}

}  // namespace weft
