// The mask goes from bytes to tokens by the parts that the tokenizer made, and inside text between added tokens by
// data/token_cuts.h.
#include "data/chat_tokens.h"

#include <algorithm>

#include "core/check.h"
#include "data/conversation.h"
#include "data/token_cuts.h"

namespace weft {
namespace {

using jinja::Text;

bool IsSpoken(int32_t source, absl::Span<const uint8_t> sources_in_loss) {
  return source < static_cast<int32_t>(sources_in_loss.size()) && sources_in_loss[source] != 0;
}

// Whether bytes [begin, end) have one of a source from `source` on.
bool HasSourceFrom(int32_t source, const Text& text, size_t begin, size_t end) {
  const std::vector<Text::Mark>& marks = text.marks();
  auto mark = std::partition_point(marks.begin(), marks.end(), [&](const Text::Mark& m) { return m.end <= begin; });
  for (; mark != marks.end() && mark->begin < end; ++mark) {
    if (mark->origin.source >= source) return true;
  }
  return false;
}

bool AnybodySpeaks(const Text& text, size_t begin, size_t end) { return HasSourceFrom(kFromFirstMessage, text, begin, end); }
bool IsOfTemplate(const Text& text, size_t begin, size_t end) { return !HasSourceFrom(kFromTemplate + 1, text, begin, end); }

// Encodes parts of one text alike: control tokens only where the template wrote every byte.
class MaskEncoder {
 public:
  MaskEncoder(const Tokenizer& tokenizer, const Text& text, bool add_special_tokens)
      : tokenizer_(tokenizer), text_(text), add_special_tokens_(add_special_tokens) {}

  MaskedTokens Run(std::vector<ByteRange> spoken, bool ends_turns);

 private:
  std::vector<int32_t> Encode(size_t begin, size_t end, bool add_special_tokens, std::vector<EncodedPart>* parts) const;
  void EndTurns(std::vector<ByteRange>* spoken);
  void MarkPart(size_t part, absl::Span<const ByteRange> ranges);
  TokenCuts CutAt(size_t part, absl::Span<const ByteRange> ranges) const;

