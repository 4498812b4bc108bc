// The prompt first, then each answer behind it.
#include "data/preference.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

using jinja::Value;

Sample MakePair(Sample chosen, Sample rejected) {
  chosen.rejected = std::make_shared<const Sample>(std::move(rejected));
  return chosen;
}

// How two texts begin alike: whole characters, and without a last space, which tokenizers join with what follows.
size_t CommonPrefix(std::string_view a, std::string_view b) {
  const auto differs = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  size_t length = static_cast<size_t>(differs.first - a.begin());
  const auto is_inside_character = [&](std::string_view text) {
    return length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80;
  };
  while (length > 0 && (is_inside_character(a) || is_inside_character(b))) --length;
  return length > 0 && a[length - 1] == ' ' ? length - 1 : length;
}

StatusOr<Sample> ReadTexts(const Record& record) {
  Sample chosen{.kind = Sample::Kind::kPromptCompletion}, rejected{.kind = Sample::Kind::kPromptCompletion};
  WEFT_ASSIGN_OR_RETURN(chosen.text, record.Text("chosen"));
  WEFT_ASSIGN_OR_RETURN(rejected.text, record.Text("rejected"));
  if (record.Has("prompt")) {
    WEFT_ASSIGN_OR_RETURN(chosen.prompt, record.Text("prompt"));
  } else {
    const size_t length = CommonPrefix(chosen.text, rejected.text);
    if (length == 0 || length == chosen.text.size() || length == rejected.text.size()) {
      return UserError("there is no '", record.ColumnOf("prompt"), "', and ", record.ColumnOf("chosen"), " and ",
                       record.ColumnOf("rejected"), " do not begin alike and then differ");
    }
    chosen.prompt = chosen.text.substr(0, length);
    chosen.text.erase(0, length);
    rejected.text.erase(0, length);
  }
  rejected.prompt = chosen.prompt;
  return MakePair(std::move(chosen), std::move(rejected));
}

const std::vector<Value>* ItemsOfList(const Value& value) {
  return value.AsList() == nullptr ? nullptr : &value.AsList()->items;
}

// With how many equal messages two lists begin; 0 where they are no lists.
StatusOr<size_t> CommonMessages(const Value& chosen, const Value& rejected) {
  const std::vector<Value>*a = ItemsOfList(chosen), *b = ItemsOfList(rejected);
  if (a == nullptr || b == nullptr) return 0;
  jinja::Budget budget(0);
  size_t count = 0;
  for (; count < std::min(a->size(), b->size()); ++count) {
    WEFT_ASSIGN_OR_RETURN(const bool equal, jinja::AreEqual((*a)[count], (*b)[count], budget));
    if (!equal) break;
  }
  return count;
}

// Adds an answer: a text, a message, or a list of messages of which the first `num_before` belong to the prompt.
Status AddAnswer(const Value& answer, size_t num_before, MessageList* list) {
  const size_t num_prompt = list->messages.size();
  if (answer.AsText() != nullptr) return list->Add("assistant", answer.AsText()->bytes());
  if (answer.AsDict() != nullptr) {
    WEFT_RETURN_IF_ERROR(list->AddShareGpt(answer));
  } else if (const std::vector<Value>* items = ItemsOfList(answer); items != nullptr) {
    for (size_t i = num_before; i < items->size(); ++i) {
      const Status status = list->AddShareGpt((*items)[i]);
      if (!status.ok()) return WithContext(status, StrCat("[", i, "]"));
    }
  } else {
    return UserError("expected a text, a message or a list of messages, found ", answer.TypeName());
  }
  const bool speaks = std::count(list->in_loss.begin() + static_cast<ptrdiff_t>(num_prompt), list->in_loss.end(), 1) > 0;
  return speaks ? absl::OkStatus() : UserError("there is no answer of the assistant in it");
}

// What stands before the answers, and how many messages of each list of answers belong to it.
StatusOr<size_t> ReadPrompt(const Record& record, MessageList* list) {
  const Value* prompt = record.Find("prompt");
  Status status;
  size_t num_before = 0;
  if (record.Has("conversations")) {
    status = list->AddShareGptMessages(record, "conversations");
  } else if (record.Has("messages")) {
    status = list->AddMessages(record, "messages", /*may_be_in_loss=*/false);
  } else if (record.Has("instruction")) {
    status = list->AddAlpacaPrompt(record);
  } else if (prompt != nullptr && prompt->AsList() != nullptr) {
    status = list->AddMessages(record, "prompt", /*may_be_in_loss=*/false);
  } else {
    const Value &chosen = *record.Find("chosen"), &rejected = *record.Find("rejected");
    WEFT_ASSIGN_OR_RETURN(num_before, CommonMessages(chosen, rejected));
    for (size_t i = 0; i < num_before; ++i) WEFT_RETURN_IF_ERROR(list->AddShareGpt(chosen.AsList()->items[i]));
    if (num_before == 0 && prompt != nullptr) {
      WEFT_ASSIGN_OR_RETURN(const std::string text, record.Text("prompt"));
      status = list->Add("user", text);
    }
  }
  if (status.ok() && list->messages.empty()) {
    return UserError("there is no '", record.ColumnOf("prompt"), "', and ", record.ColumnOf("chosen"), " and ",
                     record.ColumnOf("rejected"), " do not begin with the same messages");
  }
  std::fill(list->in_loss.begin(), list->in_loss.end(), uint8_t{0});
  if (!status.ok()) return status;
  return num_before;
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
  if (are_texts) return ReadTexts(record);
  MessageList list;
  WEFT_ASSIGN_OR_RETURN(const size_t num_before, ReadPrompt(record, &list));
  WEFT_ASSIGN_OR_RETURN(const Value tools, ReadTools(record));
  MessageList rejected_list = list;
  Status status = AddAnswer(*chosen, num_before, &list);
  if (!status.ok()) return WithContext(status, record.ColumnOf("chosen"));
  status = AddAnswer(*rejected, num_before, &rejected_list);
  if (!status.ok()) return WithContext(status, record.ColumnOf("rejected"));
  WEFT_ASSIGN_OR_RETURN(Sample chosen_sample, MakeConversation(std::move(list), tools));
  WEFT_ASSIGN_OR_RETURN(Sample rejected_sample, MakeConversation(std::move(rejected_list), tools));
  return MakePair(std::move(chosen_sample), std::move(rejected_sample));
}

}  // namespace weft
