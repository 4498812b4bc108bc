// Philox 4x32-10 and the distributions on it.
#include "core/rng.h"

#include <cmath>

namespace weft {

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

uint64_t StreamKey(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char byte : name) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

namespace {
std::array<uint32_t, 4> Draw(uint64_t seed, uint64_t stream, uint64_t index) {
  return Philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(stream),
                 static_cast<uint32_t>(stream >> 32)},
                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}
double ToUnit(uint32_t high, uint32_t low) {  // 53 bits in [0, 1)
  return static_cast<double>(((uint64_t{high} << 32) | low) >> 11) * 0x1.0p-53;
}
}  // namespace

uint64_t Rng::Bits(uint64_t index) const {
  const auto r = Draw(seed_, stream_, index);
  return (uint64_t{r[0]} << 32) | r[1];
}

double Rng::Uniform(uint64_t index) const {
  const auto r = Draw(seed_, stream_, index);
  return ToUnit(r[0], r[1]);
}

double Rng::Normal(uint64_t index) const {
  const auto r = Draw(seed_, stream_, index);
  const double radius = std::sqrt(-2.0 * std::log1p(-ToUnit(r[0], r[1])));
  return radius * std::cos(6.283185307179586 * ToUnit(r[2], r[3]));
}

uint64_t Rng::Below(uint64_t index, uint64_t n) const {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(Bits(index)) * n) >> 64);
}

}  // namespace weft
