// The messages of OpenAI and of ShareGPT.
#include "data/message_list.h"

#include <optional>
#include <utility>

#include "data/jinja/json_value.h"

namespace weft {
namespace {

using jinja::Dict;
using jinja::MakeDict;
using jinja::MakeList;
using jinja::Value;

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

// A message's content as one text: a string as it is, of OpenAI's list of parts the texts. Templates write lists of parts
// in ways of their own, or not at all.
StatusOr<Value> ReadContent(const Value& content) {
  if (content.AsText() != nullptr || content.is_none()) return content;
  if (content.AsList() == nullptr) return UserError("content: expected a text or a list of parts, found ", content.TypeName());
  jinja::Text text;
  for (size_t i = 0; i < content.AsList()->items.size(); ++i) {
    const Dict* part = content.AsList()->items[i].AsDict();
    const Value* type = part == nullptr ? nullptr : part->Find("type");
    if (type == nullptr || type->AsText() == nullptr) {
      return UserError("content[", i, "]: expected a part with a string 'type', such as {\"type\": \"text\", \"text\": \"...\"}");
    }
    if (type->AsText()->bytes() != "text") {
      return UserError("content[", i, "]: parts of type '", type->AsText()->bytes().substr(0, 100), "' are not supported; "
                       "expected only parts of type 'text'");
    }
    const Value* said = part->Find("text");
    if (said == nullptr || said->AsText() == nullptr) return UserError("content[", i, "]: expected a string 'text' in the part");
    text.Append(*said->AsText());
  }
  return Value(std::move(text));
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

// A call as data sets of ShareGPT's form write it, {"name", "arguments"}, as OpenAI's messages have it; nothing where it is
// another thing.
StatusOr<std::optional<Value>> AsToolCall(const Value& value) {
  const Dict* call = value.AsDict();
  const Value* name = call == nullptr ? nullptr : call->Find("name");
  const Value* arguments = call == nullptr ? nullptr : call->Find("arguments");
  if (name == nullptr || name->AsText() == nullptr || arguments == nullptr) return std::nullopt;
  Dict wrapped;
  wrapped.Set(jinja::Text("type"), Value("function"));
  wrapped.Set(jinja::Text("function"), value);
  WEFT_ASSIGN_OR_RETURN(Value made, MakeDict(std::move(wrapped)));
  return made;
}

// The calls in a text that is JSON of one or of a list; none where it is anything else.
StatusOr<std::vector<Value>> CallsIn(const std::string& text) {
  const StatusOr<Value> json = jinja::ParseJsonValue(text, "the call");
  if (!json.ok()) return std::vector<Value>();
  std::vector<Value> calls;
  for (const Value& item : json->AsList() == nullptr ? std::vector<Value>{*json} : json->AsList()->items) {
    WEFT_ASSIGN_OR_RETURN(std::optional<Value> call, AsToolCall(item));
    if (!call.has_value()) return std::vector<Value>();
    calls.push_back(*std::move(call));
  }
  return calls;
}

}  // namespace

Status MessageList::Add(std::string_view role, std::string_view content) {
  Dict message;
  message.Set(jinja::Text("role"), Value(role));
  message.Set(jinja::Text("content"), Value(content));
  WEFT_ASSIGN_OR_RETURN(Value made, MakeDict(std::move(message)));
  messages.push_back(std::move(made));
  in_loss.push_back(role == "assistant");
  return absl::OkStatus();
}

Status MessageList::AddMessage(const Value& value, bool may_be_in_loss) {
  const Dict* dict = value.AsDict();
  if (dict == nullptr) return UserError("expected an object, found ", value.TypeName());
  const Value* role = dict->Find("role");
  if (role == nullptr || role->AsText() == nullptr) return UserError("expected a string 'role'");
  const Value* content = dict->Find("content");
  const Value* calls = dict->Find("tool_calls");
  if (content == nullptr && calls == nullptr) return UserError("expected 'content' or 'tool_calls'");
  WEFT_ASSIGN_OR_RETURN(const bool weight, ReadWeight(*dict));
  WEFT_ASSIGN_OR_RETURN(Value text, ReadContent(content == nullptr ? Value() : *content));
  Dict message = *dict;
  message.Set(jinja::Text("content"), std::move(text));
  if (calls != nullptr && !calls->is_none()) {
    WEFT_ASSIGN_OR_RETURN(Value read, ReadToolCalls(*calls));
    message.Set(jinja::Text("tool_calls"), std::move(read));
  }
  WEFT_ASSIGN_OR_RETURN(Value made, MakeDict(std::move(message)));
  messages.push_back(std::move(made));
  in_loss.push_back(may_be_in_loss && weight && role->AsText()->bytes() == "assistant");
  return absl::OkStatus();
}

Status MessageList::AddShareGpt(const Value& value) {
  const Dict* dict = value.AsDict();
  if (dict == nullptr) return UserError("expected an object, found ", value.TypeName());
  if (dict->Find("role") != nullptr) return AddMessage(value, /*may_be_in_loss=*/true);
  const Value *from = dict->Find("from"), *content = dict->Find("value");
  if (from == nullptr || from->AsText() == nullptr) return UserError("expected a string 'from'");
  if (content == nullptr || content->AsText() == nullptr) return UserError("expected a string 'value'");
  WEFT_ASSIGN_OR_RETURN(const std::string_view role, RoleOfShareGpt(from->AsText()->bytes()));
  if (from->AsText()->bytes() == "function_call") {
    WEFT_ASSIGN_OR_RETURN(std::vector<Value> calls, CallsIn(content->AsText()->bytes()));
    if (!calls.empty()) return AddCalls(std::move(calls));
  }
  return Add(role, content->AsText()->bytes());
}

Status MessageList::AddCalls(std::vector<Value> calls) {
  Dict message;
  message.Set(jinja::Text("role"), Value("assistant"));
  message.Set(jinja::Text("content"), Value(""));  // not null, in which Qwen3's template seeks a text
  WEFT_ASSIGN_OR_RETURN(Value list, MakeList(std::move(calls)));
  message.Set(jinja::Text("tool_calls"), std::move(list));
  WEFT_ASSIGN_OR_RETURN(const Value made, MakeDict(std::move(message)));
  return AddMessage(made, /*may_be_in_loss=*/true);
}

Status MessageList::AddMessages(const Record& record, const std::string& key, bool may_be_in_loss) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value>* items, record.Items(key));
  for (size_t i = 0; i < items->size(); ++i) {
    const Status status = AddMessage((*items)[i], may_be_in_loss);
    if (!status.ok()) return WithContext(status, StrCat(record.ColumnOf(key), "[", i, "]"));
  }
  return absl::OkStatus();
}

