// Records of data sets to what a model learns from: plain text, a prompt and its completion, or a conversation.
//
//   messages           {"messages": [{"role", "content", ...}, ...], "tools"?: [...]}, as OpenAI has them; "weight": 0 in
//                      an assistant's message keeps it out of the loss
//   sharegpt           {"conversations": [{"from": "human", "value"}, ...], "system"?, "tools"?}
//   alpaca             {"instruction", "input"?, "output", "system"?, "history"?: [[user, assistant], ...]}
//   prompt_completion  {"prompt", "completion"}: two texts, or two lists of messages
//   preference         {"chosen", "rejected"} with a prompt: data/preference.h
//   text               {"text"}
//
// A text may be a list of texts, which are its paragraphs. A record is recognised by its keys, or its format is named.
// Answers with a verdict (KTO), records that are tokens already and LLaMA-Factory's lists of data sets are recognised and
// refused.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "data/jinja/value.h"
#include "data/message_list.h"

namespace weft {

enum class RecordFormat { kMessages, kShareGpt, kAlpaca, kPromptCompletion, kPreference, kText };

// "messages", "sharegpt", ...; the error lists them.
StatusOr<RecordFormat> ParseRecordFormat(std::string_view name);

struct RecordReading {
  std::optional<RecordFormat> format;          // recognised by keys where absent
  std::map<std::string, std::string> columns;  // our key -> the record's
};

// "prompt=question" entries to RecordReading::columns.
StatusOr<std::map<std::string, std::string>> ParseColumns(const std::vector<std::string>& columns);

struct Sample {
  enum class Kind { kText, kPromptCompletion, kConversation };
  Kind kind = Kind::kText;
  std::string text;                // kText; of kPromptCompletion, the completion
  std::string prompt;              // kPromptCompletion
  jinja::Value messages, tools;    // kConversation: a list of dicts; a list or none
  std::vector<uint8_t> in_loss;    // kConversation: [messages]
  // Of a preference pair: the same prompt with the answer that was liked less, of the same kind. Else null.
  bool is_undecided = false;  // a preference pair that prefers nothing (data/preference.h); it holds nothing else
  std::shared_ptr<const Sample> rejected{};
};

// Errors name the key of the record that is wrong.
StatusOr<Sample> ReadSample(const jinja::Value& record, const RecordReading& reading);

StatusOr<Sample> MakeConversation(MessageList list, jinja::Value tools);  // fails where there are no messages

// The conversation of a prompt and its completion: what the user asks, what the assistant answers.
StatusOr<Sample> AsConversation(const Sample& prompt_completion);

}  // namespace weft
