// One reader a format; all make the messages that templates take.
#include "data/conversation.h"

#include <algorithm>
#include <utility>

#include "data/jinja/json_value.h"

namespace weft {
namespace {

using jinja::Dict;
using jinja::MakeDict;
using jinja::MakeList;
using jinja::Value;

// A record with its columns renamed.
class Record {
 public:
  Record(const Dict& dict, const RecordReading& reading) : dict_(dict), reading_(reading) {}

  std::string ColumnOf(const std::string& key) const {
    const auto column = reading_.columns.find(key);
    return column == reading_.columns.end() ? key : column->second;
  }
  // Null where it is absent or null.
  const Value* Find(const std::string& key) const {
    const Value* value = dict_.Find(ColumnOf(key));
    return value == nullptr || value->is_none() ? nullptr : value;
  }
  bool Has(const std::string& key) const { return Find(key) != nullptr; }
  StatusOr<std::string> Text(const std::string& key) const {
    const Value* value = Find(key);
    if (value == nullptr) return UserError("there is no '", ColumnOf(key), "'");
    if (value->AsText() == nullptr) return UserError(ColumnOf(key), ": expected a string, found ", value->TypeName());
    return value->AsText()->bytes();
  }
  StatusOr<std::string> TextOr(const std::string& key, std::string absent) const {
    if (!Has(key)) return absent;
    return Text(key);
  }
  StatusOr<const std::vector<Value>*> Items(const std::string& key) const {
    const Value* value = Find(key);
    if (value == nullptr) return UserError("there is no '", ColumnOf(key), "'");
    if (value->AsList() == nullptr) return UserError(ColumnOf(key), ": expected a list, found ", value->TypeName());
    return &value->AsList()->items;
  }
  std::string Keys() const {
    std::string keys;
    for (const Dict::Entry& entry : dict_.entries) StrAppend(&keys, keys.empty() ? "" : ", ", entry.key.bytes());
    return keys;
  }

 private:
  const Dict& dict_;
  const RecordReading& reading_;
};

StatusOr<Value> MakeMessage(std::string_view role, std::string_view content) {
  Dict message;
  message.Set(jinja::Text("role"), Value(role));
  message.Set(jinja::Text("content"), Value(content));
  return MakeDict(std::move(message));
}

// Collects a conversation's messages.
struct Messages {
  std::vector<Value> list;
  std::vector<uint8_t> in_loss;

