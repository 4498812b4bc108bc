// The calls of the HTTP interface, read without any networking: a text to continue (POST /v1/completions) and a
// conversation to answer (POST /v1/chat/completions).
//
// Follows OpenAI's API reference (legacy completions, chat completions). Every field is either honoured or refused by its
// name: one prompt and one choice a request, no log-probabilities, penalties, biases or tools. `top_k`, `ignore_eos` and
// `chat_template_kwargs` are the extensions that vLLM and others share.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/status.h"
#include "data/chat_template.h"
#include "data/tokenizer.h"
#include "inference/engine.h"

namespace weft {

// The payload of an error's status that names the field it is about.
inline constexpr char kFieldPayload[] = "weft/field";

enum class CallKind : uint8_t { kText, kChat };

// What a call asks for. `generation.deliver` is not set.
struct CompletionCall {
  CallKind kind = CallKind::kText;
  CompletionRequest generation;
  bool stream = false;
  bool include_usage = false;  // of a stream
};

// An unknown model is NotFound, anything else wrong with `body` is InvalidArgument, with the field as payload of both.
// A call without a seed gets one by chance; what else of sampling it leaves open is as in `defaults`.
StatusOr<CompletionCall> ParseCompletionCall(std::string_view body, std::string_view model_name,
                                             const Tokenizer& tokenizer, const SamplingOptions& defaults = {});

// The same for a conversation, read as `weft data prepare` reads messages and rendered by the template that training
// renders by: control tokens come from the template alone. Without a limit the answer may fill the context, `capacity`.
StatusOr<CompletionCall> ParseChatCall(std::string_view body, std::string_view model_name, const Tokenizer& tokenizer,
                                       const StatusOr<ChatTemplate>& chat_template, int64_t capacity,
                                       const SamplingOptions& defaults = {});

}  // namespace weft
