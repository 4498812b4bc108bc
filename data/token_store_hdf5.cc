// The HDF5 side of token stores.
#include "data/token_store_hdf5.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "core/check.h"
#include "core/file.h"
#include "core/hdf5_file.h"
#include "data/store_header.h"

namespace weft {
namespace {

constexpr int64_t kFlushTokens = 1 << 20;  // gathered before a write
constexpr DataSplit kSplits[] = {DataSplit::kTrain, DataSplit::kValidation};

const char* NameOf(DataSplit split) { return split == DataSplit::kTrain ? "train" : "validation"; }

template <typename T>
StatusOr<std::vector<T>> ReadWhole(const hdf5::Handle& parent, const char* name) {
  WEFT_ASSIGN_OR_RETURN(const hdf5::Vector vector, hdf5::Vector::Open<T>(parent, name));
  std::vector<T> values(static_cast<size_t>(vector.size()));
  WEFT_RETURN_IF_ERROR(vector.Read<T>(0, vector.size(), values.data()));
  return values;
}

template <typename T>
Status WriteWhole(const hdf5::Handle& parent, const char* name, hid_t file_type, const std::vector<T>& values) {
  WEFT_ASSIGN_OR_RETURN(hdf5::Vector vector, hdf5::Vector::Create(parent, name, {.file_type = file_type}));
  return vector.Append(values.data(), static_cast<int64_t>(values.size()));
}

Status WritePlan(const hdf5::Handle& packing, DataSplit split, const PackingPlan& plan) {
  WEFT_ASSIGN_OR_RETURN(const hdf5::Handle group, hdf5::CreateGroup(packing, NameOf(split)));
  for (const bool is_begin : {true, false}) {
    std::vector<int64_t> values(plan.pieces.size());
    std::transform(plan.pieces.begin(), plan.pieces.end(), values.begin(),
                   [&](const TokenRange& piece) { return is_begin ? piece.begin : piece.length; });
    WEFT_RETURN_IF_ERROR(WriteWhole(group, is_begin ? "piece_begins" : "piece_lengths", H5T_STD_I64LE, values));
  }
  return WriteWhole(group, "sequence_begins", H5T_STD_I64LE, plan.sequence_begins);
}

StatusOr<PackingPlan> ReadPlan(const hdf5::Handle& packing, DataSplit split, int64_t sequence_length) {
  WEFT_ASSIGN_OR_RETURN(const hdf5::Handle group, hdf5::OpenGroup(packing, NameOf(split)));
  WEFT_ASSIGN_OR_RETURN(const std::vector<int64_t> begins, ReadWhole<int64_t>(group, "piece_begins"));
  WEFT_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, ReadWhole<int64_t>(group, "piece_lengths"));
  PackingPlan plan;
  plan.sequence_length = sequence_length;
  WEFT_ASSIGN_OR_RETURN(plan.sequence_begins, ReadWhole<int64_t>(group, "sequence_begins"));
  if (begins.size() != lengths.size()) return DataError("the packing plan's begins and lengths differ in number");
  for (size_t i = 0; i < begins.size(); ++i) plan.pieces.push_back({begins[i], lengths[i]});
  return plan;
}

// The tokens of each document of `split` that may stand as input: all but the last.
std::vector<TokenRange> Inputs(const std::vector<int64_t>& begins, const std::vector<uint8_t>& validation,
                               DataSplit split) {
  std::vector<TokenRange> inputs;
  inputs.reserve(static_cast<size_t>(std::count_if(validation.begin(), validation.end(), [&](uint8_t is_validation) {
    return (is_validation != 0) == (split == DataSplit::kValidation);
  })));
  for (size_t i = 0; i < validation.size(); ++i) {
    if ((validation[i] != 0) == (split == DataSplit::kValidation)) {
      inputs.push_back({begins[i], begins[i + 1] - begins[i] - 1});
    }
  }
  return inputs;
}

}  // namespace

// --- Reading ---------------------------------------------------------------------------------------------------------

