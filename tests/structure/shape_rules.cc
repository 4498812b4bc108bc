// The checks of shape_rules.h.
#include "tests/structure/shape_rules.h"

#include <regex>
#include <set>
#include <utility>

#include "tests/structure/function_lengths.h"

namespace weft::structure {
namespace {

bool EndsWithAny(std::string_view path, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (path.ends_with(ending)) return true;
  }
  return false;
}

// The words a comment may begin with in this kind of file; empty where none is asked for.
std::vector<std::string_view> CommentOpeners(const SourceFile& file) {
  if (file.IsCpp()) return {"// ", "/* "};
  if (file.path.ends_with(".py")) return {"# ", "\"\"\""};
  if (EndsWithAny(file.path, {"CMakeLists.txt", ".cmake", ".sh", ".yaml"}) || file.text.starts_with("#!")) return {"# "};
  return {};
}

// One thing with a length, measured against a budget.
struct Measured {
  std::string key;  // as in Budget::allowances
  std::string path;
  int line;
  int num_lines;
};

std::vector<Violation> BudgetViolations(const std::vector<Measured>& all, const Budget& budget) {
  constexpr int kSlack = 10;  // lines an allowance may exceed what it allows
  std::vector<Violation> violations;
  std::set<std::string> unused;
  for (const auto& [key, lines] : budget.allowances) unused.insert(key);
  for (const Measured& it : all) {
    const auto allowance = budget.allowances.find(it.key);
    const bool is_allowed = allowance != budget.allowances.end();
    const int limit = is_allowed ? allowance->second : budget.max_lines;
    const std::string size = it.key + " has " + std::to_string(it.num_lines) + " lines";
    if (it.num_lines > limit) {
      violations.push_back({it.path, it.line, size + ", " + std::to_string(limit) + " are allowed: split it"});
    } else if (is_allowed && it.num_lines > budget.max_lines && it.num_lines + kSlack < limit) {
      violations.push_back({it.path, it.line, size + ": lower its allowance of " + std::to_string(limit)});
    }
    if (it.num_lines > budget.max_lines) unused.erase(it.key);
  }
  for (const std::string& key : unused) violations.push_back({key, 0, "needs no allowance any more: remove it"});
  return violations;
}

}  // namespace

std::vector<Violation> OpeningViolations(const SourceTree& tree) {
  std::vector<Violation> violations;
  for (const SourceFile& file : tree) {
    std::vector<std::string_view> lines = file.Lines();
    if (!lines.empty() && lines[0].starts_with("#!")) lines.erase(lines.begin());
    const std::vector<std::string_view> openers = CommentOpeners(file);
    bool opens_well = openers.empty() || file.text.empty();
    for (const std::string_view opener : openers) {
      opens_well |= !lines.empty() && lines[0].starts_with(opener) && lines[0].size() >= 20;
    }
    if (!opens_well) violations.push_back({file.path, 1, "does not open with a comment that says what it is"});
  }
  return violations;
}

std::vector<Violation> NameViolations(const SourceTree& tree) {
  static const std::regex kNoConcept("(^|/|_|-)(utils?|utilities|common|misc|helpers?)(_|-|\\.|/|$)");
  std::vector<Violation> violations;
  for (const SourceFile& file : tree) {
    if (std::regex_search(file.path, kNoConcept)) {
      violations.push_back({file.path, 0, "is named after no concept; say what it holds"});
    }
  }
  return violations;
}

std::vector<Violation> FileLengthViolations(const SourceTree& tree, const Budget& budget) {
  std::vector<Measured> all;
  for (const SourceFile& file : tree) {
    if (file.IsCpp()) all.push_back({file.path, file.path, 0, static_cast<int>(file.Lines().size())});
  }
  return BudgetViolations(all, budget);
}

std::vector<Violation> FunctionLengthViolations(const SourceTree& tree, const Budget& budget) {
  std::vector<Measured> all;
  for (const SourceFile& file : tree) {
    if (!file.IsCpp()) continue;
    for (const Function& function : FunctionsOf(file)) {
      all.push_back({file.path + ":" + function.name, file.path, function.line, function.num_lines});
    }
  }
  return BudgetViolations(all, budget);
}

std::vector<Violation> UntargetedTestViolations(const SourceTree& tree) {
  static const std::regex kTarget("(^|\n)weft_test\\((\\w+)");
  std::set<std::string> folders;
  for (const SourceFile& file : tree) {
    if (file.path != "tests/CMakeLists.txt") continue;
    for (auto it = std::sregex_iterator(file.text.begin(), file.text.end(), kTarget); it != std::sregex_iterator(); ++it) {
      folders.insert("tests/" + (*it)[2].str() + "/");
    }
  }
  std::vector<Violation> violations;
  for (const SourceFile& file : tree) {
    if (!file.path.ends_with("_test.cc")) continue;
    const size_t second_slash = file.path.find('/', file.path.find('/') + 1);
    const bool is_targeted = second_slash != std::string::npos && folders.contains(file.path.substr(0, second_slash + 1));
    if (!is_targeted) violations.push_back({file.path, 0, "is in no target of tests/CMakeLists.txt, so it never runs"});
  }
  return violations;
}

std::vector<Violation> MachinePathViolations(const SourceTree& tree) {
  static const std::regex kMachinePath("(^|[^\\w.])/(home|root|Users|work|mnt|scratch)/");
  std::vector<Violation> violations;
  for (const SourceFile& file : tree) {
    int number = 0;
    for (const std::string_view line : file.Lines()) {
      ++number;
      if (std::regex_search(line.begin(), line.end(), kMachinePath)) {
        violations.push_back({file.path, number, "names a place on one machine"});
      }
    }
  }
  return violations;
}

}  // namespace weft::structure
