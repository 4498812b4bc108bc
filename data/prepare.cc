// The stages of `weft data prepare`: find, read, tokenise in batches, write, seal.
#include "data/prepare.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/log.h"
#include "core/progress.h"
#include "core/thread_pool.h"
#include "data/documents.h"
#include "data/token_store_hdf5.h"
#include "data/store_header.h"
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

// What goes through the batches, and what is known at the end.
struct Preparation {
  const Tokenizer& tokenizer;
  TokenStoreWriter& writer;
  ThreadPool& pool;
  std::vector<uint64_t> hashes;  // [documents]

  // Tokenises `texts` in parallel and writes them in order.
  Status Add(const std::vector<std::string>& texts);
};

Status Preparation::Add(const std::vector<std::string>& texts) {
  const int32_t eos = *tokenizer.eos_id();
  std::vector<std::vector<int32_t>> tokens(texts.size());
  std::vector<uint64_t> batch_hashes(texts.size());
  pool.ParallelTasks(static_cast<int64_t>(texts.size()), [&](int64_t i) {
    tokens[i] = tokenizer.Encode(texts[i]);
    if (tokens[i].empty() || tokens[i].back() != eos) tokens[i].push_back(eos);  // some post-processors add it
    batch_hashes[i] = ContentHash(texts[i]);
  });
  for (size_t i = 0; i < texts.size(); ++i) {
    if (tokens[i].size() < 2) continue;  // a tokenizer without an unknown token can make nothing of a text
    WEFT_RETURN_IF_ERROR(writer.Add(tokens[i], std::vector<uint8_t>(tokens[i].size(), 1)));
    hashes.push_back(batch_hashes[i]);
  }
  return absl::OkStatus();
}

Status AddAllDocuments(DocumentReader* reader, Preparation* preparation, int64_t num_bytes) {
  Progress progress("tokenizing", num_bytes, "bytes");
  std::vector<std::string> texts;
  size_t batch_bytes = 0;
  int64_t shown = 0;
  while (true) {
    WEFT_ASSIGN_OR_RETURN(std::optional<std::string> text, reader->Next());
    const bool ended = !text.has_value();
    if (!ended) {
      batch_bytes += text->size();
      texts.push_back(*std::move(text));
    }
    if (ended || batch_bytes >= kBatchBytes) {
      WEFT_RETURN_IF_ERROR(preparation->Add(texts));
      progress.Advance(reader->bytes_read() - std::exchange(shown, reader->bytes_read()));
      texts.clear();
      batch_bytes = 0;
    }
    if (ended) return absl::OkStatus();
  }
}

std::string ProvenanceJson(const PrepareOptions& options, const InputFiles& files, const DocumentReader& reader,
                           const TokenStoreWriter& writer) {
  const nlohmann::ordered_json provenance = {
      {"inputs", options.inputs},
      {"files", files.files.size()},
      {"bytes", files.bytes()},
      {"documents", writer.num_documents()},
      {"tokens", writer.num_tokens()},
      {"empty_documents_dropped", reader.num_empty()},
      {"files_skipped_as_not_text", reader.num_not_text()},
      {"hidden_files_skipped", files.num_skipped_files},
      {"hidden_and_build_folders_skipped", files.num_skipped_folders},
      {"tokenizer", options.tokenizer.empty() ? "byte-level" : options.tokenizer},
      {"validation_fraction", options.validation_fraction},
      {"prepared_by", "weft 0.1.0"},
  };
  return provenance.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A store may be written over an earlier one, and over nothing else: it could be somebody's only copy.
Status CheckMayReplace(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored) || IsTokenStore(path)) return absl::OkStatus();
  return UserError("--to ", path, ": the file is there and is not a token store; name another file");
}

}  // namespace

Status PrepareData(const PrepareOptions& options) {
  WEFT_RETURN_IF_ERROR(CheckOptions(options));
  WEFT_RETURN_IF_ERROR(CheckMayReplace(options.to));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, LoadTokenizer(options.tokenizer));
  WEFT_ASSIGN_OR_RETURN(const InputFiles files, FindInputFiles(options.inputs));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<TokenStoreWriter> writer,
                        TokenStoreWriter::Create(options.to, tokenizer->vocab_size()));
  ThreadPool pool(options.num_threads > 0 ? options.num_threads : DefaultNumThreads(1));
  DocumentReader reader(files);
  Preparation preparation{*tokenizer, *writer, pool, {}};
  WEFT_RETURN_IF_ERROR(AddAllDocuments(&reader, &preparation, files.bytes()));
  if (writer->num_documents() == 0) return UserError("the inputs hold no text");

  TokenStoreWriter::Ending ending;
  ending.validation = ChooseValidation(preparation.hashes, options.validation_fraction);
  ending.sequence_length = options.sequence_length;
  ending.tokenizer_json = tokenizer->json();
  ending.tokenizer_config_json = tokenizer->config_json();
  ending.provenance_json = ProvenanceJson(options, files, reader, *writer);
  WEFT_RETURN_IF_ERROR(writer->Finish(ending));
  const int64_t num_validation = std::count(ending.validation.begin(), ending.validation.end(), 1);
  LogInfo("wrote ", options.to, ": documents: ", writer->num_documents(), ", of them for validation: ", num_validation,
          "; tokens: ", HumanCount(static_cast<double>(writer->num_tokens())));
  LogInfo("skipped: files that are not text: ", reader.num_not_text(), ", hidden files and links: ",
          files.num_skipped_files, ", hidden and build folders: ", files.num_skipped_folders, ", empty documents: ",
          reader.num_empty());
  return absl::OkStatus();
}

}  // namespace weft
