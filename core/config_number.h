// Numbers as people write them in configurations: 5, -1e-5, 5e8, 1_000_000.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

// A finite decimal number; underscores may stand between digits. False for anything else, also for inf and nan.
bool ParseNumber(std::string_view text, double* value);

// The same for a whole number that fits: "5e8" and "5.0" are whole, and digits alone are exact to the last.
bool ParseNumber(std::string_view text, int64_t* value);

// The shortest text that ParseNumber reads back as the same double.
std::string PrintNumber(double value);

}  // namespace weft
