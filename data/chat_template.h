// ChatTemplate: conversations to text, exactly as Hugging Face's apply_chat_template renders them, for training and for
// serving alike: two renderers that differ are why models behave otherwise when served than when trained.
//
// The text that comes back knows where each byte came from (data/jinja/text.h): the template itself, or which message.
// data/chat_tokens.h makes tokens and a loss mask of that.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "data/jinja/text.h"
#include "data/jinja/value.h"

namespace weft {

// The sources that a rendered text names in its marks (jinja::Origin::source).
inline constexpr int32_t kFromTemplate = 0;
inline constexpr int32_t kFromOtherData = 1;  // tools, documents, unusual roles, names, keys of messages
inline constexpr int32_t kFromFirstMessage = 2;  // and on: what message i says has source 2 + i

// How many of the messages say something (a content, tool calls) of which a template has written nothing at all.
int64_t CountUnsaid(const jinja::Value& messages, const jinja::Text& rendered);

struct ChatInput {
  jinja::Value messages;          // a list of dicts with "role" and most often "content"
  jinja::Value tools, documents;  // lists, or none
  bool add_generation_prompt = false;
  // A system message that the template leaves out goes in front of the first user's message, on lines of its own, as
  // llama.cpp serves such models; else it is lost, as with Hugging Face.
  bool keep_system = false;
  std::vector<std::pair<std::string, jinja::Value>> variables;  // others, such as enable_thinking
  std::time_t now = 0;            // what strftime_now tells, in local time
};

class ChatTemplate {
 public:
  // `tokenizer_config_json` (may be empty) names bos_token and the like, which templates write. `name` stands in errors.
  static StatusOr<ChatTemplate> Parse(const std::string& source, const std::string& name,
                                      const std::string& tokenizer_config_json);
  // The template that belongs to a model: chat_template.jinja in `folder` (may be empty), else the chat_template of
  // tokenizer_config.json, where a list of templates is taken by its entry "default".
  static StatusOr<ChatTemplate> OfModel(const std::string& folder, const std::string& tokenizer_config_json);
  // `tokenizer_config_json` (may be empty) with this as its chat template: what OfModel then finds, and transformers too.
  // Unchanged where it has it already.
  StatusOr<std::string> IntoConfig(const std::string& tokenizer_config_json) const;
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // Thread-safe. Errors begin with the template's name and line, be they the template's refusal of the conversation
  // (raise_exception) or a limit on time and memory (data/jinja/budget.h).
  StatusOr<jinja::Text> Render(const ChatInput& input) const;

  // What a prompt ends with so that the assistant speaks next; empty where the template has no such text, or where asking
  // for it changes what stands before it. Renders a question twice.
  std::string GenerationPrompt() const;

  // Whether Render sets this variable itself (messages, bos_token, ...), so that no client's may take its place.
  static bool Sets(std::string_view variable);

  const std::string& name() const;
  const std::string& source() const;
  // Whether the template says by {% generation %} what the assistant wrote.
  bool marks_generation() const;
  bool mentions_date() const;  // strftime_now

 private:
  StatusOr<jinja::Text> RenderMarked(const jinja::Value& messages, const ChatInput& input) const;

  struct Parts;
  explicit ChatTemplate(std::unique_ptr<const Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

}  // namespace weft
