// Preference pairs: a prompt with an answer that was chosen and one that was rejected, as TRL and LLaMA-Factory have them.
//
//   {"prompt", "chosen", "rejected"}                  three texts, or three lists of messages
//   {"chosen", "rejected"}                            two texts or lists; how both begin is the prompt: whole messages, and
//                                                     of texts up to the assistant's turn ("Assistant:"), or whole lines
//   {"conversations", "system"?, "chosen", "rejected"}     ShareGPT messages, and the answers as one such message each
//   {"messages", "chosen", "rejected"}                the same with messages of OpenAI
//   {"instruction", "input"?, "system"?, "history"?, "chosen", "rejected"}    alpaca, and the answers as texts
//
// Answers may be whole conversations beside a prompt: what they repeat of it is not said twice. Pairs that do not differ,
// or of which one only goes on where the other ends, prefer nothing (Sample::is_undecided).
#pragma once

#include "core/status.h"
#include "data/conversation.h"
#include "data/record.h"

namespace weft {

// The chosen answer's sample, which holds the rejected one's (Sample::rejected). Errors name the key that is wrong.
StatusOr<Sample> ReadPreference(const Record& record);

}  // namespace weft
