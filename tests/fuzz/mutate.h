// A fuzzing loop for readers of files: seeds are damaged at random and handed to a function, which must neither crash
// nor run away. Build it with the sanitizers: cmake --preset asan && ninja -C build/asan weft_tokenizer_fuzz
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weft {

// Calls body(input) for `seconds`, each input a seed with a few random damages: bytes changed, parts removed, doubled,
// or put in from another seed. Prints how many there were. An input that crashes lies in the file `last_input` of the
// working folder.
void FuzzFor(double seconds, const std::vector<std::string>& seeds, const std::function<void(const std::string&)>& body);

}  // namespace weft
