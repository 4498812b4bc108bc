// The pipeline of a tokenizer.json, put together from its stages.
#include "data/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/check.h"
#include "core/file.h"
#include "core/utf8.h"
#include "data/added_tokens.h"
#include "data/bpe.h"
#include "data/byte_level_bpe_file.h"
#include "data/json_view.h"
#include "data/normalizer.h"
#include "data/post_processor.h"
#include "data/pre_tokenizer.h"
#include "data/sentencepiece_file.h"
#include "data/sentencepiece_model.h"
#include "data/token_decoder.h"
#include "data/token_roles.h"
#include "data/utf8.h"

namespace weft {
namespace {

constexpr char kSentencePieceFile[] = "tokenizer.model";
constexpr uintmax_t kMaxFileBytes = uintmax_t{256} << 20;  // the largest known have 33 MB

StatusOr<std::string> ReadTokenizerFile(const std::filesystem::path& path) {
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!error && bytes > kMaxFileBytes) {
    return UserError(path.string(), ": ", bytes >> 20, " MiB are too many for a tokenizer; at most ",
                     kMaxFileBytes >> 20, " are read");
  }
  return ReadFile(path.string());
}

}  // namespace

struct Tokenizer::Parts {
  std::string json, config_json;
  AddedTokens added_tokens;
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  Bpe bpe;
  std::unique_ptr<SentencePieceModel> sentencepiece;  // in the place of bpe; null: none
  SpecialTokenFrame frame;
  TokenDecoder decoder;
  absl::flat_hash_map<std::string, int32_t> ids;
  std::vector<std::optional<std::string>> tokens;  // by id
  std::vector<bool> is_control;                    // by id
  std::optional<int32_t> bos_id, eos_id, pad_id;

  Status ReadStages(const JsonView& json);
  Status ReadModel(const JsonView& json);
  Status ListTokens(const JsonView& json);
  Status ReadConfig(const JsonView& json);
  void EncodeText(std::string_view text, const EncodeOptions& options, std::vector<int32_t>* ids,
                  std::vector<EncodedPart>* parts) const;
  void EncodeSegment(const Segment& raw, bool begins_text, bool allow_control_tokens, Bpe::Scratch* scratch,
                     std::vector<int32_t>* ids) const;
  void EncodePiece(std::string_view piece, bool begins_text, Bpe::Scratch* scratch, std::vector<int32_t>* ids) const;
};

Status Tokenizer::Parts::ReadStages(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const JsonView normalizer_json, json.Get("normalizer"));
  WEFT_ASSIGN_OR_RETURN(normalizer, ParseNormalizer(normalizer_json));
  WEFT_ASSIGN_OR_RETURN(const JsonView added_json, json.Get("added_tokens"));
  WEFT_ASSIGN_OR_RETURN(added_tokens, AddedTokens::Parse(added_json, *normalizer));
  WEFT_ASSIGN_OR_RETURN(const JsonView pre_tokenizer_json, json.Get("pre_tokenizer"));
  WEFT_ASSIGN_OR_RETURN(pre_tokenizer, ParsePreTokenizer(pre_tokenizer_json));
  WEFT_ASSIGN_OR_RETURN(const JsonView model_json, json.Get("model"));
  WEFT_RETURN_IF_ERROR(ReadModel(model_json));
  WEFT_ASSIGN_OR_RETURN(const JsonView post_json, json.Get("post_processor"));
  WEFT_ASSIGN_OR_RETURN(frame, ParsePostProcessor(post_json));
  WEFT_ASSIGN_OR_RETURN(const JsonView decoder_json, json.Get("decoder"));
  WEFT_ASSIGN_OR_RETURN(decoder, TokenDecoder::Parse(decoder_json));
  return ListTokens(json);
}

Status Tokenizer::Parts::ReadModel(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.StringOr("type", ""));
  if (type != kSentencePieceType) {
    WEFT_ASSIGN_OR_RETURN(bpe, Bpe::Parse(json, added_tokens.ControlTokens()));
    ids = bpe.vocab();
    return absl::OkStatus();
  }
  WEFT_ASSIGN_OR_RETURN(sentencepiece, ParseSentencePieceModel(json));
  for (int32_t id = 0; id < sentencepiece->num_pieces(); ++id) ids.try_emplace(sentencepiece->PieceOf(id), id);
  return absl::OkStatus();
}