  Status Add(std::string_view role, std::string_view content) {
    WEFT_ASSIGN_OR_RETURN(Value message, MakeMessage(role, content));
    list.push_back(std::move(message));
    in_loss.push_back(role == "assistant");
    return absl::OkStatus();
  }
  StatusOr<Sample> Finish(Value tools) {
    if (list.empty()) return UserError("the conversation has no messages");
    Sample sample{.kind = Sample::Kind::kConversation};
    WEFT_ASSIGN_OR_RETURN(sample.messages, MakeList(std::move(list)));
    sample.tools = std::move(tools);
    sample.in_loss = std::move(in_loss);
    return sample;
  }
};

// The arguments of tool calls are JSON in a string for OpenAI, and an object for templates.
StatusOr<Value> WithArgumentObjects(const Value& call) {
  const Dict* dict = call.AsDict();
  if (dict == nullptr) return UserError("tool_calls: expected objects, found ", call.TypeName());
  Dict result = *dict;
  if (const Value* function = dict->Find("function"); function != nullptr) {
    WEFT_ASSIGN_OR_RETURN(Value inner, WithArgumentObjects(*function));
    result.Set(jinja::Text("function"), std::move(inner));
  }
  if (const Value* arguments = dict->Find("arguments"); arguments != nullptr && arguments->AsText() != nullptr) {
    StatusOr<Value> parsed = jinja::ParseJsonValue(arguments->AsText()->bytes(), "arguments");
    if (parsed.ok() && parsed->AsDict() != nullptr) result.Set(jinja::Text("arguments"), *std::move(parsed));
  }
  return MakeDict(std::move(result));
}

StatusOr<Value> ReadToolCalls(const Value& calls) {
  if (calls.AsList() == nullptr) return UserError("tool_calls: expected a list, found ", calls.TypeName());
  std::vector<Value> read;
  for (const Value& call : calls.AsList()->items) {
    WEFT_ASSIGN_OR_RETURN(Value one, WithArgumentObjects(call));
    read.push_back(std::move(one));
  }
  return MakeList(std::move(read));
}

// Whether the assistant's message counts: "weight" is 0 or 1.
StatusOr<bool> ReadWeight(const Dict& message) {
  const Value* weight = message.Find("weight");
  if (weight == nullptr || weight->is_none()) return true;
  const StatusOr<double> number = ToDouble(*weight);
  if (number.ok() && (*number == 0 || *number == 1)) return *number == 1;
  return UserError("weight: expected 0 or 1");
}

Status AddMessage(const Value& value, bool may_be_in_loss, Messages* messages) {
  const Dict* dict = value.AsDict();
  if (dict == nullptr) return UserError("expected an object, found ", value.TypeName());
  const Value* role = dict->Find("role");
  if (role == nullptr || role->AsText() == nullptr) return UserError("expected a string 'role'");
  const Value* content = dict->Find("content");
  const Value* calls = dict->Find("tool_calls");
  if (content == nullptr && calls == nullptr) return UserError("expected 'content' or 'tool_calls'");
  WEFT_ASSIGN_OR_RETURN(const bool weight, ReadWeight(*dict));
  Dict message = *dict;
  if (content == nullptr) message.Set(jinja::Text("content"), Value());
  if (calls != nullptr && !calls->is_none()) {
    WEFT_ASSIGN_OR_RETURN(Value read, ReadToolCalls(*calls));
    message.Set(jinja::Text("tool_calls"), std::move(read));
  }
  WEFT_ASSIGN_OR_RETURN(Value made, MakeDict(std::move(message)));
  messages->list.push_back(std::move(made));
  messages->in_loss.push_back(may_be_in_loss && weight && role->AsText()->bytes() == "assistant");
  return absl::OkStatus();
}

Status AddMessages(const Record& record, const std::string& key, bool may_be_in_loss, Messages* messages) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value>* items, record.Items(key));
  for (size_t i = 0; i < items->size(); ++i) {
    const Status status = AddMessage((*items)[i], may_be_in_loss, messages);
    if (!status.ok()) return WithContext(status, StrCat(record.ColumnOf(key), "[", i, "]"));
  }
  return absl::OkStatus();
}

// A list, or JSON of a list in a string; none where there are no tools.
StatusOr<Value> ReadTools(const Record& record) {
  const Value* tools = record.Find("tools");
  if (tools == nullptr || (tools->AsText() != nullptr && tools->AsText()->empty())) return Value();
  Value list = *tools;
  if (tools->AsText() != nullptr) {
    WEFT_ASSIGN_OR_RETURN(list, jinja::ParseJsonValue(tools->AsText()->bytes(), record.ColumnOf("tools")));
  }
  if (list.AsList() == nullptr) return UserError(record.ColumnOf("tools"), ": expected a list, found ", list.TypeName());
  if (list.AsList()->items.empty()) return Value();
  return list;
}

StatusOr<Sample> ReadMessages(const Record& record) {
  Messages messages;
  WEFT_RETURN_IF_ERROR(AddMessages(record, "messages", /*may_be_in_loss=*/true, &messages));
  WEFT_ASSIGN_OR_RETURN(Value tools, ReadTools(record));
  return messages.Finish(std::move(tools));
}

