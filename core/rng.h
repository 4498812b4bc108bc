// Counter-based random numbers: a value is a pure function of (seed, stream, index), so it does not depend on the
// mesh, the device or the order of asking. Philox 4x32-10: Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weft {

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Names a stream of numbers: "layers.3.attn.wqkv". FNV-1a, 64 bits.
uint64_t StreamKey(std::string_view name);

class Rng {
 public:
  Rng(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  uint64_t Bits(uint64_t index) const;   // uniform over 64 bits
  double Uniform(uint64_t index) const;  // uniform in [0, 1)
  double Normal(uint64_t index) const;   // mean 0, standard deviation 1 (Box-Muller)
  // Uniform in [0, n); n > 0. The bias is below 2^-32 for n up to 2^32.
  uint64_t Below(uint64_t index, uint64_t n) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

}  // namespace weft
