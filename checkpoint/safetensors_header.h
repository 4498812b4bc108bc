// The JSON header of a safetensors file: parsed without a tree, so that duplicate keys are seen and nesting is bounded.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "core/status.h"

namespace weft {

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // as written; nothing about their values is checked yet
  std::map<std::string, std::string> metadata;
};

// Fails on anything but {"name": {"dtype", "shape", "data_offsets"}, ..., "__metadata__": {text: text}}.
StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json);

// Sorts the entries by offset and checks that they fill `data_bytes` without hole or overlap, each with just the bytes
// that its dtype and shape need.
Status CheckSafetensorsEntries(std::vector<SafetensorsEntry>* entries, uint64_t data_bytes);

}  // namespace weft