StatusOr<std::string_view> RoleOfShareGpt(std::string_view from) {
  static constexpr std::pair<std::string_view, std::string_view> kRoles[] = {
      {"human", "user"},         {"user", "user"},    {"gpt", "assistant"},    {"assistant", "assistant"},
      {"model", "assistant"},    {"chatgpt", "assistant"}, {"bard", "assistant"}, {"bing", "assistant"},
      {"function_call", "assistant"}, {"system", "system"}, {"observation", "tool"}, {"tool", "tool"}};
  for (const auto& [name, role] : kRoles) {
    if (name == from) return role;
  }
  return UserError("from: '", from, "' is not known; expected human, gpt, system, observation or function_call");
}

Status AddShareGptMessage(const Value& value, Messages* messages) {
  const Dict* dict = value.AsDict();
  if (dict == nullptr) return UserError("expected an object, found ", value.TypeName());
  if (dict->Find("role") != nullptr) return AddMessage(value, /*may_be_in_loss=*/true, messages);
  const Value *from = dict->Find("from"), *content = dict->Find("value");
  if (from == nullptr || from->AsText() == nullptr) return UserError("expected a string 'from'");
  if (content == nullptr || content->AsText() == nullptr) return UserError("expected a string 'value'");
  WEFT_ASSIGN_OR_RETURN(const std::string_view role, RoleOfShareGpt(from->AsText()->bytes()));
  return messages->Add(role, content->AsText()->bytes());
}

StatusOr<Sample> ReadShareGpt(const Record& record) {
  Messages messages;
  WEFT_ASSIGN_OR_RETURN(const std::string system, record.TextOr("system", ""));
  if (!system.empty()) WEFT_RETURN_IF_ERROR(messages.Add("system", system));
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value>* items, record.Items("conversations"));
  for (size_t i = 0; i < items->size(); ++i) {
    const Status status = AddShareGptMessage((*items)[i], &messages);
    if (!status.ok()) return WithContext(status, StrCat(record.ColumnOf("conversations"), "[", i, "]"));
  }
  WEFT_ASSIGN_OR_RETURN(Value tools, ReadTools(record));
  return messages.Finish(std::move(tools));
}

StatusOr<Sample> ReadAlpaca(const Record& record) {
  Messages messages;
  WEFT_ASSIGN_OR_RETURN(const std::string system, record.TextOr("system", ""));
  WEFT_ASSIGN_OR_RETURN(const std::string instruction, record.Text("instruction"));
  WEFT_ASSIGN_OR_RETURN(const std::string input, record.TextOr("input", ""));
  WEFT_ASSIGN_OR_RETURN(const std::string output, record.Text("output"));
  if (!system.empty()) WEFT_RETURN_IF_ERROR(messages.Add("system", system));
  if (record.Has("history")) {
    WEFT_ASSIGN_OR_RETURN(const std::vector<Value>* turns, record.Items("history"));
    for (const Value& turn : *turns) {
      const jinja::List* pair = turn.AsList();
      const bool is_pair = pair != nullptr && pair->items.size() == 2 && pair->items[0].AsText() != nullptr &&
                           pair->items[1].AsText() != nullptr;
      if (!is_pair) return UserError(record.ColumnOf("history"), ": expected pairs of strings");
      WEFT_RETURN_IF_ERROR(messages.Add("user", pair->items[0].AsText()->bytes()));
      WEFT_RETURN_IF_ERROR(messages.Add("assistant", pair->items[1].AsText()->bytes()));
    }
  }
  WEFT_RETURN_IF_ERROR(messages.Add("user", input.empty() ? instruction : StrCat(instruction, "\n", input)));
  WEFT_RETURN_IF_ERROR(messages.Add("assistant", output));
  return messages.Finish(Value());
}

