// The engine's loop: admit, decode one token for all, deliver (see engine.h).
#include "inference/engine.h"

#include <algorithm>

namespace weft {

namespace {

// Whether the prompt holds any text: after control tokens alone (BOS) the answer is the beginning of a text.
bool HoldsText(const std::vector<int32_t>& prompt, const Tokenizer& tokenizer) {
  return std::any_of(prompt.begin(), prompt.end(), [&](int32_t id) { return !tokenizer.IsControl(id); });
}

}  // namespace

// A request that holds a slot.
struct Engine::Sequence {
  Sequence(CompletionRequest given, const Tokenizer& tokenizer)
      : request(std::move(given)), decoder(tokenizer, /*continues_text=*/HoldsText(request.prompt, tokenizer)) {}

  CompletionRequest request;
  StreamDecoder decoder;
  std::string held;         // text that may yet turn out to be the beginning of a stop string
  int64_t num_tokens = 0;   // sampled so far
  int64_t position = 0;     // of the token to decode next
  int32_t next_token = 0;
};

namespace {

// The place of the first stop string in `text`, or npos.
size_t FindStop(const std::string& text, const std::vector<std::string>& stops) {
  size_t first = std::string::npos;
  for (const std::string& stop : stops) {
    if (!stop.empty()) first = std::min(first, text.find(stop));
  }
  return first;
}

// How many bytes at the end of `text` could be the beginning of a stop string.
size_t PossibleStop(const std::string& text, const std::vector<std::string>& stops) {
  size_t longest = 0;
  for (const std::string& stop : stops) {
    for (size_t n = std::min(text.size(), stop.size()); n > longest; --n) {
      if (text.compare(text.size() - n, n, stop, 0, n) == 0) longest = n;
    }
  }
  return longest;
}

}  // namespace

Engine::Engine(std::unique_ptr<InferenceModel> model, std::shared_ptr<const Tokenizer> tokenizer,
               std::vector<int32_t> eos, int64_t max_queued)
    : model_(std::move(model)),
      tokenizer_(std::move(tokenizer)),
      eos_(std::move(eos)),
      max_queued_(max_queued),
      slots_(static_cast<size_t>(model_->num_slots())),
      thread_([this] { Loop(); }) {}

Engine::~Engine() { Stop(); }

void Engine::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status Engine::CheckRequest(const CompletionRequest& request) const {
  WEFT_RETURN_IF_ERROR(CheckSampling(request.sampling));
  const int64_t length = static_cast<int64_t>(request.prompt.size());
  if (length < 1) return UserError("the prompt is empty");
  if (request.max_tokens < 1) return UserError("max_tokens must be at least 1, got ", request.max_tokens);
  if (request.max_tokens > capacity() - length) {
    return UserError("the prompt has ", length, " tokens and max_tokens is ", request.max_tokens,
                     "; together they exceed the context of ", capacity(), " tokens");
  }
  const int64_t vocab = model_->config().vocab_size;
  for (const int32_t token : request.prompt) {
    if (token < 0 || token >= vocab) {
      return UserError("token ", token, " is out of the vocabulary of ", vocab, " tokens");
    }
  }
  return absl::OkStatus();
}

Status Engine::Submit(CompletionRequest request) {
  WEFT_RETURN_IF_ERROR(CheckRequest(request));
  std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return absl::UnavailableError("the engine has stopped");
  if (static_cast<int64_t>(waiting_.size()) >= max_queued_) {
    return absl::ResourceExhaustedError(StrCat(max_queued_, " requests are waiting already; try again later"));
  }
  waiting_.push_back(std::move(request));
  work_.notify_one();
  return absl::OkStatus();
}

void Engine::Loop() {
  while (AwaitWork()) {
    AdmitWaiting();
    DecodeOnce();
  }
  for (std::unique_ptr<Sequence>& sequence : slots_) {
    if (sequence != nullptr) DeliverText(*sequence, "", FinishReason::kCancelled);
  }
  for (CompletionRequest& request : waiting_) request.deliver({.finished = FinishReason::kCancelled});
}

// False when the engine is to stop.
bool Engine::AwaitWork() {
  std::unique_lock<std::mutex> lock(mutex_);
  const bool busy = std::any_of(slots_.begin(), slots_.end(), [](const auto& sequence) { return sequence != nullptr; });
  if (!busy) work_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  return !stopping_;
}

// Free slots take waiting requests; each prompt is read whole and gives its first token.
void Engine::AdmitWaiting() {
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot] != nullptr) continue;
    std::unique_ptr<Sequence> sequence;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (waiting_.empty()) return;
      sequence = std::make_unique<Sequence>(std::move(waiting_.front()), *tokenizer_);
      waiting_.pop_front();
    }
    if (!sequence->request.deliver({})) continue;  // cancelled while it waited
    const absl::Span<const float> logits = model_->Prefill(static_cast<int>(slot), sequence->request.prompt);
    sequence->position = static_cast<int64_t>(sequence->request.prompt.size());
    if (Advance(*sequence, logits)) slots_[slot] = std::move(sequence);
  }
}

void Engine::DecodeOnce() {
  std::vector<InferenceModel::Next> batch;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot] == nullptr) continue;
    batch.push_back({static_cast<int>(slot), slots_[slot]->next_token, slots_[slot]->position});
  }
  if (batch.empty()) return;
  const absl::Span<const float> logits = model_->Decode(batch);
  const size_t vocab = static_cast<size_t>(model_->config().vocab_size);
  for (size_t i = 0; i < batch.size(); ++i) {
    std::unique_ptr<Sequence>& sequence = slots_[static_cast<size_t>(batch[i].slot)];
    ++sequence->position;
    if (!Advance(*sequence, logits.subspan(i * vocab, vocab))) sequence.reset();
  }
}

bool Engine::Advance(Sequence& sequence, absl::Span<const float> logits) {
  const CompletionRequest& request = sequence.request;
  const int32_t token = SampleToken(request.sampling, logits, sequence.num_tokens);
  ++sequence.num_tokens;
  const bool ends = !request.ignore_eos && std::find(eos_.begin(), eos_.end(), token) != eos_.end();
  if (ends) return DeliverText(sequence, sequence.decoder.Finish(), FinishReason::kStop);
  std::string text = sequence.decoder.Add(token);
  if (sequence.num_tokens == request.max_tokens) {
    return DeliverText(sequence, text + sequence.decoder.Finish(), FinishReason::kLength);
  }
  sequence.next_token = token;
  return DeliverText(sequence, std::move(text), FinishReason::kNone);
}

// True when the sequence goes on.
bool Engine::DeliverText(Sequence& sequence, std::string text, FinishReason reason) {
  const std::vector<std::string>& stops = sequence.request.stop;
  text = sequence.held + text;
  const size_t stop_at = FindStop(text, stops);
  if (stop_at != std::string::npos) {
    text.resize(stop_at);
    reason = FinishReason::kStop;
  }
  const size_t hold = reason == FinishReason::kNone ? PossibleStop(text, stops) : 0;
  sequence.held = text.substr(text.size() - hold);
  text.resize(text.size() - hold);
  const bool wanted = sequence.request.deliver({std::move(text), reason, sequence.num_tokens});
  return wanted && reason == FinishReason::kNone;
}

}  // namespace weft
