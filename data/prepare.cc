// The stages of `weft data prepare`: find, read, tokenise in batches and parts, write, seal.
#include "data/prepare.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_join.h"
#include "core/config_writer.h"
#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/sha256.h"
#include "core/thread_pool.h"
#include "data/sample_encoder.h"
#include "data/store_header.h"
#include "data/table_fit.h"
#include "data/token_store_hdf5.h"
#include "data/tokenizer.h"
#include "data/validation_split.h"

namespace weft {
namespace {

constexpr int64_t kBatchBytes = int64_t{4} << 20;  // of text tokenised at once

Status CheckOptions(const PrepareOptions& options) {
  if (options.inputs.empty()) return UserError("inputs: name at least one file or folder to prepare");
  if (options.to.empty()) return UserError("to: name the token store to write, e.g. --to data.h5");
  if (options.sequence_length < 1 || options.sequence_length > 1 << 24) {
    return UserError("sequence_length: ", options.sequence_length, " is not between 1 and ", 1 << 24);
  }
  if (!(options.validation_fraction >= 0 && options.validation_fraction < 1)) {
    return UserError("validation_fraction: ", options.validation_fraction, " is not at least 0 and below 1");
  }
  if (!options.preferences.empty() && options.preferences != "chosen") {
    return UserError("preferences: '", options.preferences, "' is not known; expected chosen");
  }
  if (!options.table.empty() && (!options.format.empty() || !options.columns.empty())) {
    return UserError(options.format.empty() ? "column" : "format", ": rows of a table have no format, and its file names the "
                     "columns; leave it out with --table");
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(options.to, ignored)) {
    return UserError("to: ", options.to, " is a folder; name the file to write, e.g. ", options.to, "/data.h5");
  }
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::string& path) {
  if (path.empty()) return Tokenizer::ByteLevel();
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(path));
  if (!tokenizer->eos_id().has_value()) {
    return UserError("tokenizer: ", path, " names no eos_token, which ends every document, and neither do special_tokens_map.json, "
                     "generation_config.json and config.json beside it: add \"eos_token\" to its tokenizer_config.json");
  }
  return tokenizer;
}

// Where conversations get their template from.
StatusOr<ChatTemplate> LoadTemplate(const PrepareOptions& options, const Tokenizer& tokenizer) {
  if (!options.chat_template.empty()) {
    WEFT_ASSIGN_OR_RETURN(const std::string source, ReadFile(options.chat_template));
    return ChatTemplate::Parse(source, options.chat_template, tokenizer.config_json());
  }
  std::error_code ignored;
  const std::filesystem::path path = options.tokenizer;
  const std::filesystem::path folder = std::filesystem::is_directory(path, ignored) ? path : path.parent_path();
  return ChatTemplate::OfModel(folder.string(), tokenizer.config_json());
}

// Raised with every change of this folder that encodes a document otherwise: the parts of an earlier weft are then made anew.
constexpr int kEncodingVersion = 3;

// Digest of all that decides how a document is encoded.
std::string EncodingDigest(PrepareOptions options, const Tokenizer& tokenizer, const StatusOr<ChatTemplate>& chat_template,
                           const std::string& table_yaml) {
  options.inputs = {};
  options.to = options.table = "";
  options.validation_fraction = 0;
  Sha256 digest;
  for (const std::string& text : {StrCat(kEncodingVersion), WriteConfig(options), tokenizer.json(), tokenizer.config_json(),
                                  chat_template.ok() ? chat_template->source() : std::string(), table_yaml}) {
    digest.Add(StrCat(text.size(), "\n", text));
  }
  return digest.Hex();
}

// The inputs on their way into parts.
struct Preparation {
  const PrepareOptions& options;
  const InputFiles& files;
  const SampleEncoder& encoder;
  const TooLong too_long;
  const std::string encoding;  // digest, as in PartRecord
  const std::time_t time;
  PreparedParts& parts;
  ThreadPool& pool;
  const char csv_delimiter;
  std::unique_ptr<DocumentReader> reader = NewReader();
  std::vector<PartRecord> records{};  // of the parts that are finished

