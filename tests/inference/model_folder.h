// Writes a tiny random model as a Hugging Face folder, with the byte-level tokenizer: something to serve in tests.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"

namespace weft {

// TinyConfig of tests/model/tiny_model.h with a token a byte and a context of 64.
ModelConfig ServableConfig(const std::string& model_type = "llama");
// Makes config.json, model.safetensors and the tokenizer in `folder`, which exists. The weights come from `seed`.
void WriteModelFolder(const std::string& folder, const ModelConfig& config, uint64_t seed = 7);

}  // namespace weft
