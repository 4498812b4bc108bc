// The variables Hugging Face's apply_chat_template hands to a template, and their origins.
#include "data/chat_template.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/file.h"
#include "data/jinja/interpreter.h"
#include "data/jinja/json_value.h"
#include "data/jinja/parser.h"

namespace weft {

using jinja::Value;

struct ChatTemplate::Parts {
  std::string source, name;
  jinja::Template parsed;
  std::vector<std::pair<std::string, Value>> special_tokens;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

const std::string& ChatTemplate::name() const { return parts_->name; }
const std::string& ChatTemplate::source() const { return parts_->source; }
bool ChatTemplate::mentions_date() const { return parts_->source.find("strftime_now") != std::string::npos; }
bool ChatTemplate::marks_generation() const { return parts_->parsed.marks_generation; }

namespace {

constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};

// transformers writes int(1e30) as the model_max_length of a tokenizer that has none.
StatusOr<Value> ParseConfig(const std::string& tokenizer_config_json) {
  if (tokenizer_config_json.empty()) return jinja::MakeDict({});
  WEFT_ASSIGN_OR_RETURN(Value config, jinja::ParseJsonValue(tokenizer_config_json, "tokenizer_config.json",
                                                            jinja::LongIntegers::kAsFloats));
  if (config.AsDict() == nullptr) return UserError("tokenizer_config.json: expected an object, found ", config.TypeName());
  return config;
}

// Special tokens are strings, or objects with a member `content`. Those that are not set stay undefined.
std::vector<std::pair<std::string, Value>> SpecialTokens(const jinja::Dict& config) {
  std::vector<std::pair<std::string, Value>> tokens;
  for (const char* key : kSpecialTokens) {
    const Value* token = config.Find(key);
    if (token != nullptr && token->AsDict() != nullptr) token = token->AsDict()->Find("content");
    if (token != nullptr && token->AsText() != nullptr) tokens.emplace_back(key, *token);
  }
  return tokens;
}

// The chat_template of a tokenizer_config.json, or null.
const Value* FindTemplate(const Value& entry) {
  if (entry.AsText() != nullptr) return &entry;
  if (entry.AsList() == nullptr) return nullptr;
  for (const Value& item : entry.AsList()->items) {
    const Value* name = item.AsDict() == nullptr ? nullptr : item.AsDict()->Find("name");
    if (name == nullptr || name->AsText() == nullptr || name->AsText()->bytes() != "default") continue;
    const Value* source = item.AsDict()->Find("template");
    if (source != nullptr && source->AsText() != nullptr) return source;
  }
  return nullptr;
}

// Templates make control tokens of roles ('<|' + message.role + '|>'). These roles count as the template's own words, so
// that it may; any other is data, of which no control token comes.
bool IsKnownRole(const Value& role) {
  if (role.AsText() == nullptr) return false;
  static constexpr std::string_view kRoles[] = {"system",  "developer",   "user",  "assistant", "tool",         "function",
                                                "ipython", "observation", "model", "tool_call", "tool_response"};
  return std::find(std::begin(kRoles), std::end(kRoles), role.AsText()->bytes()) != std::end(kRoles);
}

// What a message says is its own; who says it, and to which call it answers, is not.
int32_t SourceOf(const std::string& key, const Value& value, int32_t message) {
  if (key == "role") return IsKnownRole(value) ? kFromTemplate : kFromOtherData;
  return key == "name" || key == "tool_call_id" ? kFromOtherData : message;
}

// Reasoning goes by several names. Templates read reasoning_content or, some, thinking; transformers fills in both.
void AliasReasoning(jinja::Dict* message) {
  for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
    const Value* reasoning = message->Find(key);
    if (reasoning == nullptr || reasoning->is_none()) continue;
    const Value value = *reasoning;
    if (message->Find("thinking") == nullptr) message->Set(jinja::Text("thinking"), value);
    message->Set(jinja::Text("reasoning_content"), value);
    return;
  }
}

StatusOr<Value> MarkedMessages(const Value& messages) {
  if (messages.AsList() == nullptr) return UserError("messages: expected a list, found ", messages.TypeName());
  std::vector<Value> marked;
  for (const Value& message : messages.AsList()->items) {
    const int32_t source = kFromFirstMessage + static_cast<int32_t>(marked.size());
    if (message.AsDict() == nullptr) {
      return UserError("messages[", marked.size(), "]: expected an object, found ", message.TypeName());
    }
    jinja::Dict dict;
    for (const jinja::Dict::Entry& entry : message.AsDict()->entries) {
      jinja::Text key(entry.key.bytes(), {.source = kFromOtherData});  // a template may print a message whole
      dict.Set(std::move(key), WithSource(entry.value, SourceOf(entry.key.bytes(), entry.value, source)));
    }
    AliasReasoning(&dict);
    WEFT_ASSIGN_OR_RETURN(Value value, jinja::MakeDict(std::move(dict)));
    marked.push_back(std::move(value));
  }
  return jinja::MakeList(std::move(marked));
}

// Whether any byte of the text came from a source.
bool Says(const jinja::Text& text, int32_t source) {
  return std::any_of(text.marks().begin(), text.marks().end(),
                     [&](const jinja::Text::Mark& mark) { return mark.origin.source == source; });
}

// A message's content where its role is `role` and its content a text, else null.
const jinja::Text* ContentOf(const Value& message, std::string_view role) {
  const Value *its_role = message.AsDict()->Find("role"), *content = message.AsDict()->Find("content");
  const bool is_it = its_role != nullptr && its_role->AsText() != nullptr && its_role->AsText()->bytes() == role;
  return is_it && content != nullptr ? content->AsText() : nullptr;
}

// The messages with a leading system message put in front of the user's that follows it; else as they are.
StatusOr<Value> WithSystemInUser(const Value& messages) {
  std::vector<Value> list = messages.AsList()->items;
  const jinja::Text* system = list.size() < 2 ? nullptr : ContentOf(list[0], "system");
  const jinja::Text* user = system == nullptr ? nullptr : ContentOf(list[1], "user");
  if (user == nullptr || system->empty()) return messages;
  jinja::Text content = *system;
  content.Append("\n");
  content.Append(*user);
  jinja::Dict message = *list[1].AsDict();
  message.Set(jinja::Text("content"), Value(std::move(content)));
  WEFT_ASSIGN_OR_RETURN(list[1], jinja::MakeDict(std::move(message)));
  list.erase(list.begin());
  return jinja::MakeList(std::move(list));
}

// Bytes of all texts in a value.
size_t TextBytes(const Value& value) {
  if (value.AsText() != nullptr) return value.AsText()->size();
  size_t bytes = 0;
  if (value.AsList() != nullptr) {
    for (const Value& item : value.AsList()->items) bytes += TextBytes(item);
  } else if (value.AsDict() != nullptr) {
    for (const jinja::Dict::Entry& entry : value.AsDict()->entries) bytes += entry.key.size() + TextBytes(entry.value);
  }
  return bytes;
}

}  // namespace

