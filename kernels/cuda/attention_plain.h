// Attention on CUDA by a plain kernel: every dtype and head size, and the device that cuDNN's ragged attention leaves
// out. f32 has no cuDNN kernel at all.
#pragma once

#include "core/stream.h"
#include "kernels/attention.h"

namespace weft::cuda {

// There is at least one token.
void AttentionForwardPlain(Stream& stream, const AttentionForwardArgs& args);
void AttentionBackwardPlain(Stream& stream, const AttentionBackwardArgs& args);

}  // namespace weft::cuda
