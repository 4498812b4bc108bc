// The JSON files of an exported model folder, made from what a checkpoint keeps of its model and tokenizer.
#pragma once

#include <map>
#include <string>

#include "checkpoint/checkpoint.h"
#include "core/dtype.h"

namespace weft {

inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kGenerationConfigFile[] = "generation_config.json";
inline constexpr char kTokenizerFile[] = "tokenizer.json";
inline constexpr char kTokenizerModelFile[] = "tokenizer.model";  // of SentencePiece, in place of tokenizer.json
inline constexpr char kTokenizerConfigFile[] = "tokenizer_config.json";
inline constexpr char kTableFile[] = "table.yaml";  // weft's own: `weft data render` reads it

using ModelFolderTexts = std::map<std::string, std::string>;  // file name -> contents

// config.json is the checkpoint's with the dtype of the export; generation_config.json has the special ids of
// config.json or else of the tokenizer, and all else as the model had it that the run began with; the tokenizer's files and
// table.yaml are as they were, and absent where the checkpoint has none.
StatusOr<ModelFolderTexts> MakeModelFolderTexts(const CheckpointInfo& info, DType dtype);

// model.safetensors.index.json. weight_map: tensor -> file name.
std::string ShardTableText(const std::map<std::string, std::string>& weight_map, int64_t total_bytes);

}  // namespace weft