int64_t CountUnsaid(const Value& messages, const jinja::Text& rendered) {
  const std::vector<Value>& list = messages.AsList()->items;
  std::vector<bool> says(kFromFirstMessage + list.size());  // by source
  for (const jinja::Text::Mark& mark : rendered.marks()) says[static_cast<size_t>(mark.origin.source)] = true;
  int64_t count = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    const jinja::Dict& message = *list[i].AsDict();
    const Value *content = message.Find("content"), *calls = message.Find("tool_calls");
    const size_t bytes = (content == nullptr ? 0 : TextBytes(*content)) + (calls == nullptr ? 0 : TextBytes(*calls));
    if (bytes > 0 && !says[kFromFirstMessage + i]) ++count;
  }
  return count;
}

StatusOr<ChatTemplate> ChatTemplate::Parse(const std::string& source, const std::string& name,
                                           const std::string& tokenizer_config_json) {
  auto parts = std::make_unique<Parts>();
  parts->source = source;
  parts->name = name;
  WEFT_ASSIGN_OR_RETURN(parts->parsed, jinja::ParseTemplate(source, parts->name));
  WEFT_ASSIGN_OR_RETURN(const Value config, ParseConfig(tokenizer_config_json));
  parts->special_tokens = SpecialTokens(*config.AsDict());
  return ChatTemplate(std::move(parts));
}

