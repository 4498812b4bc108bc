// What is to happen between the message of a failed check (core/check.h) and the abort: a last word to the other
// ranks.
#pragma once

#include <functional>

namespace weft {

// Called on the failing thread; the process aborts when it returns. It must not fail itself. Empty: nothing happens.
void SetFailureHandler(std::function<void()> handler);

}  // namespace weft
