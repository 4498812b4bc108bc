// ModelFiles: the safetensors files of a model folder as one table of tensors.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "core/status.h"

namespace weft {

inline constexpr char kSingleFile[] = "model.safetensors";
inline constexpr char kShardTable[] = "model.safetensors.index.json";

class ModelFiles {
 public:
  // Opens model.safetensors or, in its absence, every file of model.safetensors.index.json. Fails on a tensor that two
  // files hold, or that the index expects in a file that lacks it.
  static StatusOr<ModelFiles> Open(const std::string& folder);

  struct Place {
    const SafetensorsFile* file;
    const SafetensorsEntry* entry;
    std::string_view data() const { return file->Data(*entry); }
  };
  const std::map<std::string, Place>& tensors() const { return tensors_; }

 private:
  Status AddFile(const std::string& path);
  Status AddShards(const std::string& folder);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> tensors_;
};

}  // namespace weft
