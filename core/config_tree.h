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

struct ConfigNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  std::string text;      // of a scalar, as written, without its quotes
  bool quoted = false;   // "5" is text, 5 is a number
  std::string place;     // "tiny.yaml:3" or "--set steps=5"
  std::vector<ConfigNode> items;                            // of a list
  std::vector<std::pair<std::string, ConfigNode>> entries;  // of a map, in the order written; keys are unique

  ConfigNode* Find(std::string_view key);
  const ConfigNode* Find(std::string_view key) const { return const_cast<ConfigNode*>(this)->Find(key); }

  // Says nothing: null, or DeepSpeed's "auto".
  bool IsUnset() const;
  // For an error message: "'abc'", "null", "a list", "a section".
  std::string Describe() const;
};

// A mistake in a configuration and where it is.
struct ConfigError {
  std::string place;
  std::string message;
};

// All mistakes as one status, a line each; OK when there are none.
Status ConfigErrors(const std::vector<ConfigError>& errors);

// Adds what `from` holds to `into`. A key of both must have equal values, unless one of them says nothing; else an error
// names both places. `prefix` is the dotted path of `into`.
void MergeConfig(ConfigNode& into, const ConfigNode& from, const std::string& prefix, std::vector<ConfigError>& errors);

// Puts `value` at a dotted path, making the sections on the way.
void OverrideConfig(ConfigNode& root, std::string_view dotted_path, ConfigNode value, std::vector<ConfigError>& errors);

}  // namespace weft