struct TokenStore::State {
  std::string path;
  std::string digest;
  hdf5::Handle file;
  hdf5::Vector tokens;
  hdf5::Vector loss_mask;
  std::vector<int64_t> document_begins;  // [documents + 1]
  std::vector<uint8_t> validation;       // [documents]
  int64_t vocab_size = 0;
  int64_t sequence_length = 0;
  std::string tokenizer_json, tokenizer_config_json, provenance_json, table_yaml;

  Status Load(bool verify_all);
  Status Check() const;
};

Status TokenStore::State::Load(bool verify_all) {
  WEFT_ASSIGN_OR_RETURN(digest, CheckStoreHeader(path, verify_all));
  WEFT_ASSIGN_OR_RETURN(file, hdf5::OpenFile(path));
  WEFT_ASSIGN_OR_RETURN(tokens, hdf5::Vector::Open<int32_t>(file, "tokens"));
  WEFT_ASSIGN_OR_RETURN(loss_mask, hdf5::Vector::Open<uint8_t>(file, "loss_mask"));
  WEFT_ASSIGN_OR_RETURN(document_begins, ReadWhole<int64_t>(file, "document_begins"));
  WEFT_ASSIGN_OR_RETURN(validation, ReadWhole<uint8_t>(file, "validation"));
  WEFT_ASSIGN_OR_RETURN(vocab_size, hdf5::ReadNumber(file, "vocab_size"));
  WEFT_ASSIGN_OR_RETURN(const hdf5::Handle packing, hdf5::OpenGroup(file, "packing"));
  WEFT_ASSIGN_OR_RETURN(sequence_length, hdf5::ReadNumber(packing, "sequence_length"));
  WEFT_ASSIGN_OR_RETURN(tokenizer_json, hdf5::ReadText(file, "tokenizer_json"));
  WEFT_ASSIGN_OR_RETURN(tokenizer_config_json, hdf5::ReadText(file, "tokenizer_config_json"));
  WEFT_ASSIGN_OR_RETURN(provenance_json, hdf5::ReadText(file, "provenance_json"));
  WEFT_ASSIGN_OR_RETURN(table_yaml, hdf5::ReadOptionalText(file, "table_yaml"));
  return Check();
}

Status TokenStore::State::Check() const {
  if (vocab_size <= 0 || vocab_size > std::numeric_limits<int32_t>::max()) {
    return DataError("the vocabulary size ", vocab_size, " is impossible");
  }
  if (sequence_length <= 0) return DataError("the stored plan's sequence length ", sequence_length, " is impossible");
  if (loss_mask.size() != tokens.size()) {
    return DataError("/loss_mask has ", loss_mask.size(), " entries for ", tokens.size(), " tokens");
  }
  if (document_begins.size() != validation.size() + 1 || document_begins.front() != 0 ||
      document_begins.back() != tokens.size()) {
    return DataError("/document_begins does not cover the ", tokens.size(), " tokens");
  }
  for (size_t i = 0; i < validation.size(); ++i) {
    if (document_begins[i + 1] < document_begins[i] + 2) return DataError("document ", i, " has fewer than 2 tokens");
  }
  return absl::OkStatus();
}

StatusOr<std::shared_ptr<const TokenStore>> TokenStore::Open(const std::string& path, bool verify_all) {
  auto state = std::make_unique<State>();
  state->path = path;
  const Status status = state->Load(verify_all);
  if (absl::IsNotFound(status)) return UserError(path, ": there is no such file; `weft data prepare` writes token stores");
  if (!status.ok()) return WithContext(status, path);
  return std::shared_ptr<const TokenStore>(new TokenStore(std::move(state)));
}

TokenStore::TokenStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenStore::~TokenStore() = default;

const std::string& TokenStore::path() const { return state_->path; }
const std::string& TokenStore::digest() const { return state_->digest; }
int64_t TokenStore::num_tokens() const { return state_->tokens.size(); }
int32_t TokenStore::vocab_size() const { return static_cast<int32_t>(state_->vocab_size); }
int64_t TokenStore::num_documents() const { return static_cast<int64_t>(state_->validation.size()); }
int64_t TokenStore::planned_sequence_length() const { return state_->sequence_length; }
const std::string& TokenStore::tokenizer_json() const { return state_->tokenizer_json; }
const std::string& TokenStore::tokenizer_config_json() const { return state_->tokenizer_config_json; }
const std::string& TokenStore::provenance_json() const { return state_->provenance_json; }
const std::string& TokenStore::table_yaml() const { return state_->table_yaml; }