  const Tokenizer& tokenizer_;
  const Text& text_;
  const bool add_special_tokens_;
  std::vector<EncodedPart> parts_;
  MaskedTokens result_;
};

std::vector<int32_t> MaskEncoder::Encode(size_t begin, size_t end, bool add_special_tokens,
                                         std::vector<EncodedPart>* parts) const {
  EncodeOptions options{.add_special_tokens = add_special_tokens, .allow_control_tokens = true};
  options.may_be_control = [&](size_t token_begin, size_t token_end) {
    return IsOfTemplate(text_, begin + token_begin, begin + token_end);
  };
  return tokenizer_.Encode(std::string_view(text_.bytes()).substr(begin, end - begin), options, parts);
}

// Lets each range go on to the end of the next control token, if nobody speaks before it.
void MaskEncoder::EndTurns(std::vector<ByteRange>* spoken) {
  std::vector<ByteRange> control_tokens;
  for (const EncodedPart& part : parts_) {
    const bool is_control = part.is_added_token && tokenizer_.IsControl(result_.tokens[part.first_token]);
    if (is_control) control_tokens.push_back({part.begin, part.end});
  }
  for (ByteRange& range : *spoken) {
    const auto next = std::partition_point(control_tokens.begin(), control_tokens.end(),
                                           [&](const ByteRange& token) { return token.end <= range.end; });
    const bool ends = next != control_tokens.end() &&
                      (next->begin <= range.end || !AnybodySpeaks(text_, range.end, next->begin));
    if (ends) range.end = next->end;
    result_.num_open_turns += !ends;
    result_.is_open = !ends && !AnybodySpeaks(text_, range.end, text_.size());
  }
}

// The places of a part where ranges begin and end. The part before it is encoded with it where that is a token: what opens
// a text may be encoded otherwise than what goes on.
TokenCuts MaskEncoder::CutAt(size_t index, absl::Span<const ByteRange> ranges) const {
  const EncodedPart& part = parts_[index];
  std::vector<size_t> bytes;
  for (const ByteRange& range : ranges) {
    if (range.begin > part.begin) bytes.push_back(range.begin);
    if (range.end < part.end) bytes.push_back(range.end);
  }
  std::sort(bytes.begin(), bytes.end());
  const EncodedPart& first = parts_[index > 0 && parts_[index - 1].is_added_token ? index - 1 : index];
  const auto encode = [this](size_t begin, size_t end) { return Encode(begin, end, /*add_special_tokens=*/false, nullptr); };
  const auto tokens = absl::MakeConstSpan(result_.tokens).subspan(0, part.end_token);
  return TokenCuts(encode, {first.begin, first.first_token}, part.end, tokens, bytes);
}

// Marks what ranges, which all reach into a part, have of it.
void MaskEncoder::MarkPart(size_t index, absl::Span<const ByteRange> ranges) {
  const EncodedPart& part = parts_[index];
  if (part.is_added_token) {
    // A token that takes in white space behind it belongs to where it begins.
    const bool counts = std::any_of(ranges.begin(), ranges.end(), [&](const ByteRange& r) { return r.begin <= part.begin; });
    if (counts) result_.loss_mask[part.first_token] = 1;
    return;
  }
  const TokenCuts cuts = CutAt(index, ranges);
  for (const ByteRange& range : ranges) {
    size_t first = part.first_token, end = part.end_token;
    if (range.begin > part.begin) first = std::max(first, cuts.TokensBefore(range.begin));
    if (range.end < part.end) end -= std::min(end - part.first_token, cuts.TokensFrom(range.end));
    for (size_t i = first; i < end; ++i) result_.loss_mask[i] = 1;
  }
}

MaskedTokens MaskEncoder::Run(std::vector<ByteRange> spoken, bool ends_turns) {
  result_.tokens = Encode(0, text_.size(), add_special_tokens_, &parts_);
  result_.loss_mask.assign(result_.tokens.size(), 0);
  result_.num_turns = static_cast<int64_t>(spoken.size());
  if (ends_turns) EndTurns(&spoken);
  size_t first = 0, end = 0;  // the ranges that reach into a part
  for (size_t part = 0; part < parts_.size(); ++part) {
    while (first < spoken.size() && spoken[first].end <= parts_[part].begin) ++first;
    end = std::max(first, end);
    while (end < spoken.size() && spoken[end].begin < parts_[part].end) ++end;
    if (first < end) MarkPart(part, absl::MakeConstSpan(spoken).subspan(first, end - first));
  }
  return std::move(result_);
}

// Where in bytes [begin, end), in which nobody speaks, the assistant's turn goes on behind the template's generation
// prompt; `end` where that does not stand there, or data of another message may follow it.
size_t BehindGenerationPrompt(const Text& text, size_t begin, size_t end, const std::string& generation_prompt) {
  const size_t at = std::string_view(text.bytes()).substr(begin, end - begin).rfind(generation_prompt);
  if (generation_prompt.empty() || at == std::string_view::npos || !IsOfTemplate(text, begin + at, end)) return end;
  return begin + at + generation_prompt.size();
}

// What assistants' messages say, from the first byte of each, or what opens its turn, to its last.
std::vector<ByteRange> MessageRanges(const Text& text, absl::Span<const uint8_t> sources_in_loss,
                                     const std::string& generation_prompt) {
  std::vector<ByteRange> ranges;
  int32_t speaker = kFromTemplate;  // of the last message that said something
  size_t silence = 0;               // where it ended
  for (const Text::Mark& mark : text.marks()) {
    if (mark.origin.source < kFromFirstMessage) continue;
    if (IsSpoken(mark.origin.source, sources_in_loss)) {
      if (mark.origin.source == speaker) {
        ranges.back().end = mark.end;
      } else {
        ranges.push_back({BehindGenerationPrompt(text, silence, mark.begin, generation_prompt), mark.end});
      }
    }
    speaker = mark.origin.source;
    silence = mark.end;
  }
  return ranges;
}

// What is inside {% generation %}. Where messages speak there, those that do not count take with them what the template
// wrote behind them, and before the first of them: a template knows nothing of weights, nor which messages are a prompt.
std::vector<ByteRange> GeneratedRanges(const Text& text, absl::Span<const uint8_t> sources_in_loss) {
  std::vector<ByteRange> ranges;
  ByteRange stretch;                // of one message, or of none so far
  int32_t speaker = kFromTemplate;  // in the stretch
  const auto end_stretch = [&] {
    if (stretch.begin == stretch.end || (speaker != kFromTemplate && !IsSpoken(speaker, sources_in_loss))) return;
    if (!ranges.empty() && ranges.back().end == stretch.begin) {
      ranges.back().end = stretch.end;
    } else {
      ranges.push_back(stretch);
    }
  };
  for (const Text::Mark& mark : text.marks()) {
    if (!mark.origin.in_generation) continue;
    const bool is_message = mark.origin.source >= kFromFirstMessage;
    const bool is_other = is_message && speaker != kFromTemplate && mark.origin.source != speaker;
    if (mark.begin != stretch.end || is_other) {
      end_stretch();
      stretch = {mark.begin, mark.begin};
      speaker = kFromTemplate;
    }
    stretch.end = mark.end;
    if (is_message) speaker = mark.origin.source;
  }
  end_stretch();
  return ranges;
}

}  // namespace

TurnMarks TurnMarks::Of(const ChatTemplate& chat_template) {
  if (chat_template.marks_generation()) return {.by_generation = true, .generation_prompt = ""};
  return {.generation_prompt = chat_template.GenerationPrompt()};
}

std::vector<ByteRange> SpokenRanges(const Text& text, absl::Span<const uint8_t> sources_in_loss, const TurnMarks& turn_marks) {
  if (turn_marks.by_generation) return GeneratedRanges(text, sources_in_loss);
  return MessageRanges(text, sources_in_loss, turn_marks.generation_prompt);
}

MaskedTokens EncodeMasked(const Tokenizer& tokenizer, const Text& text, const std::vector<ByteRange>& spoken,
                          bool ends_turns, bool add_special_tokens) {
  return MaskEncoder(tokenizer, text, add_special_tokens).Run(spoken, ends_turns);
}

std::optional<int32_t> EndOfTurn(const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  const StatusOr<Sample> talk = AsConversation({.text = "Yes.", .prompt = "Is it?"});
  WEFT_CHECK_OK(talk);
  const StatusOr<Text> text = chat_template.Render({.messages = talk->messages});
  if (!text.ok()) return std::nullopt;
  const std::vector<uint8_t> assistant_counts = {0, 0, 0, 1};  // of the sources template, other data, user, assistant
  const std::vector<ByteRange> spoken = SpokenRanges(*text, assistant_counts, TurnMarks{});
  const MaskedTokens masked = EncodeMasked(tokenizer, *text, spoken, /*ends_turns=*/true, /*add_special_tokens=*/false);
  if (masked.num_turns != 1 || masked.num_open_turns > 0) return std::nullopt;
  const auto last = std::find(masked.loss_mask.rbegin(), masked.loss_mask.rend(), 1);
  return masked.tokens[static_cast<size_t>(masked.loss_mask.rend() - last) - 1];
}

}  // namespace weft
