// The repository as text: what the structure rules read.
//
// Rules are functions from a tree to violations, so that each can be shown a planted tree and seen to fail.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace weft::structure {

struct SourceFile {
  std::string path;  // from the root, with '/'
  std::string text;

  std::string Name() const;    // "gemm.cc"
  std::string Folder() const;  // the first part of the path, "kernels"; empty for a file of the root
  bool IsCpp() const;          // .h, .cc, .cu or .cuh
  std::vector<std::string_view> Lines() const;
};
using SourceTree = std::vector<SourceFile>;

struct Violation {
  std::string path;
  int line;  // from 1; 0 where the whole file is meant
  std::string message;
};
std::ostream& operator<<(std::ostream& out, const Violation& violation);  // path:line: message

struct Include {
  std::string header;  // what stands between the quotes or brackets
  int line;
};
std::vector<Include> IncludesOf(const SourceFile& file);

// All text files below `root`, sorted by path; without build products, hidden folders but .ci, and binary files.
SourceTree ReadTree(const std::string& root);

}  // namespace weft::structure
