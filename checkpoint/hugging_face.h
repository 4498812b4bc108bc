// Model folders in Hugging Face's layout: weights in, and whole models out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/tensor_piece.h"
#include "core/dtype.h"
#include "core/status.h"

namespace weft {

// Fills every piece (f32) from model.safetensors, or from the shards of model.safetensors.index.json, casting F32, BF16
// and F16. `pieces` must name every tensor of the model; one of no rows names a tensor without wanting any of it. Names
// may lack the prefix "model." or "transformer." in the files, as base models are saved. One error lists all that is
// missing, unused or of another shape or dtype. A copy of a tied embedding (lm_head.weight), rotary tables (inv_freq) and
// GPT-2's causal masks (attn.bias, attn.masked_bias) may lie unused.
Status LoadHuggingFacePieces(const std::string& folder, const std::vector<TensorPiece>& pieces);

struct ExportOptions {
  DType dtype = DType::kF32;                       // f32 | bf16 (rounded to nearest even)
  int64_t max_file_bytes = 5'000'000'000;          // of tensors; more than that is sharded
};

// Writes the weights of a checkpoint with config.json, generation_config.json and the tokenizer as a folder that
// transformers loads, each tensor in the orientation that it has there. Written aside (FOLDER.partial) and renamed. FOLDER
// may be absent, empty or an earlier export.
Status ExportHuggingFace(const std::string& checkpoint, const std::string& folder, const ExportOptions& options = {});

}  // namespace weft