  // Finds the parts that an earlier start has finished; the reader then stands behind them.
  Status TakeOver(Progress* progress);
  // Makes one more part; false where no document is left.
  StatusOr<bool> MakePart(Progress* progress);

  std::unique_ptr<DocumentReader> NewReader() const {
    return std::make_unique<DocumentReader>(files, csv_delimiter, options.max_text_bytes);
  }
  StatusOr<std::vector<Document>> ReadBatch(int64_t most_documents);
  void AddToDigest(const std::vector<Document>& documents, Sha256* digest);
  Status Encode(const std::vector<Document>& documents, PrepareCounts* counts);
  PrepareCounts Counts() const;
};

// Empty at the end of the inputs.
StatusOr<std::vector<Document>> Preparation::ReadBatch(int64_t most_documents) {
  std::vector<Document> documents;
  int64_t bytes = 0;
  while (bytes < std::min(kBatchBytes, options.part_bytes) && static_cast<int64_t>(documents.size()) < most_documents) {
    WEFT_ASSIGN_OR_RETURN(std::optional<Document> document, reader->Next());
    if (!document.has_value()) break;
    bytes += static_cast<int64_t>(document->bytes.size());
    documents.push_back(*std::move(document));
  }
  return documents;
}

void Preparation::AddToDigest(const std::vector<Document>& documents, Sha256* digest) {
  std::vector<uint64_t> hashes(documents.size());
  pool.ParallelTasks(static_cast<int64_t>(documents.size()), [&](int64_t i) {
    hashes[i] = ContentHash(documents[i].bytes) ^ static_cast<uint64_t>(documents[i].is_record);
  });
  digest->Add({reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(uint64_t)});
}

// In parallel, and into the part in order.
Status Preparation::Encode(const std::vector<Document>& documents, PrepareCounts* counts) {
  std::vector<StatusOr<EncodedSample>> samples(documents.size());
  pool.ParallelTasks(static_cast<int64_t>(documents.size()),
                     [&](int64_t i) { samples[i] = encoder.Encode(documents[i]); });
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!samples[i].ok()) return samples[i].status();
    EncodedSample& sample = *samples[i];
    if (sample.is_dropped) {
      ++counts->dropped_rows;
    } else if (sample.is_undecided) {
      ++counts->undecided_pairs;
    } else if (sample.tokens.size() < 2) {  // a tokenizer without an unknown token can make nothing of a text
      ++counts->empty;
    } else if (!FitSample(too_long, options.sequence_length, &sample)) {
      ++counts->too_long;
    } else if (!HasLoss(sample)) {
      ++counts->without_loss;
    } else if (static_cast<int64_t>(sample.tokens.size()) > options.max_sample_tokens) {
      return UserError(documents[i].place, ": ", sample.tokens.size(), " tokens are too many for one document; at most ",
                       options.max_sample_tokens, " are taken: cut it into several, or choose --too-long cut or drop");
    } else {
      WEFT_RETURN_IF_ERROR(parts.Add(sample));
      ++counts->documents;
      counts->tokens += static_cast<int64_t>(sample.tokens.size());
      counts->turns += sample.num_turns;
      counts->open_turns += sample.num_open_turns;
      counts->unsaid += sample.num_unsaid;
    }
  }
  return absl::OkStatus();
}

Status Preparation::TakeOver(Progress* progress) {
  int64_t documents_read = 0, shown = 0;
  while (true) {
    const auto part = static_cast<int64_t>(records.size());
    const std::optional<PartRecord> record = parts.Find(part);
    const bool is_usable = record.has_value() && record->encoding == encoding && record->time == time &&
                           parts.IsWhole(part, *record);
    if (!is_usable) return absl::OkStatus();
    Sha256 digest;
    for (int64_t left = record->documents_read; left > 0;) {
      WEFT_ASSIGN_OR_RETURN(const std::vector<Document> documents, ReadBatch(left));
      if (documents.empty()) break;
      AddToDigest(documents, &digest);
      left -= static_cast<int64_t>(documents.size());
      progress->Skip(reader->bytes_read() - std::exchange(shown, reader->bytes_read()));
    }
    if (digest.Hex() != record->documents) break;  // other documents now
    documents_read += record->documents_read;
    records.push_back(*record);
  }
  reader = NewReader();  // back to where the last good part ends
  for (; documents_read > 0; --documents_read) WEFT_RETURN_IF_ERROR(reader->Next().status());
  progress->Skip(reader->bytes_read() - shown);
  return absl::OkStatus();
}