Status MessageList::AddShareGptMessages(const Record& record, const std::string& key) {
  WEFT_ASSIGN_OR_RETURN(const std::string system, record.TextOr("system", ""));
  if (!system.empty()) WEFT_RETURN_IF_ERROR(Add("system", system));
  WEFT_ASSIGN_OR_RETURN(const std::vector<Value>* items, record.Items(key));
  for (size_t i = 0; i < items->size(); ++i) {
    const Status status = AddShareGpt((*items)[i]);
    if (!status.ok()) return WithContext(status, StrCat(record.ColumnOf(key), "[", i, "]"));
  }
  return absl::OkStatus();
}

Status MessageList::AddAlpacaPrompt(const Record& record) {
  WEFT_ASSIGN_OR_RETURN(const std::string system, record.TextOr("system", ""));
  WEFT_ASSIGN_OR_RETURN(const std::string instruction, record.Text("instruction"));
  WEFT_ASSIGN_OR_RETURN(const std::string input, record.TextOr("input", ""));
  if (!system.empty()) WEFT_RETURN_IF_ERROR(Add("system", system));
  if (record.Has("history")) {
    WEFT_ASSIGN_OR_RETURN(const std::vector<Value>* turns, record.Items("history"));
    for (const Value& turn : *turns) {
      const jinja::List* pair = turn.AsList();
      const bool is_pair = pair != nullptr && pair->items.size() == 2 && pair->items[0].AsText() != nullptr &&
                           pair->items[1].AsText() != nullptr;
      if (!is_pair) return UserError(record.ColumnOf("history"), ": expected pairs of strings");
      WEFT_RETURN_IF_ERROR(Add("user", pair->items[0].AsText()->bytes()));
      WEFT_RETURN_IF_ERROR(Add("assistant", pair->items[1].AsText()->bytes()));
    }
  }
  return Add("user", input.empty() ? instruction : StrCat(instruction, "\n", input));
}

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

}  // namespace weft
