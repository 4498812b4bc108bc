// Finds the functions of a C++ file and their lengths, by matching braces: no parser, but good enough for a budget.
#pragma once

#include <string>
#include <vector>

#include "tests/structure/source_tree.h"

namespace weft::structure {

struct Function {
  std::string name;  // the word before its first parenthesis; "Store::Load", "TEST"
  int line;          // of its first line, from 1
  int num_lines;     // to the closing brace, both counted
};

// Functions at namespace or class scope, in order. A lambda belongs to the function around it.
std::vector<Function> FunctionsOf(const SourceFile& file);

// The text with comments, literals, preprocessor lines and #else branches blanked; line breaks stay.
std::string BlankNonCode(const std::string& text);

}  // namespace weft::structure
