// The stages of `weft data prepare`: find, read, tokenise in batches, write, seal.
#include "data/prepare.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/thread_pool.h"
#include "data/documents.h"
#include "data/sample_encoder.h"
#include "data/token_store_hdf5.h"
#include "data/store_header.h"
#include "data/table_fit.h"
#include "data/tokenizer.h"
#include "data/validation_split.h"

namespace weft {
namespace {

constexpr size_t kBatchBytes = size_t{4} << 20;  // of text tokenised at once

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
    return UserError("tokenizer: ", path, " names no eos_token, which ends every document: add \"eos_token\" to its "
                     "tokenizer_config.json");
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

// What goes through the batches, and what is known at the end.
struct Preparation {
  const SampleEncoder& encoder;
  TokenStoreWriter& writer;
  ThreadPool& pool;
  const TooLong too_long;
  const int64_t sequence_length;
  std::vector<uint64_t> hashes;  // [documents]
  int64_t num_empty = 0, num_too_long = 0, num_without_loss = 0, num_dropped_rows = 0;
  int64_t num_turns = 0, num_open_turns = 0;  // of an assistant; without a token that ends them

  // Tokenises documents in parallel and writes them in order.
  Status Add(const std::vector<Document>& documents);
};

Status Preparation::Add(const std::vector<Document>& documents) {
  std::vector<StatusOr<EncodedSample>> samples(documents.size());
  pool.ParallelTasks(static_cast<int64_t>(documents.size()),
                     [&](int64_t i) { samples[i] = encoder.Encode(documents[i]); });
  for (StatusOr<EncodedSample>& encoded : samples) {
    if (!encoded.ok()) return encoded.status();
    EncodedSample& sample = *encoded;
    if (sample.is_dropped) {
      ++num_dropped_rows;
    } else if (sample.tokens.size() < 2) {  // a tokenizer without an unknown token can make nothing of a text
      ++num_empty;
    } else if (!FitSample(too_long, sequence_length, &sample)) {
      ++num_too_long;
    } else if (!HasLoss(sample)) {
      ++num_without_loss;
    } else {
      WEFT_RETURN_IF_ERROR(writer.Add(sample.tokens, sample.loss_mask));
      hashes.push_back(sample.hash);
      num_turns += sample.num_turns;
      num_open_turns += sample.num_open_turns;
    }
  }
  return absl::OkStatus();
}

Status AddAllDocuments(DocumentReader* reader, Preparation* preparation, int64_t num_bytes) {
  Progress progress("tokenizing", num_bytes, "bytes");
  std::vector<Document> documents;
  size_t batch_bytes = 0;
  int64_t shown = 0;
  while (true) {
    WEFT_ASSIGN_OR_RETURN(std::optional<Document> document, reader->Next());
    const bool ended = !document.has_value();
    if (!ended) {
      batch_bytes += document->bytes.size();
      documents.push_back(*std::move(document));
    }
    if (ended || batch_bytes >= kBatchBytes) {
      WEFT_RETURN_IF_ERROR(preparation->Add(documents));
      progress.Advance(reader->bytes_read() - std::exchange(shown, reader->bytes_read()));
      documents.clear();
      batch_bytes = 0;
    }
    if (ended) return absl::OkStatus();
  }
}

std::string ProvenanceJson(const PrepareOptions& options, const InputFiles& files, const DocumentReader& reader,
                           const Preparation& preparation, const StatusOr<ChatTemplate>& chat_template) {
  nlohmann::ordered_json provenance = {
      {"inputs", options.inputs},
      {"files", files.files.size()},
      {"bytes", files.bytes()},
      {"documents", preparation.writer.num_documents()},
      {"tokens", preparation.writer.num_tokens()},
      {"empty_documents_dropped", reader.num_empty() + preparation.num_empty},
      {"files_skipped_as_not_text", reader.num_not_text()},
      {"hidden_files_skipped", files.num_skipped_files},
      {"hidden_and_build_folders_skipped", files.num_skipped_folders},
      {"tokenizer", options.tokenizer.empty() ? "byte-level" : options.tokenizer},
      {"validation_fraction", options.validation_fraction},
      {"prepared_by", "weft 0.1.0"},
  };
  if (preparation.num_turns > 0) {
    provenance["chat_template"] = chat_template->source();
    provenance["assistant_turns"] = preparation.num_turns;
    provenance["assistant_turns_without_an_end"] = preparation.num_open_turns;
  }
  if (preparation.num_too_long > 0) provenance["too_long_documents_dropped"] = preparation.num_too_long;
  if (preparation.num_without_loss > 0) provenance["documents_without_loss_dropped"] = preparation.num_without_loss;
  if (preparation.num_dropped_rows > 0) provenance["table_rows_dropped"] = preparation.num_dropped_rows;
  return provenance.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A store may be written over an earlier one, and over nothing else: it could be somebody's only copy.
Status CheckMayReplace(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored) || IsTokenStore(path)) return absl::OkStatus();
  return UserError("--to ", path, ": the file is there and is not a token store; name another file");
}

}  // namespace

