// Attention on CUDA by cuDNN's fused kernels: bf16, heads whose size is a multiple of 16 up to 128, tensors that begin
// and step in multiples of 16 bytes, on GPUs for which cuDNN has ragged attention (Hopper and later; Ampere from
// cuDNN 9.18 forward only).
#pragma once

#include "core/stream.h"
#include "kernels/attention.h"

namespace weft::cuda {

// There is at least one token. False, with nothing issued, where cuDNN does not take the call; said once in the log for each shape it refuses.
bool AttentionForwardCudnn(Stream& stream, const AttentionForwardArgs& args);
bool AttentionBackwardCudnn(Stream& stream, const AttentionBackwardArgs& args);

}  // namespace weft::cuda
