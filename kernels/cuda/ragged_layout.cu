// Lengths and offsets of documents from cu_seqlens.
#include "kernels/cuda/ragged_layout.h"

#include "kernels/cuda/launch.h"

namespace weft::cuda {
namespace {

struct Fill {
  const int32_t* cu_seqlens;  // [num_documents + 1]
  int64_t num_documents;
  int64_t num_groups, documents_per_group;
  int num_tensors;
  int64_t token_strides[RaggedLayout::kMaxTensors];
  int64_t* offsets;
  int32_t* lengths;
  int64_t offset_stride, length_stride;
};

// A thread an entry: slot `slot` of a group, where slot documents_per_group closes it.
__global__ void FillKernel(Fill f) {
  const int64_t entries = f.documents_per_group + 1;
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < f.num_groups * entries; i += stride) {
    const int64_t group = i / entries, slot = i % entries;
    const int64_t document = min(group * f.documents_per_group + slot, f.num_documents);
    const int64_t begin = f.cu_seqlens[document];
    for (int tensor = 0; tensor < f.num_tensors; ++tensor) {
      f.offsets[(group * f.num_tensors + tensor) * f.offset_stride + slot] = begin * f.token_strides[tensor];
    }
    if (slot == f.documents_per_group) continue;
    const int64_t end = f.cu_seqlens[min(document + 1, f.num_documents)];
    f.lengths[group * f.length_stride + slot] = static_cast<int32_t>(end - begin);
  }
}

}  // namespace

void FillRaggedLayout(cudaStream_t stream, const RaggedLayout& layout, const ConstTensorView& cu_seqlens,
                      void* memory) {
  Fill fill = {.cu_seqlens = cu_seqlens.data<int32_t>(),
               .num_documents = cu_seqlens.dim(0) - 1,
               .num_groups = layout.num_groups,
               .documents_per_group = layout.documents_per_group,
               .num_tensors = layout.num_tensors,
               .token_strides = {},
               .offsets = layout.offsets(memory, 0, 0),
               .lengths = layout.lengths(memory, 0),
               .offset_stride = layout.offset_stride(),
               .length_stride = layout.length_stride()};
  std::copy(layout.token_strides.begin(), layout.token_strides.end(), fill.token_strides);
  FillKernel<<<GridFor(layout.num_groups * (layout.documents_per_group + 1)), kThreads, 0, stream>>>(fill);
  WEFT_CUDA_CHECK_LAUNCH();
}

}  // namespace weft::cuda
