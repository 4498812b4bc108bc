// Reads and writes the bodies (see completion_api.h).
#include "inference/server/completion_api.h"

#include <ctime>
#include <limits>
#include <map>
#include <random>

#include "absl/strings/str_format.h"
#include "data/json_view.h"

namespace weft {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr size_t kMaxStops = 16;
constexpr size_t kMaxMessageBytes = 1000;
constexpr char kParamPayload[] = "weft/param";  // the field that a status is about

template <typename... Parts>
Status FieldError(std::string_view field, const Parts&... parts) {
  const std::string name(field.substr(0, 100));
  Status status = UserError(name, ": ", parts...);
  status.SetPayload(kParamPayload, absl::Cord(name));
  return status;
}

std::string Dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

// --- Reading a call --------------------------------------------------------------------------------------------------

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
      {"logprobs", {}},  {"repetition_penalty", 1}};
  if (name == "user") return true;  // a label of the client's own
  const auto found = kNeutral.find(name);
  return found != kNeutral.end() && value == found->second;
}

// Takes one field into `call`.
Status ReadField(const std::string& name, const Json& value, const Tokenizer& tokenizer, CompletionCall& call) {
  CompletionRequest& request = call.generation;
  const auto take = [](auto read, auto& to) {
    if (read.ok()) to = *std::move(read);
    return read.status();
  };
  if (name == "prompt") return take(ReadPrompt(name, value, tokenizer), request.prompt);
  if (name == "max_tokens") return take(ReadInteger(name, value), request.max_tokens);
  if (name == "temperature") return take(ReadNumber(name, value), request.sampling.temperature);
  if (name == "top_p") return take(ReadNumber(name, value), request.sampling.top_p);
  if (name == "top_k") return take(ReadInteger(name, value), request.sampling.top_k);
  if (name == "seed") return take(ReadInteger(name, value), request.sampling.seed);
  if (name == "stop") return take(ReadStops(name, value), request.stop);
  if (name == "ignore_eos") return take(ReadBool(name, value), request.ignore_eos);
  if (name == "stream") return take(ReadBool(name, value), call.stream);
  if (name == "stream_options") return take(ReadIncludeUsage(name, value), call.include_usage);
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
  status.SetPayload(kParamPayload, absl::Cord("model"));
  return status;
}

uint64_t ByChance() {
  static thread_local std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// --- Writing answers -------------------------------------------------------------------------------------------------

OrderedJson FinishReasonJson(FinishReason reason) {
  if (reason == FinishReason::kNone) return nullptr;
  return reason == FinishReason::kLength ? "length" : "stop";
}

OrderedJson ChoiceJson(std::string_view text, FinishReason reason) {
  return {{"index", 0},
          {"text", std::string(text)},
          {"logprobs", nullptr},
          {"finish_reason", FinishReasonJson(reason)}};
}

OrderedJson UsageJson(int64_t prompt_tokens, int64_t completion_tokens) {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", prompt_tokens + completion_tokens}};
}

OrderedJson CompletionJson(const std::string& id, int64_t created, const std::string& model, OrderedJson choices) {
  return {{"id", id},
          {"object", "text_completion"},
          {"created", created},
          {"model", model},
          {"choices", std::move(choices)}};
}

const char* ErrorType(int http_status) {
  switch (http_status) {
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 500:
      return "server_error";
    case 503:
      return "unavailable_error";
    default:
      return "invalid_request_error";
  }
}

}  // namespace

StatusOr<CompletionCall> ParseCompletionCall(std::string_view body, std::string_view model_name,
                                             const Tokenizer& tokenizer) {
  WEFT_ASSIGN_OR_RETURN(const Json json, ParseJson(body, "the request's body"));
  if (!json.is_object()) return UserError("the request's body: expected a JSON object");
  WEFT_RETURN_IF_ERROR(CheckModel(json, model_name));
  CompletionCall call;
  call.generation.sampling.seed = ByChance();
  for (const auto& [name, value] : json.items()) {
    if (name == "model" || value.is_null()) continue;
    WEFT_RETURN_IF_ERROR(ReadField(name, value, tokenizer, call));
  }
  if (!json.contains("prompt") || json["prompt"].is_null()) return FieldError("prompt", "is missing");
  if (!call.stream && json.contains("stream_options") && !json["stream_options"].is_null()) {
    return FieldError("stream_options", "only together with \"stream\": true");
  }
  return call;
}

int HttpStatusOf(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

std::string ErrorBody(int http_status, const Status& status) {
  const auto param = status.GetPayload(kParamPayload);
  const OrderedJson error = {{"message", std::string(ToStd(status.message()).substr(0, kMaxMessageBytes))},
                             {"type", ErrorType(http_status)},
                             {"param", param.has_value() ? OrderedJson(std::string(*param)) : OrderedJson()},
                             {"code", http_status}};
  return Dump({{"error", error}});
}

std::string HealthBody() { return Dump({{"status", "ok"}}); }

std::string ModelsBody(std::string_view model_name, int64_t created, int64_t capacity) {
  const OrderedJson model = {{"id", std::string(model_name)}, {"object", "model"}, {"created", created},
                             {"owned_by", "weft"}, {"max_model_len", capacity}};
  return Dump({{"object", "list"}, {"data", OrderedJson::array({model})}});
}

CompletionAnswer::CompletionAnswer(std::string_view model_name, int64_t prompt_tokens, bool include_usage)
    : model_name_(model_name),
      prompt_tokens_(prompt_tokens),
      include_usage_(include_usage),
      id_(absl::StrFormat("cmpl-%016x%016x", ByChance(), ByChance())),
      created_(std::time(nullptr)) {}

std::string CompletionAnswer::Body(std::string_view text, const Delivery& last) const {
  OrderedJson json = CompletionJson(id_, created_, model_name_, OrderedJson::array({ChoiceJson(text, last.finished)}));
  json["usage"] = UsageJson(prompt_tokens_, last.completion_tokens);
  return Dump(json);
}

std::string CompletionAnswer::Chunk(const Delivery& delivery) const {
  OrderedJson json =
      CompletionJson(id_, created_, model_name_, OrderedJson::array({ChoiceJson(delivery.text, delivery.finished)}));
  if (include_usage_) json["usage"] = nullptr;
  return Dump(json);
}

std::string CompletionAnswer::UsageChunk(const Delivery& last) const {
  OrderedJson json = CompletionJson(id_, created_, model_name_, OrderedJson::array());
  json["usage"] = UsageJson(prompt_tokens_, last.completion_tokens);
  return Dump(json);
}

}  // namespace weft
