// A configuration as a tree of keys, each knowing where it was written, before any struct gives it a meaning.
//
// Why not yaml-cpp's nodes: they keep duplicate keys silently, expand aliases, and forget whether a scalar was quoted.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"

namespace weft {

struct ConfigPlace {
  std::string source{};  // a file's path, or "--set steps=5"
  int line = 0;          // from 1; 0 where the source has no lines

  std::string ToString() const;  // "tiny.yaml:3"
};

struct ConfigNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  ConfigPlace place{};
  std::string text{};                                         // of a scalar, without its quotes
  bool quoted = false;                                        // "5" is text, 5 is a number
  std::vector<ConfigNode> items{};                            // of a list
  std::vector<std::pair<std::string, ConfigNode>> entries{};  // of a map, in the order written; keys are unique

  const ConfigNode* Find(std::string_view key) const;
  ConfigNode* Find(std::string_view key);

  bool IsScalar(std::string_view value) const { return kind == Kind::kScalar && text == value; }
  // Says nothing: null, or DeepSpeed's "auto".
  bool IsUnset() const { return kind == Kind::kNull || IsScalar("auto"); }
  // For an error message: "'abc'", "null", "a list", "a section".
  std::string Describe() const;
};

// A mistake in a configuration. The place may be empty.
struct ConfigError {
  ConfigPlace place;
  std::string message;  // "optimizer.params.lr: expected a number, got 'fast'"
};

// All mistakes as one status, a line each in the order of their places; OK when there are none.
Status AsStatus(std::vector<ConfigError> errors);

// What the sources hold, with the mistakes that do not keep us from looking for more.
struct ConfigTree {
  ConfigNode root;
  std::vector<ConfigError> errors;

  void Fail(const ConfigPlace& at, std::string message) { errors.push_back(ConfigError{at, std::move(message)}); }
};

// Adds what `from` holds to the tree. A key of both must have equal values, unless one of them says nothing; else the
// error names both places.
void MergeConfig(ConfigTree& into, const ConfigNode& from);

// Puts `value` at a dotted path in place of what is there, making the sections on the way. Entries of a list that is
// there go by their number, from 0.
void OverrideConfig(ConfigTree& tree, std::string_view dotted_path, ConfigNode value);

}  // namespace weft
