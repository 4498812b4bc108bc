// The bodies that the HTTP interface answers with: completions whole and in chunks, the model, health and errors, in the
// shapes of OpenAI's API reference (legacy completions, chat completions, models, errors).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "inference/engine.h"
#include "inference/server/completion_api.h"

namespace weft {

// 400, 404, 429, 503 or 500.
int HttpStatusOf(const Status& status);
// {"error": {"message", "type", "param", "code"}}; at most 4 KB whatever the message.
std::string ErrorBody(int http_status, const Status& status);

std::string HealthBody();
std::string ModelsBody(std::string_view model_name, int64_t created, int64_t capacity);

// The answers to one call.
class CompletionAnswer {
 public:
  CompletionAnswer(CallKind kind, std::string_view model_name, int64_t prompt_tokens, bool include_usage);

  // The whole answer, after a delivery with a reason; `text` is that of all deliveries.
  std::string Body(std::string_view text, const Delivery& last) const;
  // A stream's chunks, without their framing: in a chat who speaks, then what each delivery brings, and, where it was
  // asked for, the usage. In a chat the reason for the end has a chunk of its own.
  std::optional<std::string> OpeningChunk() const;
  std::vector<std::string> Chunks(const Delivery& delivery) const;
  std::string UsageChunk(const Delivery& last) const;

 private:
  std::string ChunkOf(std::string_view text, FinishReason reason, bool opens_chat) const;

  CallKind kind_;
  std::string model_name_;
  int64_t prompt_tokens_;
  bool include_usage_;
  std::string id_;   // "cmpl-" or "chatcmpl-", and 128 bits by chance
  int64_t created_;  // seconds since 1970
};

}  // namespace weft
