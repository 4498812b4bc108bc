// Templates for one text; those for pairs of texts have no use in a language model and are not read.
#include "data/post_processor.h"

#include <string>
#include <utility>

#include "data/token_id.h"

namespace weft {
namespace {

// {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, ...}
StatusOr<std::vector<int32_t>> IdsOf(const JsonView& special_tokens, const std::string& name) {
  WEFT_ASSIGN_OR_RETURN(const JsonView entry, special_tokens.Get(name));
  WEFT_ASSIGN_OR_RETURN(const JsonView list, entry.Get("ids"));
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, list.Items());
  std::vector<int32_t> ids;
  for (const JsonView& item : items) {
    WEFT_ASSIGN_OR_RETURN(ids.emplace_back(), ParseTokenId(item));
  }
  return ids;
}

// {"cls": ["<s>", 0], "sep": ["</s>", 2]}: one before, the other after.
StatusOr<SpecialTokenFrame> ParseClsAndSep(const JsonView& json) {
  SpecialTokenFrame frame;
  for (const auto& [key, side] : {std::pair("cls", &frame.before), std::pair("sep", &frame.after)}) {
    WEFT_ASSIGN_OR_RETURN(const JsonView entry, json.Get(key));
    WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> pair, entry.Items());
    if (pair.size() != 2) return entry.Expected("a token and its id");
    WEFT_ASSIGN_OR_RETURN(side->emplace_back(), ParseTokenId(pair[1]));
  }
  return frame;
}

StatusOr<SpecialTokenFrame> ParseTemplate(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const JsonView special_tokens, json.Get("special_tokens"));
  WEFT_ASSIGN_OR_RETURN(const JsonView single, json.Get("single"));
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, single.Items());
  SpecialTokenFrame frame;
  int num_texts = 0;
  for (const JsonView& item : items) {
    WEFT_ASSIGN_OR_RETURN(const JsonView text, item.Get("Sequence"));
    if (!text.is_null()) {
      ++num_texts;
      continue;
    }
    WEFT_ASSIGN_OR_RETURN(const JsonView token, item.Get("SpecialToken"));
    WEFT_ASSIGN_OR_RETURN(const std::string name, token.String("id"));
    WEFT_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, IdsOf(special_tokens, name));
    std::vector<int32_t>& side = num_texts == 0 ? frame.before : frame.after;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (num_texts != 1) return single.Error("expected the text once, found it ", num_texts, " times");
  return frame;
}

}  // namespace

StatusOr<SpecialTokenFrame> ParsePostProcessor(const JsonView& json) {
  if (json.is_null()) return SpecialTokenFrame();
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.String("type"));
  if (type == "ByteLevel") return SpecialTokenFrame();
  if (type == "TemplateProcessing") return ParseTemplate(json);
  if (type == "BertProcessing" || type == "RobertaProcessing") return ParseClsAndSep(json);
  if (type != "Sequence") {
    return json.Error("post-processors of type '", type,
                      "' are not supported; supported are Sequence, TemplateProcessing, BertProcessing, "
                      "RobertaProcessing and ByteLevel");
  }
  WEFT_ASSIGN_OR_RETURN(const JsonView list, json.Get("processors"));
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, list.Items());
  SpecialTokenFrame frame;
  for (const JsonView& item : items) {
    WEFT_ASSIGN_OR_RETURN(const SpecialTokenFrame outer, ParsePostProcessor(item));
    frame.before.insert(frame.before.begin(), outer.before.begin(), outer.before.end());
    frame.after.insert(frame.after.end(), outer.after.begin(), outer.after.end());
  }
  return frame;
}

}  // namespace weft
