// The shape of files: how they open, what they are called, how long they are, and what they must not mention.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/structure/source_tree.h"

namespace weft::structure {

// Files that do not open with a comment: C++, CMake, shell, Python and YAML.
std::vector<Violation> OpeningViolations(const SourceTree& tree);

// Files named after no concept: util, common, misc, helpers.
std::vector<Violation> NameViolations(const SourceTree& tree);

// A longer file or function than the budget allows. An allowance is a debt: it names a present length, must be needed,
// and must be lowered as the thing shrinks.
struct Budget {
  int max_lines;                          // of a C++ file or function
  std::map<std::string, int> allowances;  // "path" or "path:Function" -> its length today
};
std::vector<Violation> FileLengthViolations(const SourceTree& tree, const Budget& budget);
std::vector<Violation> FunctionLengthViolations(const SourceTree& tree, const Budget& budget);

// *_test.cc files outside the folders that tests/CMakeLists.txt makes a target of.
std::vector<Violation> UntargetedTestViolations(const SourceTree& tree);

// Text that names a place on somebody's machine, such as a home folder.
std::vector<Violation> MachinePathViolations(const SourceTree& tree);

}  // namespace weft::structure
