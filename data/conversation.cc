// One reader a format; all make the messages that templates take.
#include "data/conversation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "data/message_list.h"
#include "data/preference.h"
#include "data/record.h"

namespace weft {
namespace {

using jinja::Value;

StatusOr<Sample> ReadMessages(const Record& record) {
  MessageList list;
  WEFT_RETURN_IF_ERROR(list.AddMessages(record, "messages", /*may_be_in_loss=*/true));
  WEFT_ASSIGN_OR_RETURN(Value tools, ReadTools(record));
  return MakeConversation(std::move(list), std::move(tools));
}

StatusOr<Sample> ReadShareGpt(const Record& record) {
  MessageList list;
  WEFT_RETURN_IF_ERROR(list.AddShareGptMessages(record, "conversations"));
  WEFT_ASSIGN_OR_RETURN(Value tools, ReadTools(record));
  return MakeConversation(std::move(list), std::move(tools));
}

StatusOr<Sample> ReadAlpaca(const Record& record) {
  MessageList list;
  WEFT_RETURN_IF_ERROR(list.AddAlpacaPrompt(record));
  WEFT_ASSIGN_OR_RETURN(const std::string output, record.Text("output"));
  WEFT_RETURN_IF_ERROR(list.Add("assistant", output));
  return MakeConversation(std::move(list), Value());
}

StatusOr<Sample> ReadPromptCompletion(const Record& record) {
  const Value *prompt = record.Find("prompt"), *completion = record.Find("completion");
  const auto is_conversation = [](const Value* value) {
    return value != nullptr && value->AsList() != nullptr && !value->AsList()->items.empty() &&
           value->AsList()->items[0].AsDict() != nullptr;
  };
  if (is_conversation(prompt) && is_conversation(completion)) {
    MessageList list;
    WEFT_RETURN_IF_ERROR(list.AddMessages(record, "prompt", /*may_be_in_loss=*/false));
    WEFT_RETURN_IF_ERROR(list.AddMessages(record, "completion", /*may_be_in_loss=*/true));
    WEFT_ASSIGN_OR_RETURN(Value tools, ReadTools(record));
    return MakeConversation(std::move(list), std::move(tools));
  }
  Sample sample{.kind = Sample::Kind::kPromptCompletion};
  WEFT_ASSIGN_OR_RETURN(sample.prompt, record.Text("prompt"));
  WEFT_ASSIGN_OR_RETURN(sample.text, record.Text("completion"));
  return sample;
}

// A verdict on an answer, as KTO has it: true or false, 1 or 0; CSV has only texts.
bool IsVerdict(const Value& label) {
  if (label.AsBool() != nullptr) return true;
  if (label.AsInt() != nullptr) return *label.AsInt() == 0 || *label.AsInt() == 1;
  if (label.AsFloat() != nullptr) return *label.AsFloat() == 0 || *label.AsFloat() == 1;
  if (label.AsText() == nullptr) return false;
  const std::string text = absl::AsciiStrToLower(absl::StripAsciiWhitespace(ToAbsl(label.AsText()->bytes())));
  return text == "true" || text == "false" || text == "1" || text == "0";
}

// What is known, and cannot be learnt from.
Status RefuseKnown(const Record& record) {
  if (record.Has("input_ids")) return UserError("tokens already (input_ids): only text is prepared");
  const Value* label = record.Find("label");
  const bool is_judged = record.Has("prompt") && record.Has("completion") && label != nullptr && IsVerdict(*label);
  if (is_judged || record.Has("kto_tag")) {
    return UserError("an answer with a verdict (", is_judged ? "label" : "kto_tag", "), as KTO learns from: that is not "
                     "built yet. To learn from the good answers alone, keep the records whose verdict is true, and "
                     "leave the verdict out");
  }
  for (const char* key : {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}) {
    if (!record.Has("_key") || !record.Has(key)) continue;
    WEFT_ASSIGN_OR_RETURN(const std::string name, record.Text("_key"));
    WEFT_ASSIGN_OR_RETURN(const std::string place, record.Text(key));
    return UserError("an entry '", name, "' of LLaMA-Factory's dataset_info.json, which lists data sets and holds none: "
                     "prepare the file that it names (", key, ": ", place, "), with --format and --column as its "
                     "formatting and columns say");
  }
  return absl::OkStatus();
}

StatusOr<RecordFormat> Recognise(const Record& record) {
  WEFT_RETURN_IF_ERROR(RefuseKnown(record));
  if (record.Has("chosen") || record.Has("rejected")) return RecordFormat::kPreference;
  if (record.Has("messages")) return RecordFormat::kMessages;
  if (record.Has("conversations")) return RecordFormat::kShareGpt;
  if (record.Has("instruction") && record.Has("output")) return RecordFormat::kAlpaca;
  if (record.Has("prompt") && record.Has("completion")) return RecordFormat::kPromptCompletion;
  if (record.Has("text")) return RecordFormat::kText;
  return UserError("of no format that is known: its keys are '", record.Keys(), "'; expected messages, conversations, "
                   "instruction and output, prompt and completion, chosen and rejected, or text; rename with --column, "
                   "e.g. --column prompt=question --column completion=answer");
}

}  // namespace

StatusOr<RecordFormat> ParseRecordFormat(std::string_view name) {
  static constexpr std::pair<std::string_view, RecordFormat> kFormats[] = {
      {"messages", RecordFormat::kMessages},
      {"sharegpt", RecordFormat::kShareGpt},
      {"alpaca", RecordFormat::kAlpaca},
      {"prompt_completion", RecordFormat::kPromptCompletion},
      {"preference", RecordFormat::kPreference},
      {"text", RecordFormat::kText}};
  for (const auto& [known, format] : kFormats) {
    if (known == name) return format;
  }
  return UserError("format: '", name, "' is not known; expected messages, sharegpt, alpaca, prompt_completion, "
                   "preference or text");
}

StatusOr<std::map<std::string, std::string>> ParseColumns(const std::vector<std::string>& columns) {
  static constexpr std::string_view kKeys[] = {"messages", "conversations", "tools",  "system",     "instruction",
                                               "input",    "output",        "history", "prompt",    "completion",
                                               "chosen",   "rejected",      "text"};
  std::map<std::string, std::string> parsed;
  for (const std::string& column : columns) {
    const size_t equals = column.find('=');
    const std::string key = column.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == column.size()) {
      return UserError("column: '", column, "' is not KEY=COLUMN, e.g. prompt=question");
    }
    if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) {
      return UserError("column: there is no key '", key, "' to read a column as; expected messages, conversations, tools, "
                       "system, instruction, input, output, history, prompt, completion, chosen, rejected or text");
    }
    if (!parsed.emplace(key, column.substr(equals + 1)).second) return UserError("column: '", key, "' is given twice");
  }
  return parsed;
}

