// Fuzzes the readers of JSON: documents as such, models' config.json, and what clients send to the server.
#include "core/check.h"
#include "data/jinja/json_value.h"
#include "data/json_view.h"
#include "inference/server/completion_api.h"
#include "model/config.h"
#include "tests/fuzz/mutate.h"

namespace weft {
namespace {

bool FuzzOne(const std::string& input) {
  jinja::ParseJsonValue(input, "input").IgnoreError();
  static const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::ByteLevel();
  ParseCompletionCall(input, "model", *tokenizer).IgnoreError();
  static const StatusOr<ChatTemplate> chat_template = ChatTemplate::Parse(
      "{% for m in messages %}{{ m.role + m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{% endfor %}{{ enable_thinking }}", "t", "");
  ParseChatCall(input, "model", *tokenizer, chat_template, 1000).IgnoreError();
  const StatusOr<nlohmann::json> json = ParseJson(input, "input");
  if (!json.ok()) return false;
  const StatusOr<ModelConfig> config = ModelConfigFromJson(*json, "input");
  if (!config.ok()) return true;
  WEFT_CHECK_GT(NumParameters(*config), 0);
  const nlohmann::json written = ModelConfigToJson(*config);
  WEFT_CHECK_OK(ModelConfigFromJson(written, "written"));
  return true;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::FuzzMain(argc, argv, weft::FuzzOne); }
