// Fuzzes chat templates: real ones, damaged, render conversations of several kinds.
#include "core/check.h"
#include "data/chat_template.h"
#include "data/jinja/json_value.h"
#include "tests/fuzz/mutate.h"

namespace weft {
namespace {

constexpr const char* kConversations[] = {
    R"([{"role": "user", "content": "a é 中 😀"}, {"role": "assistant", "content": "<think>x</think>b"}, {"role": "user", "content": ""}])",
    R"([{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "q"}]}])",
    R"([{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [{"type": "function",
        "function": {"name": "f", "arguments": {"x": [1, 2.5, null]}}}]}, {"role": "tool", "content": "{}"}])",
    "[]"};
constexpr char kTools[] = R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}])";

bool FuzzOne(const std::string& input) {
  const StatusOr<ChatTemplate> chat_template = ChatTemplate::Parse(input, "input", R"({"bos_token": "<s>", "eos_token": "</s>"})");
  if (!chat_template.ok()) return false;
  bool renders = false;
  for (const char* conversation : kConversations) {
    const StatusOr<jinja::Text> text = chat_template->Render({.messages = *jinja::ParseJsonValue(conversation, "messages"),
                                                              .tools = *jinja::ParseJsonValue(kTools, "tools"),
                                                              .documents = {},
                                                              .add_generation_prompt = true,
                                                              .variables = {}});
    if (!text.ok()) WEFT_CHECK_EQ(ExitCode(text.status()), 2) << text.status().message();
    renders = renders || text.ok();
  }
  return renders;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::FuzzMain(argc, argv, weft::FuzzOne); }