StatusOr<Sample> MakeConversation(MessageList list, Value tools) {
  if (list.messages.empty()) return UserError("the conversation has no messages");
  Sample sample{.kind = Sample::Kind::kConversation};
  WEFT_ASSIGN_OR_RETURN(sample.messages, jinja::MakeList(std::move(list.messages)));
  sample.tools = std::move(tools);
  sample.in_loss = std::move(list.in_loss);
  return sample;
}

StatusOr<Sample> ReadSample(const Value& value, const RecordReading& reading) {
  if (value.AsDict() == nullptr) return UserError("expected an object, found ", value.TypeName());
  const Record record(*value.AsDict(), reading.columns);
  RecordFormat format = RecordFormat::kText;
  if (reading.format.has_value()) {
    format = *reading.format;
  } else {
    WEFT_ASSIGN_OR_RETURN(format, Recognise(record));
  }
  switch (format) {
    case RecordFormat::kMessages: return ReadMessages(record);
    case RecordFormat::kShareGpt: return ReadShareGpt(record);
    case RecordFormat::kAlpaca: return ReadAlpaca(record);
    case RecordFormat::kPromptCompletion: return ReadPromptCompletion(record);
    case RecordFormat::kPreference: return ReadPreference(record);
    case RecordFormat::kText: break;
  }
  Sample sample;
  WEFT_ASSIGN_OR_RETURN(sample.text, record.Text("text"));
  return sample;
}

StatusOr<Sample> AsConversation(const Sample& prompt_completion) {
  MessageList list;
  WEFT_RETURN_IF_ERROR(list.Add("user", prompt_completion.prompt));
  WEFT_RETURN_IF_ERROR(list.Add("assistant", prompt_completion.text));
  return MakeConversation(std::move(list), Value());
}

}  // namespace weft
