// Token ids as files give them: at most kTokenIdLimit, since tables of all ids are made (the largest vocabularies known
// have 2^18).
#pragma once

#include <cstdint>

#include "core/status.h"
#include "data/json_view.h"

namespace weft {

inline constexpr int64_t kTokenIdLimit = int64_t{1} << 21;

inline StatusOr<int32_t> ParseTokenId(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const int64_t id, json.Integer());
  if (id < 0 || id >= kTokenIdLimit) return json.Error("the id ", id, " is out of range");
  return static_cast<int32_t>(id);
}

}  // namespace weft