StatusOr<Sample> ReadPromptCompletion(const Record& record) {
  const Value *prompt = record.Find("prompt"), *completion = record.Find("completion");
  if (prompt != nullptr && completion != nullptr && prompt->AsList() != nullptr && completion->AsList() != nullptr) {
    Messages messages;
    WEFT_RETURN_IF_ERROR(AddMessages(record, "prompt", /*may_be_in_loss=*/false, &messages));
    WEFT_RETURN_IF_ERROR(AddMessages(record, "completion", /*may_be_in_loss=*/true, &messages));
    WEFT_ASSIGN_OR_RETURN(Value tools, ReadTools(record));
    return messages.Finish(std::move(tools));
  }
  Sample sample{.kind = Sample::Kind::kPromptCompletion};
  WEFT_ASSIGN_OR_RETURN(sample.prompt, record.Text("prompt"));
  WEFT_ASSIGN_OR_RETURN(sample.text, record.Text("completion"));
  return sample;
}

StatusOr<RecordFormat> Recognise(const Record& record) {
  if (record.Has("chosen") && record.Has("rejected")) {
    return UserError("a preference pair (chosen, rejected): training on preferences is not built yet");
  }
  if (record.Has("input_ids")) return UserError("tokens already (input_ids): only text is prepared");
  if (record.Has("messages")) return RecordFormat::kMessages;
  if (record.Has("conversations")) return RecordFormat::kShareGpt;
  if (record.Has("instruction") && record.Has("output")) return RecordFormat::kAlpaca;
  if (record.Has("prompt") && record.Has("label")) {
    return UserError("a completion with a verdict (label): training on preferences is not built yet");
  }
  if (record.Has("prompt") && record.Has("completion")) return RecordFormat::kPromptCompletion;
  if (record.Has("text")) return RecordFormat::kText;
  return UserError("of no format that is known: its keys are '", record.Keys(), "'; expected messages, conversations, "
                   "instruction and output, prompt and completion, or text; rename with --column, e.g. "
                   "--column prompt=question --column completion=answer");
}

}  // namespace

StatusOr<RecordFormat> ParseRecordFormat(std::string_view name) {
  static constexpr std::pair<std::string_view, RecordFormat> kFormats[] = {
      {"messages", RecordFormat::kMessages},
      {"sharegpt", RecordFormat::kShareGpt},
      {"alpaca", RecordFormat::kAlpaca},
      {"prompt_completion", RecordFormat::kPromptCompletion},
      {"text", RecordFormat::kText}};
  for (const auto& [known, format] : kFormats) {
    if (known == name) return format;
  }
  return UserError("format: '", name, "' is not known; expected messages, sharegpt, alpaca, prompt_completion or text");
}

StatusOr<std::map<std::string, std::string>> ParseColumns(const std::vector<std::string>& columns) {
  static constexpr std::string_view kKeys[] = {"messages", "conversations", "tools",  "system",     "instruction", "input",
                                               "output",   "history",       "prompt", "completion", "text"};
  std::map<std::string, std::string> parsed;
  for (const std::string& column : columns) {
    const size_t equals = column.find('=');
    const std::string key = column.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == column.size()) {
      return UserError("column: '", column, "' is not KEY=COLUMN, e.g. prompt=question");
    }
    if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) {
      return UserError("column: there is no key '", key, "' to read a column as; expected messages, conversations, tools, "
                       "system, instruction, input, output, history, prompt, completion or text");
    }
    if (!parsed.emplace(key, column.substr(equals + 1)).second) return UserError("column: '", key, "' is given twice");
  }
  return parsed;
}

StatusOr<Sample> ReadSample(const Value& value, const RecordReading& reading) {
  if (value.AsDict() == nullptr) return UserError("expected an object, found ", value.TypeName());
  const Record record(*value.AsDict(), reading);
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
    case RecordFormat::kText: break;
  }
  Sample sample;
  WEFT_ASSIGN_OR_RETURN(sample.text, record.Text("text"));
  return sample;
}

StatusOr<Sample> AsConversation(const Sample& prompt_completion) {
  Messages messages;
  WEFT_RETURN_IF_ERROR(messages.Add("user", prompt_completion.prompt));
  WEFT_RETURN_IF_ERROR(messages.Add("assistant", prompt_completion.text));
  return messages.Finish(Value());
}

}  // namespace weft
