// One way for each kind of sample; all end in Finish.
#include "data/sample_encoder.h"

#include <algorithm>
#include <utility>

#include "core/utf8.h"
#include "data/jinja/json_value.h"
#include "data/validation_split.h"

namespace weft {

StatusOr<TooLong> ParseTooLong(std::string_view name) {
  if (name == "split") return TooLong::kSplit;
  if (name == "cut") return TooLong::kCut;
  if (name == "drop") return TooLong::kDrop;
  return UserError("too_long: '", name, "' is not known; expected split, cut or drop");
}

SampleEncoder::SampleEncoder(const Tokenizer& tokenizer, RecordReading reading, StatusOr<ChatTemplate> chat_template,
                             const Rendering& rendering)
    : tokenizer_(tokenizer),
      reading_(std::move(reading)),
      chat_template_(std::move(chat_template)),
      turn_marks_(chat_template_.ok() ? TurnMarks::Of(*chat_template_) : TurnMarks{}),
      rendering_(rendering) {}

StatusOr<EncodedSample> SampleEncoder::Encode(const Document& document) const {
  if (!document.is_record && rendering_.table == nullptr) return EncodeText(document.bytes);
  if (!document.is_record) return UserError(document.place, ": this is no file of rows: --table reads .csv, .tsv, .jsonl and .json");
  StatusOr<EncodedSample> encoded = EncodeRecord(document);
  if (!encoded.ok()) return WithContext(encoded.status(), document.place);
  return encoded;
}

StatusOr<EncodedSample> SampleEncoder::EncodeRecord(const Document& document) const {
  if (!IsUtf8(document.bytes)) return UserError("not UTF-8");
  WEFT_ASSIGN_OR_RETURN(const jinja::Value record, jinja::ParseJsonValue(document.bytes, "the record"));
  if (rendering_.table != nullptr) return EncodeRow(record);
  WEFT_ASSIGN_OR_RETURN(const Sample sample, ReadSample(record, reading_));
  if ((sample.rejected != nullptr || sample.is_undecided) && !rendering_.learns_chosen) {
    return UserError("a preference pair (chosen, rejected): training on preferences is not built yet; --preferences chosen "
                     "learns from the chosen answers alone");
  }
  if (sample.is_undecided) {
    EncodedSample undecided;
    undecided.is_undecided = true;
    return undecided;
  }
  return EncodeSample(sample);
}

StatusOr<EncodedSample> SampleEncoder::EncodeRow(const jinja::Value& row) const {
  WEFT_ASSIGN_OR_RETURN(const std::optional<Sample> sample, rendering_.table->Render(row));
  if (!sample.has_value()) {
    EncodedSample dropped;
    dropped.is_dropped = true;
    return dropped;
  }
  WEFT_ASSIGN_OR_RETURN(EncodedSample encoded, EncodeSample(*sample));
  encoded.hash = RowHash(rendering_.table->spec(), *row.AsDict());
  return encoded;
}

StatusOr<EncodedSample> SampleEncoder::EncodeSample(const Sample& sample) const {
  if (sample.kind == Sample::Kind::kText) return EncodeText(sample.text);
  if (sample.kind == Sample::Kind::kConversation) return EncodeConversation(sample);
  if (!rendering_.template_is_named) return EncodePromptCompletion(sample);
  WEFT_ASSIGN_OR_RETURN(const Sample conversation, AsConversation(sample));
  return EncodeConversation(conversation);
}

EncodedSample SampleEncoder::EncodeText(const std::string& text) const {
  if (text.empty()) return {};
  MaskedTokens masked{.tokens = tokenizer_.Encode(text), .loss_mask = {}};
  masked.loss_mask.assign(masked.tokens.size(), 1);
  return Finish(text, std::move(masked), /*eos_counts=*/true);
}

EncodedSample SampleEncoder::EncodePromptCompletion(const Sample& sample) const {
  jinja::Text text(sample.prompt, {.source = kFromFirstMessage});
  text.Append(sample.text, {.source = kFromFirstMessage + 1});
  if (text.empty()) return {};
  const std::vector<ByteRange> spoken = {{sample.prompt.size(), text.size()}};
  MaskedTokens masked = EncodeMasked(tokenizer_, text, spoken, /*ends_turns=*/false, /*add_special_tokens=*/true);
  masked.num_turns = 0;  // it is no conversation
  return Finish(text.bytes(), std::move(masked), /*eos_counts=*/true);
}

StatusOr<EncodedSample> SampleEncoder::EncodeConversation(const Sample& sample) const {
  if (!chat_template_.ok()) return chat_template_.status();
  const ChatInput input{.messages = sample.messages, .tools = sample.tools, .documents = {},
                        .keep_system = rendering_.keep_system, .variables = {}, .now = rendering_.now};
  WEFT_ASSIGN_OR_RETURN(const jinja::Text text, chat_template_->Render(input));
  std::vector<uint8_t> sources_in_loss(kFromFirstMessage, 0);
  sources_in_loss.insert(sources_in_loss.end(), sample.in_loss.begin(), sample.in_loss.end());
  MaskedTokens masked = EncodeMasked(tokenizer_, text, SpokenRanges(text, sources_in_loss, turn_marks_),
                                     /*ends_turns=*/!turn_marks_.by_generation, /*add_special_tokens=*/false);
  const bool is_open = masked.is_open;
  EncodedSample encoded = Finish(text.bytes(), std::move(masked), is_open);
  encoded.num_unsaid = CountUnsaid(sample.messages, text);
  return encoded;
}

EncodedSample SampleEncoder::Finish(const std::string& text, MaskedTokens masked, bool eos_counts) const {
  EncodedSample sample{.tokens = std::move(masked.tokens), .loss_mask = std::move(masked.loss_mask)};
  const int32_t eos = *tokenizer_.eos_id();
  if (sample.tokens.empty() || sample.tokens.back() != eos) {  // some post-processors and templates add it
    sample.tokens.push_back(eos);
    sample.loss_mask.push_back(eos_counts);
  } else if (eos_counts) {
    sample.loss_mask.back() = 1;
  }
  sample.hash = ContentHash(text);
  sample.num_turns = masked.num_turns;
  sample.num_open_turns = masked.num_open_turns;
  return sample;
}

bool FitSample(TooLong too_long, int64_t sequence_length, EncodedSample* sample) {
  const size_t limit = static_cast<size_t>(sequence_length) + 1;
  if (sample->tokens.size() <= limit || too_long == TooLong::kSplit) return true;
  if (too_long == TooLong::kDrop) return false;
  sample->tokens.resize(limit);
  sample->loss_mask.resize(limit);
  return true;
}

// The first token is never a target.
bool HasLoss(const EncodedSample& sample) {
  return sample.loss_mask.size() > 1 && std::count(sample.loss_mask.begin() + 1, sample.loss_mask.end(), 0) !=
                                            static_cast<ptrdiff_t>(sample.loss_mask.size()) - 1;
}

}  // namespace weft