StatusOr<ChatTemplate> ChatTemplate::OfModel(const std::string& folder, const std::string& tokenizer_config_json) {
  const std::string path = folder + "/chat_template.jinja";
  std::error_code ignored;
  if (!folder.empty() && std::filesystem::exists(path, ignored)) {
    WEFT_ASSIGN_OR_RETURN(const std::string source, ReadFile(path));
    return Parse(source, "chat_template.jinja", tokenizer_config_json);
  }
  WEFT_ASSIGN_OR_RETURN(const Value config, ParseConfig(tokenizer_config_json));
  const Value* entry = config.AsDict()->Find("chat_template");
  const Value* source = entry == nullptr ? nullptr : FindTemplate(*entry);
  if (source == nullptr) {
    return UserError("the tokenizer has no chat template, neither a chat_template.jinja beside it nor a chat_template in "
                     "its tokenizer_config.json: name one with --template FILE.jinja");
  }
  return Parse(source->AsText()->bytes(), "chat_template", tokenizer_config_json);
}

bool ChatTemplate::Sets(std::string_view variable) {
  for (const char* name : {"messages", "tools", "add_generation_prompt"}) {
    if (variable == name) return true;
  }
  return std::find(std::begin(kSpecialTokens), std::end(kSpecialTokens), variable) != std::end(kSpecialTokens);
}

StatusOr<std::string> ChatTemplate::IntoConfig(const std::string& tokenizer_config_json) const {
  const StatusOr<ChatTemplate> known = OfModel("", tokenizer_config_json);
  if (known.ok() && known->source() == source()) return tokenizer_config_json;
  using Json = nlohmann::ordered_json;
  Json config = Json::parse(tokenizer_config_json.empty() ? "{}" : tokenizer_config_json, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return UserError("tokenizer_config.json: expected a JSON object");
  config["chat_template"] = source();
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

StatusOr<jinja::Text> ChatTemplate::Render(const ChatInput& input) const {
  WEFT_ASSIGN_OR_RETURN(const Value messages, MarkedMessages(input.messages));
  StatusOr<jinja::Text> text = RenderMarked(messages, input);
  if (!input.keep_system || !text.ok() || Says(*text, kFromFirstMessage)) return text;
  WEFT_ASSIGN_OR_RETURN(const Value merged, WithSystemInUser(messages));
  return RenderMarked(merged, input);
}

std::string ChatTemplate::GenerationPrompt() const {
  jinja::Dict question;
  question.Set(jinja::Text("role"), Value("user"));
  question.Set(jinja::Text("content"), Value("Is it?"));
  const StatusOr<Value> message = jinja::MakeDict(std::move(question));
  WEFT_CHECK_OK(message);
  const StatusOr<Value> messages = jinja::MakeList({*message});
  WEFT_CHECK_OK(messages);
  const StatusOr<jinja::Text> asked = Render({.messages = *messages, .add_generation_prompt = true});
  const StatusOr<jinja::Text> told = Render({.messages = *messages});
  if (!asked.ok() || !told.ok() || asked->bytes().compare(0, told->size(), told->bytes()) != 0) return "";
  const bool is_of_template = asked->marks().empty() || asked->marks().back().end <= told->size();
  return is_of_template ? asked->bytes().substr(told->size()) : "";
}

StatusOr<jinja::Text> ChatTemplate::RenderMarked(const Value& messages, const ChatInput& input) const {
  jinja::Scope variables(nullptr);
  jinja::Budget budget(TextBytes(messages) + TextBytes(input.tools) + TextBytes(input.documents));
  variables.Set("messages", messages);
  variables.Set("tools", WithSource(input.tools, kFromOtherData));
  variables.Set("documents", WithSource(input.documents, kFromOtherData));
  variables.Set("add_generation_prompt", Value(input.add_generation_prompt));
  for (const auto& [name, value] : parts_->special_tokens) variables.Set(name, value);
  for (const auto& [name, value] : input.variables) variables.Set(name, WithSource(value, kFromOtherData));
  jinja::Interpreter interpreter(parts_->name, budget, input.now);
  return interpreter.Run(parts_->parsed.block, variables);
}

}  // namespace weft
