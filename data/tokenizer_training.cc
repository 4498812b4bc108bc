// The stages of `weft data tokenizer`: find, read and count in batches, learn, write.
#include "data/tokenizer_training.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "core/log.h"
#include "core/progress.h"
#include "core/thread_pool.h"
#include "data/bpe_training.h"
#include "data/byte_level_bpe_file.h"
#include "data/documents.h"
#include "data/json_view.h"
#include "data/regex.h"
#include "data/tokenizer.h"

namespace weft {
namespace {

constexpr size_t kBatchBytes = size_t{16} << 20;  // of text counted at once
constexpr int64_t kSmallestVocab = 256 + kNumControlTokens, kLargestVocab = 1 << 22;

constexpr char kPattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Status CheckOptions(const TokenizerTrainingOptions& options) {
  if (options.inputs.empty()) return UserError("inputs: name at least one file or folder to learn from");
  if (options.to.empty()) return UserError("to: name the folder to write, e.g. --to tokenizer");
  if (options.vocab_size < kSmallestVocab || options.vocab_size > kLargestVocab) {
    return UserError("vocab_size: ", options.vocab_size, " is not between ", kSmallestVocab,
                     " (the bytes and the control tokens) and ", kLargestVocab);
  }
  std::error_code ignored;
  if (std::filesystem::exists(options.to + "/tokenizer.json", ignored)) {  // a model's, perhaps, which needs that very one
    return UserError("to: ", options.to, " has a tokenizer.json already; name another folder, or remove that file first");
  }
  return absl::OkStatus();
}

// The file's text; of a record, its member `text`.
StatusOr<std::string> TextOf(Document document) {
  if (!document.is_record) return std::move(document.bytes);
  WEFT_ASSIGN_OR_RETURN(const nlohmann::json record, ParseJson(document.bytes, document.place));
  return JsonView(record, StrCat(document.place, ":")).String("text");
}

// Every part of `text` is in a match of the pattern, or between two.
void CountPieces(const Regex& pattern, std::string_view text, PieceCounts* counts) {
  std::vector<Regex::Match> matches;
  pattern.FindAll(text, &matches);
  size_t done = 0;
  for (const Regex::Match& match : matches) {
    if (match.begin > done) ++(*counts)[std::string(text.substr(done, match.begin - done))];
    ++(*counts)[std::string(text.substr(match.begin, match.end - match.begin))];
    done = match.end;
  }
  if (done < text.size()) ++(*counts)[std::string(text.substr(done))];
}

void CountBatch(const Regex& pattern, const std::vector<std::string>& texts, ThreadPool* pool, PieceCounts* counts) {
  std::vector<PieceCounts> parts(pool->num_threads());
  const int64_t num_texts = static_cast<int64_t>(texts.size()), num_parts = static_cast<int64_t>(parts.size());
  pool->ParallelTasks(num_parts, [&](int64_t part) {
    for (int64_t i = part; i < num_texts; i += num_parts) CountPieces(pattern, texts[i], &parts[part]);
  });
  for (const PieceCounts& part : parts) {
    for (const auto& [piece, count] : part) (*counts)[piece] += count;
  }
}

StatusOr<PieceCounts> CountAllPieces(const TokenizerTrainingOptions& options, const Regex& pattern) {
  WEFT_ASSIGN_OR_RETURN(const InputFiles files, FindInputFiles(options.inputs));
  ThreadPool pool(options.num_threads > 0 ? options.num_threads : DefaultNumThreads(1));
  DocumentReader reader(files);
  Progress progress("counting", files.bytes(), "bytes");
  PieceCounts counts;
  std::vector<std::string> texts;
  size_t batch_bytes = 0;
  int64_t shown = 0;
  while (true) {
    WEFT_ASSIGN_OR_RETURN(std::optional<Document> document, reader.Next());
    const bool ended = !document.has_value();
    if (!ended) {
      WEFT_ASSIGN_OR_RETURN(texts.emplace_back(), TextOf(*std::move(document)));
      batch_bytes += texts.back().size();
    }
    if (ended || batch_bytes >= kBatchBytes) {
      CountBatch(pattern, texts, &pool, &counts);
      progress.Advance(reader.bytes_read() - std::exchange(shown, reader.bytes_read()));
      texts.clear();
      batch_bytes = 0;
    }
    if (ended) break;
  }
  if (counts.empty()) return UserError("the inputs hold no text");
  return counts;
}

}  // namespace

Status TrainTokenizer(const TokenizerTrainingOptions& options) {
  WEFT_RETURN_IF_ERROR(CheckOptions(options));
  WEFT_ASSIGN_OR_RETURN(const Regex pattern, Regex::Compile(kPattern));
  WEFT_ASSIGN_OR_RETURN(const PieceCounts counts, CountAllPieces(options, pattern));
  LearntBpe learnt = LearnBpe(counts, static_cast<int>(options.vocab_size) - kNumControlTokens);
  const int64_t vocab_size = static_cast<int64_t>(learnt.tokens.size()) + kNumControlTokens;
  if (vocab_size < options.vocab_size) {
    return UserError("vocab_size: the inputs give ", vocab_size, " tokens and not ", options.vocab_size,
                     ", since no pair is left that is found twice; ask for fewer, or give more text");
  }
  const std::string json = TokenizerJson({std::move(learnt.tokens), std::move(learnt.merges), kPattern});
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                        Tokenizer::Parse(json, TokenizerConfigJson(), options.to));
  WEFT_RETURN_IF_ERROR(tokenizer->Save(options.to));
  LogInfo("wrote ", options.to, "/tokenizer.json: ", vocab_size, " tokens, learnt from ",
          HumanCount(static_cast<double>(counts.size())), " distinct pieces");
  return absl::OkStatus();
}

}  // namespace weft