TokenRange TokenStore::Document(int64_t document) const {
  WEFT_CHECK(document >= 0 && document < num_documents()) << document << " of " << num_documents();
  const int64_t begin = state_->document_begins[document];
  return {begin, state_->document_begins[document + 1] - begin};
}

DataSplit TokenStore::SplitOf(int64_t document) const {
  WEFT_CHECK(document >= 0 && document < num_documents()) << document << " of " << num_documents();
  return state_->validation[document] != 0 ? DataSplit::kValidation : DataSplit::kTrain;
}

std::vector<TokenRange> TokenStore::InputsOf(DataSplit split) const {
  return Inputs(state_->document_begins, state_->validation, split);
}

StatusOr<PackingPlan> TokenStore::Plan(DataSplit split, int64_t sequence_length) const {
  if (sequence_length != state_->sequence_length) return PackDocuments(InputsOf(split), sequence_length);
  const auto read = [&]() -> StatusOr<PackingPlan> {
    WEFT_ASSIGN_OR_RETURN(const hdf5::Handle packing, hdf5::OpenGroup(state_->file, "packing"));
    WEFT_ASSIGN_OR_RETURN(PackingPlan plan, ReadPlan(packing, split, sequence_length));
    WEFT_RETURN_IF_ERROR(CheckPlan(plan, num_tokens()));
    return plan;
  };
  StatusOr<PackingPlan> plan = read();
  if (!plan.ok()) return WithContext(plan.status(), path());
  return plan;
}

Status TokenStore::Read(TokenRange range, absl::Span<int32_t> tokens, absl::Span<uint8_t> loss_mask) const {
  WEFT_CHECK_EQ(static_cast<int64_t>(tokens.size()), range.length);
  WEFT_CHECK_EQ(static_cast<int64_t>(loss_mask.size()), range.length);
  Status status = state_->tokens.Read<int32_t>(range.begin, range.length, tokens.data());
  if (status.ok()) status = state_->loss_mask.Read<uint8_t>(range.begin, range.length, loss_mask.data());
  if (!status.ok()) return WithContext(status, path());
  for (int32_t token : tokens) {
    if (token < 0 || token >= vocab_size()) {
      return DataError(path(), ": token ", token, " is outside the vocabulary of ", vocab_size());
    }
  }
  return absl::OkStatus();
}

// --- Writing ---------------------------------------------------------------------------------------------------------

struct TokenStoreWriter::State {
  std::string path;
  std::string aside;
  bool finished = false;
  hdf5::Handle file;
  hdf5::Vector tokens;
  hdf5::Vector loss_mask;
  std::vector<int32_t> waiting_tokens;
  std::vector<uint8_t> waiting_loss_mask;
  std::vector<int64_t> document_begins{0};

  ~State() {
    file = {};
    if (!finished) std::remove(aside.c_str());
  }
  Status Start(int32_t vocab_size);
  Status Flush();
  Status WriteEnding(const Ending& ending);
};

Status TokenStoreWriter::State::Start(int32_t vocab_size) {
  WEFT_ASSIGN_OR_RETURN(file, hdf5::CreateFile(aside, kStoreHeaderBytes));
  const hid_t token_type = vocab_size <= 1 << 16 ? H5T_STD_U16LE : H5T_STD_I32LE;
  WEFT_ASSIGN_OR_RETURN(tokens, hdf5::Vector::Create(file, "tokens", {.file_type = token_type}));
  WEFT_ASSIGN_OR_RETURN(loss_mask,
                        hdf5::Vector::Create(file, "loss_mask", {.file_type = H5T_STD_U8LE, .deflate = true}));
  return hdf5::WriteNumber(file, "vocab_size", vocab_size);
}

