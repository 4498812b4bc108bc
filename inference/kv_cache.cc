// Memory of the KV cache (see kv_cache.h).
#include "inference/kv_cache.h"

#include "core/str_cat.h"

namespace weft {

KvCache::KvCache(const ModelConfig& config, int64_t num_slots, int64_t capacity, DType dtype, Device device)
    : arena_(device), num_slots_(num_slots), capacity_(capacity) {
  const Shape shape = {num_slots, capacity, config.kv_dim()};
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    keys_.push_back(arena_.Allocate(StrCat("keys of layer ", layer), shape, dtype));
    values_.push_back(arena_.Allocate(StrCat("values of layer ", layer), shape, dtype));
  }
}

}  // namespace weft
