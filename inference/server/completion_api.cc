// Reads calls, field by field (see completion_api.h).
#include "inference/server/completion_api.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <map>
#include <random>

#include "data/chat_tokens.h"
#include "data/conversation.h"
#include "data/jinja/json_value.h"
#include "data/json_view.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxStops = 16;

template <typename... Parts>
Status FieldError(std::string_view field, const Parts&... parts) {
  const std::string name(field.substr(0, 100));
  Status status = UserError(name, ": ", parts...);
  status.SetPayload(kFieldPayload, absl::Cord(name));
  return status;
}

bool IsGiven(const Json& body, const char* name) { return body.contains(name) && !body[name].is_null(); }

// --- Fields of both kinds --------------------------------------------------------------------------------------------

StatusOr<int64_t> ReadInteger(const std::string& name, const Json& value) {
  if (!value.is_number_integer()) return FieldError(name, "expected an integer");
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (value.is_number_unsigned() && value.get<uint64_t>() > kMost) return FieldError(name, "the integer is too large");
  return value.get<int64_t>();
}

StatusOr<double> ReadNumber(const std::string& name, const Json& value) {
  if (!value.is_number()) return FieldError(name, "expected a number");
  return value.get<double>();
}

StatusOr<bool> ReadBool(const std::string& name, const Json& value) {
  if (!value.is_boolean()) return FieldError(name, "expected true or false");
  return value.get<bool>();
}

StatusOr<std::vector<std::string>> ReadStops(const std::string& name, const Json& value) {
  const Json list = value.is_array() ? value : Json::array({value});
  if (list.size() > kMaxStops) return FieldError(name, "at most ", kMaxStops, " strings are taken");
  std::vector<std::string> stops;
  for (const Json& stop : list) {
    if (!stop.is_string() || stop.get_ref<const std::string&>().empty()) {
      return FieldError(name, "expected a string or a list of strings, none of them empty");
    }
    stops.push_back(stop.get<std::string>());
  }
  return stops;
}

StatusOr<bool> ReadIncludeUsage(const std::string& name, const Json& value) {
  if (!value.is_object()) return FieldError(name, "expected an object");
  bool include_usage = false;
  for (const auto& [key, member] : value.items()) {
    const std::string path = StrCat(name, ".", key);
    if (key != "include_usage") return FieldError(path, "not supported");
    WEFT_ASSIGN_OR_RETURN(include_usage, ReadBool(path, member));
  }
  return include_usage;
}

// Fields of the API that weft does not build, with the values that ask for nothing.
bool AsksForNothing(const std::string& name, const Json& value) {
  static const std::map<std::string, Json> kNeutral = {
      {"n", 1},          {"best_of", 1},          {"echo", false},          {"suffix", ""},
      {"min_p", 0},      {"presence_penalty", 0}, {"frequency_penalty", 0}, {"logit_bias", Json::object()},
      {"logprobs", false}, {"top_logprobs", 0},   {"repetition_penalty", 1}, {"tools", Json::array()},
      {"tool_choice", "none"}, {"response_format", {{"type", "text"}}}};
  if (name == "user") return true;  // a label of the client's own
  const auto found = kNeutral.find(name);
  return found != kNeutral.end() && value == found->second;
}

template <typename T, typename Field>
Status Take(StatusOr<T> read, Field& to) {
  if (read.ok()) to = *std::move(read);
  return read.status();
}

// Takes a field that both kinds of calls have into `call`.
Status ReadField(const std::string& name, const Json& value, CompletionCall& call) {
  CompletionRequest& request = call.generation;
  if (name == "max_tokens") return Take(ReadInteger(name, value), request.max_tokens);
  if (name == "temperature") return Take(ReadNumber(name, value), request.sampling.temperature);
  if (name == "top_p") return Take(ReadNumber(name, value), request.sampling.top_p);
  if (name == "top_k") return Take(ReadInteger(name, value), request.sampling.top_k);
  if (name == "seed") return Take(ReadInteger(name, value), request.sampling.seed);
  if (name == "stop") return Take(ReadStops(name, value), request.stop);
  if (name == "ignore_eos") return Take(ReadBool(name, value), request.ignore_eos);
  if (name == "stream") return Take(ReadBool(name, value), call.stream);
  if (name == "stream_options") return Take(ReadIncludeUsage(name, value), call.include_usage);
  if (AsksForNothing(name, value)) return absl::OkStatus();
  return FieldError(name, "this value, or the whole field, is not supported");
}

Status CheckModel(const Json& body, std::string_view model_name) {
  const auto model = body.find("model");
  if (model == body.end() || model->is_null()) return absl::OkStatus();  // there is only one
  if (!model->is_string()) return FieldError("model", "expected a string");
  const std::string& name = model->get_ref<const std::string&>();
  if (name == model_name) return absl::OkStatus();
  Status status = absl::NotFoundError(
      StrCat("the model '", name.substr(0, 200), "' does not exist; this server has '", model_name, "'"));
  status.SetPayload(kFieldPayload, absl::Cord("model"));
  return status;
}

