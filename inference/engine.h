// Engine: answers completion requests, several at once, with continuous batching (Yu et al., "Orca", 2022): between any
// two tokens new requests join and finished ones leave.
//
// One thread of its own runs the model; requests come from any thread. Texts are delivered from the engine's thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "data/tokenizer.h"
#include "inference/model.h"
#include "inference/sampler.h"

namespace weft {

enum class FinishReason : uint8_t { kNone, kStop, kLength, kCancelled };

// Something new for a request. The last one has a reason.
struct Delivery {
  std::string text;  // UTF-8, whole code points; may be empty
  FinishReason finished = FinishReason::kNone;
  int64_t completion_tokens = 0;  // so far
};

struct CompletionRequest {
  std::vector<int32_t> prompt;    // at least one token
  int64_t max_tokens = 16;
  SamplingOptions sampling;
  std::vector<std::string> stop;  // the text ends before any of these
  bool ignore_eos = false;
  // Called from the engine's thread, in order, until a delivery with a reason: before the prompt is read, and after
  // every token, with or without text. Returning false cancels the request: nothing more is delivered.
  std::function<bool(const Delivery&)> deliver;
};

class Engine {
 public:
  // `max_queued` requests wait at most; `eos` ids end a text.
  Engine(std::unique_ptr<InferenceModel> model, std::shared_ptr<const Tokenizer> tokenizer, std::vector<int32_t> eos,
         int64_t max_queued = 1024);
  ~Engine();  // stops

  // Refuses a prompt that leaves no room in the context, tokens that the model lacks, bad sampling options
  // (InvalidArgument), a full queue (ResourceExhausted), and everything once the engine has stopped (Unavailable).
  Status Submit(CompletionRequest request);

  // Cancels what is under way and returns when the engine's thread has ended. Not from `deliver`.
  void Stop();

  int64_t capacity() const { return model_->capacity(); }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  struct Sequence;
  void Loop();
  bool AwaitWork();
  void AdmitWaiting();
  void DecodeOnce();
  // Takes the next token of a sequence from its logits; false when it has ended.
  bool Advance(Sequence& sequence, absl::Span<const float> logits);
  bool DeliverText(Sequence& sequence, std::string text, FinishReason reason);
  Status CheckRequest(const CompletionRequest& request) const;

  std::unique_ptr<InferenceModel> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  const std::vector<int32_t> eos_;
  const int64_t max_queued_;

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<CompletionRequest> waiting_;
  bool stopping_ = false;

  std::vector<std::unique_ptr<Sequence>> slots_;  // by slot; null where free. The engine's thread alone
  std::thread thread_;
};

}  // namespace weft