namespace {

void LogResult(const PrepareOptions& options, const InputFiles& files, const DocumentReader& reader,
               const Preparation& preparation, int64_t num_validation) {
  const TokenStoreWriter& writer = preparation.writer;
  LogInfo("wrote ", options.to, ": documents: ", writer.num_documents(), ", of them for validation: ", num_validation,
          "; tokens: ", HumanCount(static_cast<double>(writer.num_tokens())));
  LogInfo("skipped: files that are not text: ", reader.num_not_text(), ", hidden files and links: ",
          files.num_skipped_files, ", hidden and build folders: ", files.num_skipped_folders, ", empty documents: ",
          reader.num_empty() + preparation.num_empty, ", too long: ", preparation.num_too_long,
          ", without a token in the loss: ", preparation.num_without_loss, ", rows that the table drops: ",
          preparation.num_dropped_rows);
  if (files.num_records_as_text > 0) {
    LogInfo(files.num_records_as_text, " .json, .csv and .tsv files of folders were read as texts like others; name them ",
            "as inputs to have their records read");
  }
  if (preparation.num_open_turns > 0) {
    LogInfo("of ", preparation.num_turns, " turns of the assistant ", preparation.num_open_turns, " are ended by no ",
            "control token of the tokenizer: a model trained on them may not stop. Do template and tokenizer belong ",
            "together?");
  }
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
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<TokenStoreWriter> writer,
                        TokenStoreWriter::Create(options.to, tokenizer->vocab_size()));
  ThreadPool pool(options.num_threads > 0 ? options.num_threads : DefaultNumThreads(1));
  TableFit fit;
  if (!options.table.empty()) {
    WEFT_ASSIGN_OR_RETURN(fit, FitTable(options.table, files, options.validation_fraction));
  }
  DocumentReader reader(files, fit.table == nullptr ? ',' : fit.table->spec().delimiter_char());
  const Rendering rendering{.template_is_named = template_is_named, .keep_system = options.keep_system, .table = fit.table.get(),
                            .learns_chosen = !options.preferences.empty(), .now = std::time(nullptr)};
  const SampleEncoder encoder(*tokenizer, reading, std::move(chat_template), rendering);
  Preparation preparation{encoder, *writer, pool, too_long, options.sequence_length, {}};
  WEFT_RETURN_IF_ERROR(AddAllDocuments(&reader, &preparation, files.bytes()));
  if (writer->num_documents() == 0) return UserError("the inputs hold no text to learn from");

  TokenStoreWriter::Ending ending;
  ending.validation = fit.validation_threshold.has_value()
                          ? BelowThreshold(preparation.hashes, *fit.validation_threshold)
                          : ChooseValidation(preparation.hashes, options.validation_fraction);
  if (fit.table != nullptr) ending.table_yaml = fit.table->spec().ToYaml();
  ending.sequence_length = options.sequence_length;
  ending.tokenizer_json = tokenizer->json();
  ending.tokenizer_config_json = tokenizer->config_json();
  ending.provenance_json = ProvenanceJson(options, files, reader, preparation, encoder.chat_template());
  WEFT_RETURN_IF_ERROR(writer->Finish(ending));
  LogResult(options, files, reader, preparation, std::count(ending.validation.begin(), ending.validation.end(), 1));
  return absl::OkStatus();
}

}  // namespace weft
