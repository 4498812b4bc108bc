// Reads the repository (see source_tree.h).
#include "tests/structure/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace weft::structure {
namespace fs = std::filesystem;
namespace {

// Build products and what a developer keeps beside the sources, which git ignores too.
bool IsIgnored(const fs::path& path) {
  static const std::vector<std::string> kIgnored = {"build", "runs", "__pycache__"};
  const std::string name = path.filename().string();
  const bool is_hidden = name.starts_with('.') && name != ".ci" && name != ".gitignore";
  return is_hidden || std::find(kIgnored.begin(), kIgnored.end(), name) != kIgnored.end();
}

std::string ReadWhole(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::string SourceFile::Name() const { return path.substr(path.rfind('/') + 1); }

std::string SourceFile::Folder() const {
  const size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

bool SourceFile::IsCpp() const {
  for (const std::string_view ending : {".h", ".cc", ".cu", ".cuh"}) {
    if (std::string_view(path).ends_with(ending)) return true;
  }
  return false;
}

std::vector<std::string_view> SourceFile::Lines() const {
  std::vector<std::string_view> lines;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

std::ostream& operator<<(std::ostream& out, const Violation& violation) {
  out << violation.path;
  if (violation.line > 0) out << ':' << violation.line;
  return out << ": " << violation.message;
}

std::vector<Include> IncludesOf(const SourceFile& file) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*[<"]([^>"]+)[>"])re");
  std::vector<Include> includes;
  int number = 0;
  for (const std::string_view line : file.Lines()) {
    ++number;
    std::match_results<std::string_view::const_iterator> match;
    if (std::regex_search(line.begin(), line.end(), match, kInclude)) includes.push_back({match[1].str(), number});
  }
  return includes;
}

SourceTree ReadTree(const std::string& root) {
  SourceTree tree;
  for (auto entry = fs::recursive_directory_iterator(root); entry != fs::recursive_directory_iterator(); ++entry) {
    if (entry->is_directory() && IsIgnored(entry->path())) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file() && !IsIgnored(entry->path())) {
      SourceFile file = {fs::relative(entry->path(), root).generic_string(), ReadWhole(entry->path())};
      const bool is_binary = file.text.find('\0') != std::string::npos;
      if (!is_binary) tree.push_back(std::move(file));
    }
  }
  std::sort(tree.begin(), tree.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return tree;
}

}  // namespace weft::structure
