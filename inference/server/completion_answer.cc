// Writes the bodies (see completion_answer.h).
#include "inference/server/completion_answer.h"

#include <ctime>
#include <random>

#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace weft {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr size_t kMaxMessageBytes = 1000;

std::string Dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

OrderedJson FinishReasonJson(FinishReason reason) {
  if (reason == FinishReason::kNone) return nullptr;
  return reason == FinishReason::kLength ? "length" : "stop";
}

OrderedJson ChoiceJson(const char* key, OrderedJson said, FinishReason reason) {
  return {{"index", 0}, {key, std::move(said)}, {"logprobs", nullptr}, {"finish_reason", FinishReasonJson(reason)}};
}

OrderedJson UsageJson(int64_t prompt_tokens, int64_t completion_tokens) {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", prompt_tokens + completion_tokens}};
}

OrderedJson AnswerJson(const std::string& id, const char* object, int64_t created, const std::string& model,
                       OrderedJson choices) {
  return {{"id", id}, {"object", object}, {"created", created}, {"model", model}, {"choices", std::move(choices)}};
}

std::string IdByChance(CallKind kind) {
  static thread_local std::random_device device;
  const auto half = [] { return uint64_t{device()} << 32 | device(); };
  return absl::StrFormat("%s-%016x%016x", kind == CallKind::kChat ? "chatcmpl" : "cmpl", half(), half());
}

const char* WholeObject(CallKind kind) { return kind == CallKind::kChat ? "chat.completion" : "text_completion"; }
const char* ChunkObject(CallKind kind) { return kind == CallKind::kChat ? "chat.completion.chunk" : "text_completion"; }

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
  const auto param = status.GetPayload(kFieldPayload);
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

CompletionAnswer::CompletionAnswer(CallKind kind, std::string_view model_name, int64_t prompt_tokens, bool include_usage)
    : kind_(kind),
      model_name_(model_name),
      prompt_tokens_(prompt_tokens),
      include_usage_(include_usage),
      id_(IdByChance(kind)),
      created_(std::time(nullptr)) {}

std::string CompletionAnswer::Body(std::string_view text, const Delivery& last) const {
  const OrderedJson said = std::string(text);
  const OrderedJson message = {{"role", "assistant"}, {"content", said}, {"refusal", nullptr}};
  const OrderedJson choice = kind_ == CallKind::kChat ? ChoiceJson("message", message, last.finished)
                                                      : ChoiceJson("text", said, last.finished);
  OrderedJson json = AnswerJson(id_, WholeObject(kind_), created_, model_name_, OrderedJson::array({choice}));
  json["usage"] = UsageJson(prompt_tokens_, last.completion_tokens);
  return Dump(json);
}

std::string CompletionAnswer::ChunkOf(std::string_view text, FinishReason reason, bool opens_chat) const {
  OrderedJson choice;
  if (kind_ == CallKind::kChat) {
    OrderedJson delta = OrderedJson::object();
    if (opens_chat) delta["role"] = "assistant";
    if (opens_chat || reason == FinishReason::kNone) delta["content"] = std::string(text);
    choice = ChoiceJson("delta", std::move(delta), reason);
  } else {
    choice = ChoiceJson("text", std::string(text), reason);
  }
  OrderedJson json = AnswerJson(id_, ChunkObject(kind_), created_, model_name_, OrderedJson::array({choice}));
  if (include_usage_) json["usage"] = nullptr;
  return Dump(json);
}

std::optional<std::string> CompletionAnswer::OpeningChunk() const {
  if (kind_ != CallKind::kChat) return std::nullopt;
  return ChunkOf("", FinishReason::kNone, /*opens_chat=*/true);
}

std::vector<std::string> CompletionAnswer::Chunks(const Delivery& delivery) const {
  const bool ends = delivery.finished != FinishReason::kNone;
  if (kind_ != CallKind::kChat || !ends) return {ChunkOf(delivery.text, delivery.finished, /*opens_chat=*/false)};
  std::vector<std::string> chunks;
  if (!delivery.text.empty()) chunks.push_back(ChunkOf(delivery.text, FinishReason::kNone, /*opens_chat=*/false));
  chunks.push_back(ChunkOf("", delivery.finished, /*opens_chat=*/false));
  return chunks;
}

std::string CompletionAnswer::UsageChunk(const Delivery& last) const {
  OrderedJson json = AnswerJson(id_, ChunkObject(kind_), created_, model_name_, OrderedJson::array());
  json["usage"] = UsageJson(prompt_tokens_, last.completion_tokens);
  return Dump(json);
}

}  // namespace weft
