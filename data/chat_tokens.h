// Tokens and loss mask of a rendered conversation.
//
// The mask is 1 for tokens whose text came from an assistant's message, for what the template wrote between parts of
// one such message (the marks around tool calls), for what it wrote between its generation prompt and the message, which
// in use the model has to begin with (<think>, the opening of a tool call), and for what it wrote after the message up to
// the control token that ends the turn, that token included: a model that is not trained on it never stops. Where a
// template says by {% generation %} what the assistant wrote, that counts instead, but for what belongs to messages that are
// not in the loss.
//
// Control tokens come only out of text that the template itself wrote: "<|im_end|>" in a message is text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "data/chat_template.h"
#include "data/jinja/text.h"
#include "data/tokenizer.h"

namespace weft {

struct MaskedTokens {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> loss_mask;  // [tokens]
  int64_t num_turns = 0;           // of an assistant
  int64_t num_open_turns = 0;      // of them: those that no control token ends
  bool is_open = false;            // the last turn is one of them, and nobody speaks after it
};

struct ByteRange {
  size_t begin = 0, end = 0;
};

// What a template says about where an assistant's turns are.
struct TurnMarks {
  bool by_generation = false;     // it marks them itself
  std::string generation_prompt;  // ChatTemplate::GenerationPrompt; may be empty

  static TurnMarks Of(const ChatTemplate& chat_template);  // renders
};

// Where in `text` an assistant speaks, ascending and apart. `sources_in_loss`: by source (data/chat_template.h), whether
// it counts. Without the ends of turns.
std::vector<ByteRange> SpokenRanges(const jinja::Text& text, absl::Span<const uint8_t> sources_in_loss,
                                    const TurnMarks& turn_marks);

// `spoken`: as above. With `ends_turns`, each goes on up to the next control token where nobody else speaks before it.
// `add_special_tokens`: as a tokenizer does; templates write theirs.
MaskedTokens EncodeMasked(const Tokenizer& tokenizer, const jinja::Text& text, const std::vector<ByteRange>& spoken,
                          bool ends_turns, bool add_special_tokens);

// The control token that ends an assistant's turn under `chat_template`; nothing where the template writes none, or
// refuses a question and its answer.
std::optional<int32_t> EndOfTurn(const Tokenizer& tokenizer, const ChatTemplate& chat_template);

}  // namespace weft
