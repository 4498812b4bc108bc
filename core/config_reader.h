// Reads a run's configuration: a YAML or JSON file, a DeepSpeed JSON file merged into it, and `--set a.b=c` overrides.
//
//   RunConfig config;
//   WEFT_ASSIGN_OR_RETURN(const ConfigReport report, ReadConfig({.path = "tiny.yaml", .overrides = {"steps=5"}},
//   config));
//
// JSON is YAML 1.2 (yaml.org/spec/1.2.2), so one parser reads both. Every mistake of every source is reported in one
// status, a line each: "tiny.yaml:3: optimizer.params.beta: unknown key; did you mean 'betas'?". Not goals: includes,
// variables, aliases, tags, several documents in a file. A hostile file costs bounded time and memory.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config_tree.h"
#include "core/field_reader.h"
#include "core/fields.h"
#include "core/status.h"

namespace weft {

struct ConfigSources {
  std::string path;                    // YAML or JSON
  std::string deepspeed_path;          // merged into it; a key that both hold must have equal values. Empty: none
  std::vector<std::string> overrides;  // "a.b=c", c in YAML; applied last, the last one of a key wins
};

// The sources as one tree. Errors: a file that cannot be read, or is not YAML with a section at its top.
StatusOr<ConfigTree> ReadConfigTree(const ConfigSources& sources);

// One text of YAML or JSON as a tree; `name` stands in messages as a path would.
StatusOr<ConfigTree> ParseConfigTree(const std::string& text, const std::string& name);

// Fills `root`, any struct with VisitFields, and leaves what no source names as it was. On an error `root` is
// undefined.
template <typename Struct>
StatusOr<ConfigReport> ReadConfig(const ConfigSources& sources, Struct& root) {
  WEFT_ASSIGN_OR_RETURN(ConfigTree tree, ReadConfigTree(sources));
  FieldReader reader(std::move(tree));
  root.VisitFields(reader);
  return std::move(reader).Finish();
}

}  // namespace weft
