// A fuzzing loop for readers of files: seeds are damaged at random and handed to a function, which must neither crash
// nor run away. tests/fuzz/run.sh builds all targets with the sanitizers and runs them.
#pragma once

#include <functional>
#include <string>

namespace weft {

// The file of the working folder that holds the input under test, for readers of files; an input that crashes stays there.
inline constexpr char kLastInput[] = "last_input";

// The main function of a target: `PROGRAM SECONDS RANDOM_SEED SEED_FILE...`. Calls body(input) for so long, each input a
// seed file with a few random damages: bytes changed, parts removed, doubled, or put in from another seed. Prints how many
// inputs there were, and how many the body took for good. An input that keeps the body for 30 s ends the process.
int FuzzMain(int argc, char** argv, const std::function<bool(const std::string&)>& body);

}  // namespace weft
