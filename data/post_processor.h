// Post-processors of tokenizer.json: the tokens put before and after a text (BOS, for most). Kinds: Sequence,
// TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel (which only moves offsets); others are refused by
// name.
#pragma once

#include <cstdint>
#include <vector>

#include "core/status.h"
#include "data/json_view.h"

namespace weft {

struct SpecialTokenFrame {
  std::vector<int32_t> before, after;
};

// Of `json` null: an empty frame.
StatusOr<SpecialTokenFrame> ParsePostProcessor(const JsonView& json);

}  // namespace weft