StatusOr<bool> Preparation::MakePart(Progress* progress) {
  PartRecord record;
  record.encoding = encoding;
  record.time = time;
  Sha256 digest;
  const int64_t begin = reader->bytes_read();
  int64_t shown = begin;
  while (reader->bytes_read() - begin < options.part_bytes) {
    WEFT_ASSIGN_OR_RETURN(const std::vector<Document> documents, ReadBatch(std::numeric_limits<int64_t>::max()));
    if (documents.empty()) break;
    if (record.documents_read == 0) WEFT_RETURN_IF_ERROR(parts.Begin(static_cast<int64_t>(records.size())));
    AddToDigest(documents, &digest);
    WEFT_RETURN_IF_ERROR(Encode(documents, &record.counts));
    record.documents_read += static_cast<int64_t>(documents.size());
    progress->Advance(reader->bytes_read() - std::exchange(shown, reader->bytes_read()));
  }
  if (record.documents_read == 0) return false;
  record.documents = digest.Hex();
  WEFT_RETURN_IF_ERROR(parts.Finish(&record));
  records.push_back(record);
  return true;
}

PrepareCounts Preparation::Counts() const {
  PrepareCounts sum;
  for (const PartRecord& record : records) sum.Add(record.counts);
  return sum;
}

Status MakeParts(Preparation* preparation) {
  Progress progress("tokenizing", preparation->files.bytes(), "bytes");
  WEFT_RETURN_IF_ERROR(preparation->TakeOver(&progress));
  if (!preparation->records.empty()) {
    LogInfo("going on from ", preparation->parts.folder(), ": ", preparation->Counts().documents,
            " documents of an earlier start are taken over");
  }
  for (bool more = true; more;) {
    WEFT_ASSIGN_OR_RETURN(more, preparation->MakePart(&progress));
  }
  return absl::OkStatus();
}

// The parts, one after another, as documents of the store. `hashes` become theirs.
Status WriteDocuments(const Preparation& preparation, TokenStoreWriter* writer, std::vector<uint64_t>* hashes) {
  const PrepareCounts counts = preparation.Counts();
  hashes->reserve(static_cast<size_t>(counts.documents));
  std::optional<Progress> progress;
  if (preparation.records.size() > 1) progress.emplace("writing", counts.tokens, "tokens");
  for (size_t part = 0; part < preparation.records.size(); ++part) {
    const PartRecord& record = preparation.records[part];
    WEFT_RETURN_IF_ERROR(preparation.parts.Read(static_cast<int64_t>(part), record, [&](const EncodedSample& sample) {
      hashes->push_back(sample.hash);
      return writer->Add(sample.tokens, sample.loss_mask);
    }));
    if (progress.has_value()) progress->Advance(record.counts.tokens);
  }
  return absl::OkStatus();
}

std::string ProvenanceJson(const Preparation& preparation) {
  const PrepareOptions& options = preparation.options;
  const InputFiles& files = preparation.files;
  const PrepareCounts counts = preparation.Counts();
  nlohmann::ordered_json provenance = {
      {"inputs", options.inputs},
      {"files", files.files.size()},
      {"bytes", files.bytes()},
      {"documents", counts.documents},
      {"tokens", counts.tokens},
      {"empty_documents_dropped", preparation.reader->num_empty() + counts.empty},
      {"files_skipped_as_not_text", preparation.reader->num_not_text()},
      {"hidden_files_skipped", files.num_skipped_files},
      {"hidden_and_build_folders_skipped", files.num_skipped_folders},
      {"tokenizer", options.tokenizer.empty() ? "byte-level" : options.tokenizer},
      {"validation_fraction", options.validation_fraction},
      {"prepared_by", "weft 0.1.0"},
  };
  if (counts.turns > 0) {
    provenance["chat_template"] = preparation.encoder.chat_template()->source();
    provenance["assistant_turns"] = counts.turns;
    provenance["assistant_turns_without_an_end"] = counts.open_turns;
    provenance["messages_that_the_template_leaves_out"] = counts.unsaid;
  }
  if (counts.too_long > 0) provenance["too_long_documents_dropped"] = counts.too_long;
  if (counts.without_loss > 0) provenance["documents_without_loss_dropped"] = counts.without_loss;
  if (!options.table.empty()) provenance["table"] = options.table;
  if (counts.dropped_rows > 0) provenance["table_rows_dropped"] = counts.dropped_rows;
  if (counts.undecided_pairs > 0) provenance["undecided_preference_pairs_dropped"] = counts.undecided_pairs;
  return provenance.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A store may be written over an earlier one, and over nothing else: it could be somebody's only copy.
Status CheckMayReplace(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored) || IsTokenStore(path)) return absl::OkStatus();
  return UserError("--to ", path, ": the file is there and is not a token store; name another file");
}

