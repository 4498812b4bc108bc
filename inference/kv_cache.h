// KvCache: keys and values of the tokens that sequences have seen, in slots allocated once. A slot is one sequence's
// memory for all layers.
#pragma once

#include <vector>

#include "core/arena.h"
#include "model/config.h"

namespace weft {

class KvCache {
 public:
  KvCache(const ModelConfig& config, int64_t num_slots, int64_t capacity, DType dtype, Device device);

  TensorView keys(int layer) const { return keys_[static_cast<size_t>(layer)]; }      // [slots, capacity, K * Q]
  TensorView values(int layer) const { return values_[static_cast<size_t>(layer)]; }  // [slots, capacity, K * Q]
  int64_t num_slots() const { return num_slots_; }
  int64_t capacity() const { return capacity_; }  // tokens a sequence
  size_t bytes() const { return arena_.bytes(); }

 private:
  Arena arena_;
  int64_t num_slots_, capacity_;
  std::vector<TensorView> keys_, values_;
};

}  // namespace weft
