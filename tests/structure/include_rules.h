// Who may include what: the arrows between folders, and the places third-party headers are confined to.
//
// The two tables in include_rules.cc are the ones of docs/design.md, "The house". Drawing a new arrow means changing
// both, in one commit that says why.
#pragma once

#include <vector>

#include "tests/structure/source_tree.h"

namespace weft::structure {

// Includes of a folder that the including folder may not use. Nobody includes tests, examples or bench.
std::vector<Violation> ArrowViolations(const SourceTree& tree);

// Includes of a confined third-party header outside its place.
std::vector<Violation> ConfinementViolations(const SourceTree& tree);

}  // namespace weft::structure