// What of the inputs does not come into the store, by reason.
std::string WhatIsSkipped(const Preparation& preparation) {
  const PrepareCounts counts = preparation.Counts();
  const std::pair<const char*, int64_t> reasons[] = {
      {"files that are not text", preparation.reader->num_not_text()},
      {"hidden files and links", preparation.files.num_skipped_files},
      {"hidden and build folders", preparation.files.num_skipped_folders},
      {"empty documents", preparation.reader->num_empty() + counts.empty},
      {"too long", counts.too_long},
      {"without a token in the loss", counts.without_loss},
      {"rows that the table drops", counts.dropped_rows},
      {"preference pairs whose answers do not differ", counts.undecided_pairs}};
  std::vector<std::string> skipped;
  for (const auto& [reason, count] : reasons) {
    if (count > 0) skipped.push_back(StrCat(reason, ": ", count));
  }
  return skipped.empty() ? "nothing" : absl::StrJoin(skipped, ", ");
}

void LogResult(const Preparation& preparation, int64_t num_validation) {
  const PrepareCounts counts = preparation.Counts();
  LogInfo("wrote ", preparation.options.to, ": documents: ", counts.documents, ", of them for validation: ", num_validation,
          "; tokens: ", HumanCount(static_cast<double>(counts.tokens)));
  LogInfo("skipped: ", WhatIsSkipped(preparation));
  if (preparation.files.num_records_as_text > 0) {
    LogInfo(preparation.files.num_records_as_text, " .json, .csv and .tsv files of folders were read as texts like others; ",
            "name them as inputs to have their records read");
  }
  if (num_validation == 0 && preparation.options.validation_fraction > 0) {
    LogInfo("no document is kept for validation: ", counts.documents < 2 ? "there is only one" :
            "the rows chosen for it were left out; a larger --validation-fraction chooses more");
  }
  if (counts.open_turns > 0) {
    LogInfo("of ", counts.turns, " turns of the assistant ", counts.open_turns, " are ended by no ",
            "control token of the tokenizer: a model trained on them may not stop. Do template and tokenizer belong ",
            "together?");
  }
  if (counts.unsaid > 0) {
    LogWarning("of ", counts.unsaid, " messages the chat template writes nothing: system messages (--keep-system puts them into the ",
               "user's), or tool calls that another template would write? weft inspect data --samples shows what is left");
  }
}

// The specification with what the store adds to it: whether rows became chats.
TableSpec TrainedSpec(TableSpec spec, const PrepareOptions& options) {
  spec.chat.reset();
  if (!options.chat_template.empty() && spec.text.empty()) spec.chat = true;
  return spec;
}

