// SampleEncoder: documents of text files and records of data sets to tokens and loss masks, ready for a token store.
//
// Text counts whole; of a prompt and its completion, the completion; of a conversation, what the assistant says
// (data/chat_tokens.h), rendered by a chat template. Every result ends with an end-of-sequence token, which counts where
// the assistant's turn is not ended otherwise. Encoding is thread-safe.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "core/status.h"
#include "data/chat_template.h"
#include "data/chat_tokens.h"
#include "data/conversation.h"
#include "data/documents.h"
#include "data/table.h"
#include "data/tokenizer.h"

namespace weft {

// What becomes of samples with more tokens than fit into a sequence.
enum class TooLong { kSplit, kCut, kDrop };
StatusOr<TooLong> ParseTooLong(std::string_view name);  // "split", "cut", "drop"

struct EncodedSample {
  std::vector<int32_t> tokens;     // empty: the sample is empty
  std::vector<uint8_t> loss_mask;  // [tokens]
  uint64_t hash = 0;               // of what was tokenised; of a table's row, RowHash
  bool is_dropped = false;         // a row that its table leaves out
  bool is_undecided = false;       // a preference pair that prefers nothing (data/preference.h)
  int64_t num_turns = 0, num_open_turns = 0;  // as in MaskedTokens
  int64_t num_unsaid = 0;          // messages of which the template writes nothing
};

struct Rendering {
  bool template_is_named = false;  // it renders prompts and completions too
  bool keep_system = false;        // as in ChatInput
  const Table* table = nullptr;    // renders records, which are its rows; must outlive the encoder
  bool learns_chosen = false;      // of preference pairs, the chosen answers; else pairs are an error
  std::time_t now = 0;
};

class SampleEncoder {
 public:
  // `tokenizer` must outlive this. An error for a `chat_template` comes up when a conversation does.
  SampleEncoder(const Tokenizer& tokenizer, RecordReading reading, StatusOr<ChatTemplate> chat_template,
                const Rendering& rendering);

  const StatusOr<ChatTemplate>& chat_template() const { return chat_template_; }

  // Errors name the document's place.
  StatusOr<EncodedSample> Encode(const Document& document) const;

 private:
  StatusOr<EncodedSample> EncodeRecord(const Document& document) const;
  StatusOr<EncodedSample> EncodeRow(const jinja::Value& row) const;
  StatusOr<EncodedSample> EncodeSample(const Sample& sample) const;
  StatusOr<EncodedSample> EncodeConversation(const Sample& sample) const;
  EncodedSample EncodePromptCompletion(const Sample& sample) const;
  EncodedSample EncodeText(const std::string& text) const;
  EncodedSample Finish(const std::string& text, MaskedTokens masked, bool eos_counts) const;

  const Tokenizer& tokenizer_;
  const RecordReading reading_;
  const StatusOr<ChatTemplate> chat_template_;
  const TurnMarks turn_marks_;
  const Rendering rendering_;
};

// Applies `too_long` to a sample for sequences of `sequence_length` inputs and one more target. False: leave it out.
bool FitSample(TooLong too_long, int64_t sequence_length, EncodedSample* sample);
bool HasLoss(const EncodedSample& sample);  // any token that can be a target counts

}  // namespace weft