Status Tokenizer::Parts::ListTokens(const JsonView& json) {
  for (const AddedToken& token : added_tokens.all()) {
    const auto [entry, is_new] = ids.try_emplace(token.content, token.id);
    if (!is_new && entry->second != token.id) {
      return json.Error("the token '", token.content, "' has id ", token.id, " in added_tokens and ", entry->second,
                        " in the model's vocabulary");
    }
  }
  int32_t largest = -1;
  for (const auto& [token, id] : ids) largest = std::max(largest, id);
  tokens.resize(largest + 1);
  is_control.resize(largest + 1);
  for (const auto& [token, id] : ids) {
    if (tokens[id].has_value()) {
      return json.Error("the tokens '", std::min(token, *tokens[id]), "' and '", std::max(token, *tokens[id]),
                        "' share the id ", id);
    }
    tokens[id] = token;
  }
  for (const AddedToken& token : added_tokens.all()) is_control[token.id] = token.special;
  for (const std::vector<int32_t>& side : {frame.before, frame.after}) {
    for (const int32_t id : side) {
      if (id > largest) return json.Error("post_processor adds the id ", id, ", which no token has");
    }
  }
  return absl::OkStatus();
}

// bos_token and the like are strings or objects with a member `content`.
Status Tokenizer::Parts::ReadConfig(const JsonView& json) {
  const std::pair<const char*, std::optional<int32_t>*> roles[] = {
      {"bos_token", &bos_id}, {"eos_token", &eos_id}, {"pad_token", &pad_id}};
  for (const auto& [key, id] : roles) {
    WEFT_ASSIGN_OR_RETURN(JsonView token, json.Get(key));
    if (token.is_null()) continue;
    if (token.value().is_object()) {
      WEFT_ASSIGN_OR_RETURN(token, token.Get("content"));
    }
    WEFT_ASSIGN_OR_RETURN(const std::string content, token.String());
    const auto found = ids.find(content);
    if (found == ids.end()) return token.Error("there is no token '", content, "' in the tokenizer.json");
    *id = found->second;
  }
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  fs::path file = path;
  if (fs::is_directory(path, ignored)) {
    file = fs::path(path) / "tokenizer.json";
    if (!fs::exists(file, ignored) && fs::exists(fs::path(path) / kSentencePieceFile, ignored)) {
      file = fs::path(path) / kSentencePieceFile;
    }
  }
  WEFT_ASSIGN_OR_RETURN(std::string text, ReadTokenizerFile(file));
  const fs::path config_path = file.parent_path() / "tokenizer_config.json";
  std::string config_json;
  if (fs::exists(config_path, ignored)) {
    WEFT_ASSIGN_OR_RETURN(config_json, ReadTokenizerFile(config_path));
    if (config_json.empty()) {
      return DataError(config_path.string(), " is empty: restore it, or remove it if the tokenizer has none");
    }
  }
  TokenizerTexts texts = {std::move(text), std::move(config_json)};
  if (file.extension() == ".model") {
    WEFT_ASSIGN_OR_RETURN(texts, ReadSentencePieceFile(texts.json, std::move(texts.config_json), file.string()));
  }
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, Parse(texts.json, texts.config_json, file.string()));
  WEFT_ASSIGN_OR_RETURN(std::string with_roles, WithTokenRoles(texts.config_json, file.parent_path(), *tokenizer));
  if (with_roles == texts.config_json) return tokenizer;
  return Parse(std::move(texts.json), std::move(with_roles), file.string());
}

StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(std::string json, std::string config_json,
                                                      std::string_view name) {
  auto parts = std::make_unique<Parts>();
  {
    WEFT_ASSIGN_OR_RETURN(const nlohmann::json file, ParseJson(json, name));
    WEFT_RETURN_IF_ERROR(parts->ReadStages(JsonView(file, StrCat(name, ":"))));
  }
  if (!config_json.empty()) {
    const std::string config_name =
        (std::filesystem::path(name).parent_path() / "tokenizer_config.json").string();
    WEFT_ASSIGN_OR_RETURN(const nlohmann::json file, ParseJson(config_json, config_name));
    WEFT_RETURN_IF_ERROR(parts->ReadConfig(JsonView(file, StrCat(config_name, ":"))));
  }
  parts->json = std::move(json);
  parts->config_json = std::move(config_json);
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(parts)));
}