uint64_t ByChance() {
  static thread_local std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// The call's fields, after checking the model; seeds `call`.
StatusOr<Json> BeginCall(std::string_view body, std::string_view model_name, CompletionCall& call) {
  WEFT_ASSIGN_OR_RETURN(Json json, ParseJson(body, "the request's body"));
  if (!json.is_object()) return UserError("the request's body: expected a JSON object");
  WEFT_RETURN_IF_ERROR(CheckModel(json, model_name));
  if (IsGiven(json, "stream_options") && json.value("stream", Json()) != true) {
    return FieldError("stream_options", "only together with \"stream\": true");
  }
  call.generation.sampling.seed = ByChance();
  return json;
}

// --- A text ----------------------------------------------------------------------------------------------------------

// A text, a list of token ids, or a list that holds one of these.
StatusOr<std::vector<int32_t>> ReadPrompt(const std::string& name, const Json& value, const Tokenizer& tokenizer) {
  if (value.is_string()) return tokenizer.Encode(value.get_ref<const std::string&>());
  if (!value.is_array() || value.empty()) return FieldError(name, "expected a text or a list of token ids");
  const bool holds_prompts = value[0].is_string() || value[0].is_array();
  if (holds_prompts && value.size() > 1) {
    return FieldError(name, "one prompt a request is supported, got ", value.size());
  }
  if (value[0].is_string()) return ReadPrompt(name, value[0], tokenizer);
  const Json& ids = holds_prompts ? value[0] : value;
  std::vector<int32_t> tokens;
  for (const Json& id : ids) {
    WEFT_ASSIGN_OR_RETURN(const int64_t token, ReadInteger(name, id));
    if (token < 0 || token > std::numeric_limits<int32_t>::max()) {
      return FieldError(name, "token ", token, " is out of the vocabulary");
    }
    tokens.push_back(static_cast<int32_t>(token));
  }
  return tokens;
}

// --- A conversation --------------------------------------------------------------------------------------------------

// The messages as templates take them. Read from the body itself, because keys keep their order there.
StatusOr<jinja::Value> ReadMessages(std::string_view body) {
  WEFT_ASSIGN_OR_RETURN(const jinja::Value root, jinja::ParseJsonValue(body, "the request's body"));
  WEFT_ASSIGN_OR_RETURN(const Sample sample, ReadSample(root, {.format = RecordFormat::kMessages}));
  return sample.messages;
}

// Variables for the template: {"enable_thinking": false}.
StatusOr<std::vector<std::pair<std::string, jinja::Value>>> ReadVariables(const std::string& name, const Json& value) {
  if (!value.is_object()) return FieldError(name, "expected an object");
  std::vector<std::pair<std::string, jinja::Value>> variables;
  for (const auto& [key, member] : value.items()) {
    if (ChatTemplate::Sets(key)) return FieldError(StrCat(name, ".", key), "is not a client's to set");
    WEFT_ASSIGN_OR_RETURN(jinja::Value variable, jinja::ParseJsonValue(member.dump(), StrCat(name, ".", key)));
    variables.emplace_back(key, std::move(variable));
  }
  return variables;
}

// The prompt of a conversation.
StatusOr<std::vector<int32_t>> RenderPrompt(std::string_view body, ChatInput input, const Tokenizer& tokenizer,
                                            const ChatTemplate& chat_template) {
  WEFT_ASSIGN_OR_RETURN(input.messages, ReadMessages(body));
  input.add_generation_prompt = true;
  input.now = std::time(nullptr);
  WEFT_ASSIGN_OR_RETURN(const jinja::Text text, chat_template.Render(input));
  return EncodeMasked(tokenizer, text, /*spoken=*/{}, /*ends_turns=*/false, /*add_special_tokens=*/false).tokens;
}

}  // namespace

StatusOr<CompletionCall> ParseCompletionCall(std::string_view body, std::string_view model_name,
                                             const Tokenizer& tokenizer, const SamplingOptions& defaults) {
  CompletionCall call;
  call.generation.sampling = defaults;
  WEFT_ASSIGN_OR_RETURN(const Json json, BeginCall(body, model_name, call));
  for (const auto& [name, value] : json.items()) {
    if (name == "model" || value.is_null()) continue;
    if (name == "prompt") {
      WEFT_ASSIGN_OR_RETURN(call.generation.prompt, ReadPrompt(name, value, tokenizer));
    } else {
      WEFT_RETURN_IF_ERROR(ReadField(name, value, call));
    }
  }
  if (!IsGiven(json, "prompt")) return FieldError("prompt", "is missing");
  return call;
}

StatusOr<CompletionCall> ParseChatCall(std::string_view body, std::string_view model_name, const Tokenizer& tokenizer,
                                       const StatusOr<ChatTemplate>& chat_template, int64_t capacity,
                                       const SamplingOptions& defaults) {
  CompletionCall call = {.kind = CallKind::kChat};
  call.generation.sampling = defaults;
  WEFT_ASSIGN_OR_RETURN(const Json json, BeginCall(body, model_name, call));
  if (IsGiven(json, "max_tokens") && IsGiven(json, "max_completion_tokens")) {
    return FieldError("max_completion_tokens", "is another name of max_tokens; give one of the two");
  }
  ChatInput input;
  for (const auto& [name, value] : json.items()) {
    if (name == "model" || name == "messages" || value.is_null()) continue;
    if (name == "max_completion_tokens") {
      WEFT_ASSIGN_OR_RETURN(call.generation.max_tokens, ReadInteger(name, value));
    } else if (name == "chat_template_kwargs") {
      WEFT_ASSIGN_OR_RETURN(input.variables, ReadVariables(name, value));
    } else {
      WEFT_RETURN_IF_ERROR(ReadField(name, value, call));
    }
  }
  if (!chat_template.ok()) return chat_template.status();
  StatusOr<std::vector<int32_t>> prompt = RenderPrompt(body, std::move(input), tokenizer, *chat_template);
  if (!prompt.ok()) return FieldError("messages", ToStd(prompt.status().message()));
  call.generation.prompt = *std::move(prompt);
  if (!IsGiven(json, "max_tokens") && !IsGiven(json, "max_completion_tokens")) {
    const auto prompt_tokens = static_cast<int64_t>(call.generation.prompt.size());
    call.generation.max_tokens = std::max<int64_t>(1, capacity - prompt_tokens);
  }
  return call;
}

}  // namespace weft
