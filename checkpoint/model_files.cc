// Opening of single and sharded models (see model_files.h).
#include "checkpoint/model_files.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/file.h"

namespace weft {
namespace {

// tensor -> file name, of a shard table.
StatusOr<std::map<std::string, std::string>> ReadWeightMap(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::map<std::string, std::string> weight_map;
  try {
    weight_map = nlohmann::json::parse(text).at("weight_map").get<std::map<std::string, std::string>>();
  } catch (const nlohmann::json::exception& error) {
    return DataError(path, ": not a table of shards: ", error.what());
  }
  for (const auto& [tensor, file] : weight_map) {
    if (file.find('/') != std::string::npos || !file.ends_with(".safetensors")) {
      return DataError(path, ": ", tensor, ": expected the name of a safetensors file beside it, not \"", file, "\"");
    }
  }
  return weight_map;
}

}  // namespace

StatusOr<ModelFiles> ModelFiles::Open(const std::string& folder) {
  ModelFiles files;
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) return absl::NotFoundError(StrCat(folder, " is not a folder"));
  if (std::filesystem::exists(StrCat(folder, "/", kSingleFile), ignored)) {
    WEFT_RETURN_IF_ERROR(files.AddFile(StrCat(folder, "/", kSingleFile)));
  } else if (std::filesystem::exists(StrCat(folder, "/", kShardTable), ignored)) {
    WEFT_RETURN_IF_ERROR(files.AddShards(folder));
  } else {
    return absl::NotFoundError(StrCat(folder, " holds no weights: neither ", kSingleFile, " nor ", kShardTable,
                                      " is there (other formats must be converted to safetensors first)"));
  }
  return files;
}

Status ModelFiles::AddFile(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(SafetensorsFile opened, SafetensorsFile::Open(path));
  files_.push_back(std::make_unique<SafetensorsFile>(std::move(opened)));
  const SafetensorsFile& file = *files_.back();
  for (const SafetensorsEntry& entry : file.entries()) {
    const auto [slot, is_new] = tensors_.try_emplace(entry.name, Place{&file, &entry});
    if (!is_new) return DataError(path, ": ", entry.name, " is in ", slot->second.file->path(), " too");
  }
  return absl::OkStatus();
}

Status ModelFiles::AddShards(const std::string& folder) {
  WEFT_ASSIGN_OR_RETURN(const auto weight_map, ReadWeightMap(StrCat(folder, "/", kShardTable)));
  std::set<std::string> names;
  for (const auto& [tensor, file] : weight_map) names.insert(file);
  for (const std::string& name : names) WEFT_RETURN_IF_ERROR(AddFile(StrCat(folder, "/", name)));
  for (const auto& [tensor, file] : weight_map) {
    const auto place = tensors_.find(tensor);
    if (place == tensors_.end() || place->second.file->path() != StrCat(folder, "/", file)) {
      return DataError(folder, "/", file, ": lacks ", tensor, ", which ", kShardTable, " expects there");
    }
  }
  return absl::OkStatus();
}

}  // namespace weft
