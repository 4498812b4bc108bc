// The bodies of the HTTP interface: OpenAI's completions, read and written, without any networking.
//
// Follows OpenAI's API reference (legacy completions, models, errors). Every field is either honoured or refused by its
// name: one prompt and one choice a request, no log-probabilities, penalties or biases. `top_k` and `ignore_eos` are
// the extensions that vLLM and others share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "data/tokenizer.h"
#include "inference/engine.h"

namespace weft {

// What POST /v1/completions asks for. `generation.deliver` is not set.
struct CompletionCall {
  CompletionRequest generation;
  bool stream = false;
  bool include_usage = false;  // of a stream
};

// An unknown model is NotFound, anything else wrong with `body` is InvalidArgument; ErrorBody names the field of both.
// A call without a seed gets one by chance.
StatusOr<CompletionCall> ParseCompletionCall(std::string_view body, std::string_view model_name,
                                             const Tokenizer& tokenizer);

// 400, 404, 429, 503 or 500.
int HttpStatusOf(const Status& status);
// {"error": {"message", "type", "param", "code"}}; at most 4 KB whatever the message.
std::string ErrorBody(int http_status, const Status& status);

std::string HealthBody();
std::string ModelsBody(std::string_view model_name, int64_t created, int64_t capacity);

// The answers to one call.
class CompletionAnswer {
 public:
  CompletionAnswer(std::string_view model_name, int64_t prompt_tokens, bool include_usage);

  // The whole answer, after a delivery with a reason; `text` is that of all deliveries.
  std::string Body(std::string_view text, const Delivery& last) const;
  // A stream's chunks, without their framing: one a delivery, then, where it was asked for, the usage.
  std::string Chunk(const Delivery& delivery) const;
  std::string UsageChunk(const Delivery& last) const;

 private:
  std::string model_name_;
  int64_t prompt_tokens_;
  bool include_usage_;
  std::string id_;   // "cmpl-" and 128 bits by chance
  int64_t created_;  // seconds since 1970
};

}  // namespace weft
