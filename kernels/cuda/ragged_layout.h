// Where documents of a packed sequence lie, in the form cuDNN wants: for a group of documents, each one's length and,
// for each tensor, each one's first element. Computed on the device, as cu_seqlens lives there.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/tensor.h"

namespace weft::cuda {

// The documents are cut into num_groups groups of documents_per_group slots; slots past the last document are empty
// documents at the end of the sequence.
struct RaggedLayout {
  static constexpr int kMaxTensors = 9;

  int64_t num_groups = 0;
  int64_t documents_per_group = 0;
  int num_tensors = 0;
  std::array<int64_t, kMaxTensors> token_strides = {};  // elements from a token to the next, of each tensor

  // Everything lies in one piece of memory, each part 64-byte aligned, as cuDNN expects 16.
  size_t bytes() const { return offsets_bytes() + static_cast<size_t>(num_groups * length_stride()) * sizeof(int32_t); }
  // [documents_per_group] i32
  int32_t* lengths(void* memory, int64_t group) const {
    return reinterpret_cast<int32_t*>(static_cast<std::byte*>(memory) + offsets_bytes()) + group * length_stride();
  }
  // [documents_per_group + 1] i64
  int64_t* offsets(void* memory, int64_t group, int tensor) const {
    return static_cast<int64_t*>(memory) + (group * num_tensors + tensor) * offset_stride();
  }

  int64_t offset_stride() const { return (documents_per_group + 1 + 7) / 8 * 8; }
  int64_t length_stride() const { return (documents_per_group + 15) / 16 * 16; }
  size_t offsets_bytes() const {
    return static_cast<size_t>(num_groups * num_tensors * offset_stride()) * sizeof(int64_t);
  }
};

// Fills `memory`, of layout.bytes(), from cu_seqlens [N + 1] i32.
void FillRaggedLayout(cudaStream_t stream, const RaggedLayout& layout, const ConstTensorView& cu_seqlens, void* memory);

}  // namespace weft::cuda
