// Preference pairs: a prompt with an answer that was chosen and one that was rejected, as TRL and LLaMA-Factory have them.
//
//   {"prompt", "chosen", "rejected"}                  three texts, or three lists of messages
//   {"chosen", "rejected"}                            two texts or lists; how both begin is the prompt
//   {"conversations", "system"?, "chosen", "rejected"}     ShareGPT messages, and the answers as one such message each
//   {"messages", "chosen", "rejected"}                the same with messages of OpenAI
//   {"instruction", "input"?, "system"?, "history"?, "chosen", "rejected"}    alpaca, and the answers as texts
#pragma once

#include "core/status.h"
#include "data/conversation.h"
#include "data/record.h"

namespace weft {

// The chosen answer's sample, which holds the rejected one's (Sample::rejected). Errors name the key that is wrong.
StatusOr<Sample> ReadPreference(const Record& record);

}  // namespace weft