std::unique_ptr<Tokenizer> Tokenizer::ByteLevel() {
  ByteLevelBpe bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.tokens.emplace_back(1, static_cast<char>(byte));
  auto tokenizer = Parse(TokenizerJson(bytes), TokenizerConfigJson(), "the byte-level tokenizer");
  WEFT_CHECK_OK(tokenizer);
  return std::move(tokenizer).value();
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

void Tokenizer::Parts::EncodeText(std::string_view text, const EncodeOptions& options, std::vector<int32_t>* ids,
                                  std::vector<EncodedPart>* parts) const {
  Bpe::Scratch scratch;
  for (const Segment& raw : added_tokens.CutRaw(text, options.allow_control_tokens, options.may_be_control)) {
    const size_t begin = static_cast<size_t>(raw.text.data() - text.data()), end = begin + raw.text.size();
    const size_t first_token = ids->size();
    const bool may_be_control = !options.may_be_control || options.may_be_control(begin, end);
    EncodeSegment(raw, begin == 0, options.allow_control_tokens && may_be_control, &scratch, ids);
    if (parts != nullptr) parts->push_back({begin, end, first_token, ids->size(), raw.id >= 0});
  }
}

void Tokenizer::Parts::EncodeSegment(const Segment& raw, bool begins_text, bool allow_control_tokens,
                                     Bpe::Scratch* scratch, std::vector<int32_t>* ids) const {
  if (raw.id >= 0) {
    ids->push_back(raw.id);
    return;
  }
  const std::string normalized = normalizer->Normalize(std::string(raw.text));
  for (const Segment& segment : added_tokens.CutNormalized(normalized, allow_control_tokens)) {
    if (segment.id >= 0) {
      ids->push_back(segment.id);
    } else {
      Pieces pieces(std::string(segment.text), begins_text);
      pre_tokenizer->Cut(&pieces);
      for (size_t i = 0; i < pieces.spans.size(); ++i) EncodePiece(pieces[i], begins_text && i == 0, scratch, ids);
    }
    begins_text = false;
  }
}

void Tokenizer::Parts::EncodePiece(std::string_view piece, bool begins_text, Bpe::Scratch* scratch,
                                   std::vector<int32_t>* ids) const {
  if (sentencepiece == nullptr) return bpe.Encode(piece, scratch, ids);
  WEFT_CHECK(sentencepiece->Encode(piece, begins_text, ids));  // a model that was loaded encodes any UTF-8
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, const EncodeOptions& options,
                                       std::vector<EncodedPart>* parts) const {
  std::vector<int32_t> ids;
  if (options.add_special_tokens) ids = parts_->frame.before;
  if (IsUtf8(text)) {
    parts_->EncodeText(text, options, &ids, parts);
  } else {
    parts_->EncodeText(ToUtf8(text), options, &ids, parts);
  }
  if (options.add_special_tokens) ids.insert(ids.end(), parts_->frame.after.begin(), parts_->frame.after.end());
  return ids;
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  for (const int32_t id : ids) {
    std::optional<std::string> token = TokenOf(id);
    if (token.has_value() && !(skip_special && IsControl(id))) tokens.push_back(std::move(*token));
  }
  return parts_->decoder.Decode(std::move(tokens), /*at_start=*/true);
}

int32_t Tokenizer::vocab_size() const { return static_cast<int32_t>(parts_->tokens.size()); }
std::optional<int32_t> Tokenizer::bos_id() const { return parts_->bos_id; }
std::optional<int32_t> Tokenizer::eos_id() const { return parts_->eos_id; }
std::optional<int32_t> Tokenizer::pad_id() const { return parts_->pad_id; }
const std::string& Tokenizer::json() const { return parts_->json; }
const std::string& Tokenizer::config_json() const { return parts_->config_json; }

std::optional<int32_t> Tokenizer::IdOf(std::string_view token) const {
  const auto found = parts_->ids.find(ToAbsl(token));
  if (found == parts_->ids.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Tokenizer::TokenOf(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return std::nullopt;
  return parts_->tokens[id];
}

bool Tokenizer::IsControl(int32_t id) const { return id >= 0 && id < vocab_size() && parts_->is_control[id]; }

Status Tokenizer::Save(const std::string& folder) const {
  WEFT_RETURN_IF_ERROR(MakeFolders(folder));
  if (parts_->sentencepiece == nullptr) {
    WEFT_RETURN_IF_ERROR(WriteFileAtomically(StrCat(folder, "/tokenizer.json"), json()));
  } else {
    WEFT_ASSIGN_OR_RETURN(const nlohmann::json file, ParseJson(json(), "the tokenizer"));
    WEFT_ASSIGN_OR_RETURN(const JsonView model, JsonView(file, "the tokenizer:").Get("model"));
    WEFT_ASSIGN_OR_RETURN(const std::string bytes, SentencePieceBytes(model));
    WEFT_RETURN_IF_ERROR(WriteFileAtomically(StrCat(folder, "/", kSentencePieceFile), bytes));
  }
  if (config_json().empty()) return absl::OkStatus();
  return WriteFileAtomically(StrCat(folder, "/tokenizer_config.json"), config_json());
}

std::string StreamDecoder::Add(int32_t id) {
  std::optional<std::string> token = tokenizer_.TokenOf(id);
  if (!token.has_value() || (skip_special_ && tokenizer_.IsControl(id))) return "";
  waiting_.push_back(std::move(*token));
  return tokenizer_.parts_->decoder.IsOpen(waiting_) ? "" : Finish();
}

std::string StreamDecoder::Finish() {
  if (waiting_.empty()) return "";
  std::string text = tokenizer_.parts_->decoder.Decode(std::exchange(waiting_, {}), at_start_);
  at_start_ = false;
  return text;
}

}  // namespace weft