// The store out of finished parts.
Status WriteStore(const Preparation& preparation, const Tokenizer& tokenizer, const TableFit& fit) {
  const PrepareOptions& options = preparation.options;
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<TokenStoreWriter> writer,
                        TokenStoreWriter::Create(options.to, tokenizer.vocab_size()));
  TokenStoreWriter::Ending ending;
  std::vector<uint64_t> hashes;  // [documents]
  WEFT_RETURN_IF_ERROR(WriteDocuments(preparation, writer.get(), &hashes));
  ending.validation = fit.validation_threshold.has_value() ? BelowThreshold(hashes, *fit.validation_threshold)
                                                           : ChooseValidation(hashes, options.validation_fraction);
  if (fit.table != nullptr) ending.table_yaml = TrainedSpec(fit.table->spec(), options).ToYaml();
  hashes = {};
  ending.sequence_length = options.sequence_length;
  ending.tokenizer_json = tokenizer.json();
  ending.tokenizer_config_json = tokenizer.config_json();
  const StatusOr<ChatTemplate>& chat_template = preparation.encoder.chat_template();
  if (chat_template.ok()) {  // what is trained with is what is exported and served
    WEFT_ASSIGN_OR_RETURN(ending.tokenizer_config_json, chat_template->IntoConfig(tokenizer.config_json()));
  }
  ending.provenance_json = ProvenanceJson(preparation);
  WEFT_RETURN_IF_ERROR(writer->Finish(ending));
  LogResult(preparation, std::count(ending.validation.begin(), ending.validation.end(), 1));
  return absl::OkStatus();
}

}  // namespace

Status PrepareData(const PrepareOptions& options) {
  WEFT_RETURN_IF_ERROR(CheckOptions(options));
  WEFT_RETURN_IF_ERROR(CheckMayReplace(options.to));
  RecordReading reading;
  if (!options.format.empty()) {
    WEFT_ASSIGN_OR_RETURN(reading.format, ParseRecordFormat(options.format));
  }
  WEFT_ASSIGN_OR_RETURN(reading.columns, ParseColumns(options.columns));
  WEFT_ASSIGN_OR_RETURN(const TooLong too_long, ParseTooLong(options.too_long));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, LoadTokenizer(options.tokenizer));
  StatusOr<ChatTemplate> chat_template = LoadTemplate(options, *tokenizer);
  const bool template_is_named = !options.chat_template.empty();
  if (template_is_named && !chat_template.ok()) return chat_template.status();
  WEFT_ASSIGN_OR_RETURN(const InputFiles files, FindInputFiles(options.inputs));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<PreparedParts> parts, PreparedParts::Open(options.to + ".parts"));

  TableFit fit;
  if (!options.table.empty()) {
    WEFT_ASSIGN_OR_RETURN(fit, FitTable(options.table, files, options.validation_fraction));
    if (fit.table->spec().chat.value_or(false) && !template_is_named) {
      return UserError(options.table, ": its rows became chats; name the chat template again with --template ",
                       "FILE.jinja");
    }
  }
  const Table* table = fit.table.get();
  const std::string encoding = EncodingDigest(options, *tokenizer, chat_template, table == nullptr ? "" : table->spec().ToYaml());
  const std::optional<PartRecord> first = parts->Find(0);
  const bool goes_on = first.has_value() && first->encoding == encoding;
  const std::time_t now = goes_on ? first->time : std::time(nullptr);  // one time for all documents of a store
  const Rendering rendering{.template_is_named = template_is_named, .keep_system = options.keep_system, .table = table,
                            .learns_chosen = !options.preferences.empty(), .now = now};
  const SampleEncoder encoder(*tokenizer, reading, std::move(chat_template), rendering);
  ThreadPool pool(options.num_threads > 0 ? options.num_threads : DefaultNumThreads(1));
  Preparation preparation{options, files, encoder, too_long, encoding, now, *parts, pool,
                          table == nullptr ? ',' : table->spec().delimiter_char()};
  Status status = MakeParts(&preparation);
  if (status.ok() && preparation.Counts().documents == 0) {
    WEFT_RETURN_IF_ERROR(parts->Remove());
    return UserError("the inputs hold no text to learn from; skipped: ", WhatIsSkipped(preparation));
  }
  if (status.ok()) status = WriteStore(preparation, *tokenizer, fit);
  if (status.ok()) {
    const Status removed = parts->Remove();
    if (!removed.ok()) LogInfo("the store is whole, but ", ToStd(removed.message()), "; remove it by hand");
    return absl::OkStatus();
  }
  if (!preparation.records.empty()) LogInfo("what is tokenised stays in ", parts->folder(), "; the same command goes on from it");
  return status;
}

}  // namespace weft