Status TokenStoreWriter::State::Flush() {
  const int64_t count = static_cast<int64_t>(waiting_tokens.size());
  WEFT_RETURN_IF_ERROR(tokens.Append(waiting_tokens.data(), count));
  WEFT_RETURN_IF_ERROR(loss_mask.Append(waiting_loss_mask.data(), count));
  waiting_tokens.clear();
  waiting_loss_mask.clear();
  return absl::OkStatus();
}

Status TokenStoreWriter::State::WriteEnding(const Ending& ending) {
  WEFT_RETURN_IF_ERROR(Flush());
  WEFT_RETURN_IF_ERROR(WriteWhole(file, "document_begins", H5T_STD_I64LE, document_begins));
  WEFT_RETURN_IF_ERROR(WriteWhole(file, "validation", H5T_STD_U8LE, ending.validation));
  WEFT_ASSIGN_OR_RETURN(const hdf5::Handle packing, hdf5::CreateGroup(file, "packing"));
  WEFT_RETURN_IF_ERROR(hdf5::WriteNumber(packing, "sequence_length", ending.sequence_length));
  for (const DataSplit split : kSplits) {
    const std::vector<TokenRange> inputs = Inputs(document_begins, ending.validation, split);
    WEFT_RETURN_IF_ERROR(WritePlan(packing, split, PackDocuments(inputs, ending.sequence_length)));
  }
  WEFT_RETURN_IF_ERROR(hdf5::WriteText(file, "tokenizer_json", ending.tokenizer_json));
  WEFT_RETURN_IF_ERROR(hdf5::WriteText(file, "tokenizer_config_json", ending.tokenizer_config_json));
  WEFT_RETURN_IF_ERROR(hdf5::WriteOptionalText(file, "table_yaml", ending.table_yaml));
  return hdf5::WriteText(file, "provenance_json", ending.provenance_json);
}

StatusOr<std::unique_ptr<TokenStoreWriter>> TokenStoreWriter::Create(const std::string& path, int32_t vocab_size) {
  WEFT_CHECK_GT(vocab_size, 0);
  auto state = std::make_unique<State>();
  state->path = path;
  state->aside = path + ".tmp";
  WEFT_RETURN_IF_ERROR(state->Start(vocab_size));
  return std::unique_ptr<TokenStoreWriter>(new TokenStoreWriter(std::move(state)));
}

TokenStoreWriter::TokenStoreWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TokenStoreWriter::~TokenStoreWriter() = default;

Status TokenStoreWriter::Add(absl::Span<const int32_t> tokens, absl::Span<const uint8_t> loss_mask) {
  WEFT_CHECK(tokens.size() >= 2 && tokens.size() == loss_mask.size()) << tokens.size() << ", " << loss_mask.size();
  state_->waiting_tokens.insert(state_->waiting_tokens.end(), tokens.begin(), tokens.end());
  state_->waiting_loss_mask.insert(state_->waiting_loss_mask.end(), loss_mask.begin(), loss_mask.end());
  state_->document_begins.push_back(state_->document_begins.back() + static_cast<int64_t>(tokens.size()));
  if (static_cast<int64_t>(state_->waiting_tokens.size()) < kFlushTokens) return absl::OkStatus();
  return WithContext(state_->Flush(), state_->aside);
}

Status TokenStoreWriter::Finish(const Ending& ending) {
  WEFT_CHECK_EQ(static_cast<int64_t>(ending.validation.size()), num_documents());
  WEFT_RETURN_IF_ERROR(WithContext(state_->WriteEnding(ending), state_->aside));
  state_->tokens = {};
  state_->loss_mask = {};
  WEFT_RETURN_IF_ERROR(WithContext(state_->file.Close(), state_->aside));
  WEFT_RETURN_IF_ERROR(SealStore(state_->aside));
  WEFT_RETURN_IF_ERROR(RenameDurably(state_->aside, state_->path));
  state_->finished = true;
  return absl::OkStatus();
}

int64_t TokenStoreWriter::num_tokens() const { return state_->document_begins.back(); }
int64_t TokenStoreWriter::num_documents() const { return static_cast<int64_t>(state_->document_begins.size()) - 1; }

}  // namespace weft
