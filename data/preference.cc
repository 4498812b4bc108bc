// The prompt first, then each answer behind it.
#include "data/preference.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"

namespace weft {
namespace {

using jinja::Value;

Sample MakePair(Sample chosen, Sample rejected) {
  chosen.rejected = std::make_shared<const Sample>(std::move(rejected));
  return chosen;
}

Sample UndecidedPair() {
  Sample sample;
  sample.is_undecided = true;
  return sample;
}

// --- Texts -----------------------------------------------------------------------------------------------------------

// How much of what two texts share is the prompt: up to where the assistant's last turn begins, and where nothing marks
// turns, up to the last line break. Beyond that the answers may begin with the same words.
size_t PromptLength(std::string_view shared) {
  size_t length = 0;
  for (const std::string_view marker : {"\nAssistant:", "<|im_start|>assistant\n", "[/INST]", "### Response:\n"}) {
    const size_t at = shared.rfind(marker);
    if (at != std::string_view::npos) length = std::max(length, at + marker.size());
  }
  return length > 0 ? length : shared.rfind('\n') + 1;  // npos + 1 is 0
}

bool IsBlank(std::string_view text) { return absl::StripAsciiWhitespace(ToAbsl(text)).empty(); }

StatusOr<Sample> ReadTexts(const Record& record) {
  Sample chosen{.kind = Sample::Kind::kPromptCompletion}, rejected{.kind = Sample::Kind::kPromptCompletion};
  WEFT_ASSIGN_OR_RETURN(chosen.text, record.Text("chosen"));
  WEFT_ASSIGN_OR_RETURN(rejected.text, record.Text("rejected"));
  if (chosen.text == rejected.text) return UndecidedPair();
  if (record.Has("prompt")) {
    WEFT_ASSIGN_OR_RETURN(chosen.prompt, record.Text("prompt"));
  } else {
    const auto differs = std::mismatch(chosen.text.begin(), chosen.text.end(), rejected.text.begin(), rejected.text.end());
    const size_t length = PromptLength(std::string_view(chosen.text).substr(0, differs.first - chosen.text.begin()));
    if (length == 0) {
      return UserError("there is no '", record.ColumnOf("prompt"), "', and ", record.ColumnOf("chosen"), " and ",
                       record.ColumnOf("rejected"), " share no beginning that ends with a line or with 'Assistant:'");
    }
    chosen.prompt = chosen.text.substr(0, length);
    chosen.text.erase(0, length);
    rejected.text.erase(0, length);
    if (IsBlank(chosen.text) || IsBlank(rejected.text)) return UndecidedPair();
  }
  rejected.prompt = chosen.prompt;
  return MakePair(std::move(chosen), std::move(rejected));
}

// --- Messages --------------------------------------------------------------------------------------------------------

StatusOr<bool> AreEqual(const Value& a, const Value& b) {
  jinja::Budget budget(0);
  return jinja::AreEqual(a, b, budget);
}

std::string_view RoleOf(const Value& message) { return message.AsDict()->Find("role")->AsText()->bytes(); }

// The messages of an answer: a text, a message, or a list of messages.
StatusOr<MessageList> ReadAnswer(const Value& answer) {
  MessageList list;
  if (answer.AsText() != nullptr) {
    WEFT_RETURN_IF_ERROR(list.Add("assistant", answer.AsText()->bytes()));
  } else if (answer.AsDict() != nullptr) {
    WEFT_RETURN_IF_ERROR(list.AddShareGpt(answer));
  } else if (answer.AsList() != nullptr) {
    for (size_t i = 0; i < answer.AsList()->items.size(); ++i) {
      const Status status = list.AddShareGpt(answer.AsList()->items[i]);
      if (!status.ok()) return WithContext(status, StrCat("[", i, "]"));
    }
  } else {
    return UserError("expected a text, a message or a list of messages, found ", answer.TypeName());
  }
  return list;
}

// What the record itself says stands before the answers; nothing where it leaves that to them.
StatusOr<MessageList> ReadPrompt(const Record& record) {
  MessageList list;
  const Value* prompt = record.Find("prompt");
  Status status;
  if (record.Has("conversations")) {
    status = list.AddShareGptMessages(record, "conversations");
  } else if (record.Has("messages")) {
    status = list.AddMessages(record, "messages", /*may_be_in_loss=*/false);
  } else if (record.Has("instruction")) {
    status = list.AddAlpacaPrompt(record);
  } else if (prompt != nullptr && prompt->AsList() != nullptr) {
    status = list.AddMessages(record, "prompt", /*may_be_in_loss=*/false);
  } else if (prompt != nullptr) {
    WEFT_ASSIGN_OR_RETURN(const std::string text, record.Text("prompt"));
    status = list.Add("user", text);
  }
  if (!status.ok()) return status;
  return list;
}

// With how many equal messages two lists begin, the first `skip_a` of `a` left aside.
StatusOr<size_t> CommonMessages(const MessageList& a, size_t skip_a, const MessageList& b) {
  size_t count = 0;
  for (; count < std::min(a.messages.size() - skip_a, b.messages.size()); ++count) {
    WEFT_ASSIGN_OR_RETURN(const bool equal, AreEqual(a.messages[skip_a + count], b.messages[count]));
    if (!equal) break;
  }
  return count;
}

// How many messages at the head of an answer are the last of the prompt once more.
StatusOr<size_t> RepeatedMessages(const MessageList& prompt, const MessageList& answer) {
  for (size_t skip = 0; skip < prompt.messages.size(); ++skip) {
    WEFT_ASSIGN_OR_RETURN(const size_t common, CommonMessages(prompt, skip, answer));
    if (common == prompt.messages.size() - skip) return common;
  }
  return 0;
}

// Whether answers that begin with `first` are whole conversations, not continuations of the prompt.
StatusOr<bool> AreWhole(const MessageList& prompt, const Value& first) {
  const auto is_turn = [](const Value& message) { return RoleOf(message) != "system"; };
  const auto turn = std::find_if(prompt.messages.begin(), prompt.messages.end(), is_turn);
  if (turn == prompt.messages.end() || RoleOf(first) == "system") return true;
  if (RoleOf(first) == RoleOf(prompt.messages.back())) return true;  // nobody speaks twice
  return AreEqual(*turn, first);
}

void Append(const MessageList& from, size_t begin, size_t end, MessageList* to) {
  to->messages.insert(to->messages.end(), from.messages.begin() + begin, from.messages.begin() + end);
  to->in_loss.insert(to->in_loss.end(), from.in_loss.begin() + begin, from.in_loss.begin() + end);
}

// The whole conversation up to where the answers part: of answers that are whole conversations, what both begin with,
// behind a system message that only the record's own prompt has.
StatusOr<MessageList> JoinPrompt(MessageList prompt, const MessageList& chosen, size_t num_shared) {
  if (num_shared > 0) {
    WEFT_ASSIGN_OR_RETURN(const bool are_whole, AreWhole(prompt, chosen.messages[0]));
    if (are_whole) {
      const bool keeps_system = !prompt.messages.empty() && RoleOf(prompt.messages[0]) == "system" &&
                                RoleOf(chosen.messages[0]) != "system";
      prompt.messages.resize(keeps_system ? 1 : 0);
      prompt.in_loss.resize(keeps_system ? 1 : 0);
    }
    Append(chosen, 0, num_shared, &prompt);
  }
  std::fill(prompt.in_loss.begin(), prompt.in_loss.end(), uint8_t{0});
  return prompt;
}

StatusOr<Sample> MakeAnswered(const Record& record, const std::string& key, const MessageList& prompt,
                              const MessageList& answer, size_t num_shared) {
  size_t begin = num_shared;
  if (begin == 0) {
    WEFT_ASSIGN_OR_RETURN(begin, RepeatedMessages(prompt, answer));
  }
  if (std::count(answer.in_loss.begin() + begin, answer.in_loss.end(), 1) == 0) {
    return UserError(record.ColumnOf(key), ": there is no answer of the assistant in it");
  }
  MessageList list = prompt;
  Append(answer, begin, answer.messages.size(), &list);
  WEFT_ASSIGN_OR_RETURN(const Value tools, ReadTools(record));
  return MakeConversation(std::move(list), tools);
}

StatusOr<Sample> ReadConversations(const Record& record, const Value& chosen_value, const Value& rejected_value) {
  WEFT_ASSIGN_OR_RETURN(MessageList prompt, ReadPrompt(record));
  const StatusOr<MessageList> chosen = ReadAnswer(chosen_value), rejected = ReadAnswer(rejected_value);
  if (!chosen.ok()) return WithContext(chosen.status(), record.ColumnOf("chosen"));
  if (!rejected.ok()) return WithContext(rejected.status(), record.ColumnOf("rejected"));
  WEFT_ASSIGN_OR_RETURN(const size_t num_shared, CommonMessages(*chosen, 0, *rejected));
  const bool differ = num_shared < chosen->messages.size() && num_shared < rejected->messages.size();
  if (num_shared > 0 && !differ) return UndecidedPair();
  WEFT_ASSIGN_OR_RETURN(prompt, JoinPrompt(std::move(prompt), *chosen, num_shared));
  if (prompt.messages.empty()) {
    return UserError("there is no '", record.ColumnOf("prompt"), "', and ", record.ColumnOf("chosen"), " and ",
                     record.ColumnOf("rejected"), " do not begin with the same messages");
  }
  WEFT_ASSIGN_OR_RETURN(Sample chosen_sample, MakeAnswered(record, "chosen", prompt, *chosen, num_shared));
  WEFT_ASSIGN_OR_RETURN(Sample rejected_sample, MakeAnswered(record, "rejected", prompt, *rejected, num_shared));
  return MakePair(std::move(chosen_sample), std::move(rejected_sample));
}

}  // namespace

StatusOr<Sample> ReadPreference(const Record& record) {
  const Value *chosen = record.Find("chosen"), *rejected = record.Find("rejected");
  if (chosen == nullptr) return UserError("a preference pair without a '", record.ColumnOf("chosen"), "'");
  if (rejected == nullptr) return UserError("a preference pair without a '", record.ColumnOf("rejected"), "'");
  const Value* prompt = record.Find("prompt");
  const bool are_texts = chosen->AsText() != nullptr && rejected->AsText() != nullptr &&
                         (prompt == nullptr || prompt->AsText() != nullptr) && !record.Has("conversations") &&
                         !record.Has("messages") && !record.Has("instruction");
  return are_texts ? ReadTexts(record) : ReadConversations(record, *chosen, *rejected);
}

}  // namespace weft
