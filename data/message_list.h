// MessageList: collects the messages of a conversation in the form that chat templates take, from the forms that data
// sets have.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "data/jinja/value.h"
#include "data/record.h"

namespace weft {

class MessageList {
 public:
  // The loss counts messages of the assistant.
  Status Add(std::string_view role, std::string_view content);
  // {"role", "content", "tool_calls"?, "weight"?}, as OpenAI has them; contents may be lists of parts that are texts. In
  // the loss where it `may_be`, is the assistant's and has no weight of 0.
  Status AddMessage(const jinja::Value& message, bool may_be_in_loss);
  // {"from", "value"} of ShareGPT, or a message as above. What is from function_call becomes tool_calls where it is JSON of
  // calls, else it stays a text.
  Status AddShareGpt(const jinja::Value& message);
  // Those of a list in the record; errors name key and index.
  Status AddMessages(const Record& record, const std::string& key, bool may_be_in_loss);
  Status AddShareGptMessages(const Record& record, const std::string& key);  // the record's `system` before them
  // system, history, instruction and input: all of an alpaca record but its answer.
  Status AddAlpacaPrompt(const Record& record);

  std::vector<jinja::Value> messages;  // dicts
  std::vector<uint8_t> in_loss;        // [messages]

 private:
  Status AddCalls(std::vector<jinja::Value> calls);  // a message of the assistant
};

// The record's tools: a list, or JSON of a list in a string; none where there are no tools.
StatusOr<jinja::Value> ReadTools(const Record& record);

}  // namespace weft
