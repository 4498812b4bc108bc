// A served model: a Hugging Face folder with its tokenizer, in an engine.
#pragma once

#include <memory>
#include <string>

#include "inference/engine.h"

namespace weft {

StatusOr<std::unique_ptr<Engine>> LoadEngine(const std::string& folder, const InferenceModel::Options& options);

}  // namespace weft
