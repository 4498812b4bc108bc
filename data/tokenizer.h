// Tokenizer: text to token ids and back, as a Hugging Face tokenizer.json describes it.
//
// The one tokenizer of training, inference and serving. Encoding is the pipeline of Hugging Face's `tokenizers`: added
// tokens are cut out, the rest is normalised, pre-tokenised, split by the model (BPE, or a SentencePiece file), and the
// post-processor adds the beginning-of-sequence token and the like. Decoding runs the file's decoder over the tokens' strings. Each stage is
// one file beside this one; kinds that are not supported are refused by name when loading.
//
// A control token (`special` in the file: <s>, <|im_end|>) never comes out of text unless the caller allows it: text
// that users send must not end a turn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "core/status.h"

namespace weft {

struct EncodeOptions {
  bool add_special_tokens = true;     // what the post-processor adds: BOS for most models
  bool allow_control_tokens = false;  // "<s>" in the text becomes the token <s>
  // Narrows allow_control_tokens to bytes [begin, end) of the text; not given: anywhere.
  std::function<bool(size_t begin, size_t end)> may_be_control;
};

// Bytes [begin, end) of a text became tokens [first_token, end_token): one added token, or text between them. The parts
// of a text tile it.
struct EncodedPart {
  size_t begin = 0, end = 0;
  size_t first_token = 0, end_token = 0;
  bool is_added_token = false;
};

class Tokenizer {
 public:
  // `path` is a tokenizer.json, a tokenizer.model of SentencePiece, or a folder that holds one (the tokenizer.json where
  // it holds both); tokenizer_config.json beside it names bos, eos and pad, other files where it does not
  // (data/token_roles.h).
  // Errors say what in which file is wrong or not supported.
  static StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& path);
  // The same from the files' text. `config_json` may be empty; `name` stands in error messages.
  static StatusOr<std::unique_ptr<Tokenizer>> Parse(std::string json, std::string config_json, std::string_view name);
  // Ids 0..255 are the bytes, then come the control tokens of data/byte_level_bpe_file.h, which make the vocabulary a
  // multiple of 16, as FP8 matrix products ask for. Needs no file.
  static std::unique_ptr<Tokenizer> ByteLevel();
  ~Tokenizer();

  // Thread-safe. Bytes that are not UTF-8 are taken as U+FFFD.
  std::vector<int32_t> Encode(std::string_view text, const EncodeOptions& options = {}) const {
    return Encode(text, options, nullptr);
  }
  // `parts` (may be null) says which bytes became which tokens; its offsets are of well-formed UTF-8.
  std::vector<int32_t> Encode(std::string_view text, const EncodeOptions& options, std::vector<EncodedPart>* parts) const;
  // UTF-8; bytes of tokens that form none become U+FFFD. An id outside the vocabulary adds nothing. `skip_special`
  // leaves control tokens out.
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special = true) const;

  int32_t vocab_size() const;  // one more than the largest id
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> pad_id() const;
  std::optional<int32_t> IdOf(std::string_view token) const;   // "<s>", "Ġthe": as written in the file
  std::optional<std::string> TokenOf(int32_t id) const;        // the same, back
  bool IsControl(int32_t id) const;

  // The files' text, as loaded: what is embedded in a token store and written beside an exported model. Of a
  // tokenizer.model: its form of data/sentencepiece_file.h.
  const std::string& json() const;
  const std::string& config_json() const;  // empty when there was none; with what Load took from other files
  Status Save(const std::string& folder) const;  // writes the files as they were

  struct Parts;  // the stages; for data/*.cc

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::unique_ptr<Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

// Decodes token by token; the pieces put together are Decode of all the ids. Never emits part of a code point: bytes
// wait for the rest, and bytes of a byte-fallback run wait for the run's end, which decides whether they are text.
class StreamDecoder {
 public:
  // `continues_text`: the ids follow a prompt, so a leading space stays. `tokenizer` must outlive this.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool continues_text, bool skip_special = true)
      : tokenizer_(tokenizer), at_start_(!continues_text), skip_special_(skip_special) {}

  std::string Add(int32_t id);  // the text that is now certain, often empty
  std::string Finish();         // what still waited

 private:
  const Tokenizer& tokenizer_;
  bool at_start_;
  bool skip_special_;
  std::vector<std::string> waiting_;  // tokens whose text is not yet certain
};

}  // namespace weft
