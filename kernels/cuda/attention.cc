// Attention on CUDA: cuDNN's fused kernels where they apply (attention_cudnn.h says where), else the plain one, which
// is right but slow (attention_plain.h). Both leave the same lse, so backward may take another way than forward did.
#include "kernels/attention.h"

#include "kernels/cuda/attention_cudnn.h"
#include "kernels/cuda/attention_plain.h"

namespace weft::cuda {

void AttentionForward(Stream& stream, const AttentionForwardArgs& args) {
  if (args.q.rows.dim(0) == 0) return;  // nothing but empty documents
  if (!AttentionForwardCudnn(stream, args)) AttentionForwardPlain(stream, args);
}

void AttentionBackward(Stream& stream, const AttentionBackwardArgs& args) {
  if (args.q.rows.dim(0) == 0) return;  // nothing but empty documents
  if (!AttentionBackwardCudnn(stream, args)) AttentionBackwardPlain(stream, args);
}

}  // namespace weft::cuda
