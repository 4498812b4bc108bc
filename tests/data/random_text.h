// Random text for tests of tokenizers: letters, spaces, line ends, marks, CJK, emoji and whatever else Unicode has.
#pragma once

#include <cstdint>
#include <string>

#include "core/rng.h"
#include "data/utf8.h"

namespace weft {

// Up to 40 code points; the same for the same seed.
inline std::string RandomText(uint64_t seed) {
  const Rng rng(seed, 77);
  std::string text;
  uint64_t draw = 1;
  for (uint64_t i = rng.Below(0, 40); i > 0; --i) {
    const uint64_t kind = rng.Below(draw++, 8);
    char32_t c = 0;
    if (kind < 3) c = U'a' + rng.Below(draw++, 26);
    if (kind == 3) c = U" \n\t'!0"[rng.Below(draw++, 6)];
    if (kind == 4) c = 0x4E00 + rng.Below(draw++, 5000);
    if (kind == 5) c = 0x1F300 + rng.Below(draw++, 700);
    if (kind == 6) c = 0xA0 + rng.Below(draw++, 0x500);
    if (kind == 7) c = 1 + rng.Below(draw++, 0xD7FF);
    AppendUtf8(c, &text);
  }
  return text;
}

}  // namespace weft
