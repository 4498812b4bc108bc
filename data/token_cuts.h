// TokenCuts: how many of a text's tokens lie before and behind places in it, without offsets of tokens, which normalisers
// blur: the tokens before a place are those that the bytes up to it also begin with when they are encoded alone.
//
// Encoding all bytes up to each place would take the square of the text's length. A place is a clean cut where the bytes
// before it become exactly the tokens before it; what lies well behind a clean cut is encoded from there, and what lies well
// before one up to there. So the work is that of the text, as long as some of the places are clean cuts, as ends of lines
// and words are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace weft {

class TokenCuts {
 public:
  using EncodeBytes = std::function<std::vector<int32_t>(size_t begin, size_t end)>;  // of the text
  struct Place {
    size_t byte = 0, tokens_before = 0;
  };

  // Bytes from `begin` to `end` became the last of `tokens`, which must outlive this. `bytes`, ascending, lie between.
  TokenCuts(EncodeBytes encode, Place begin, size_t end, absl::Span<const int32_t> tokens, const std::vector<size_t>& bytes);

  size_t TokensBefore(size_t byte) const;  // of all tokens; `byte` is one of the `bytes`
  size_t TokensFrom(size_t byte) const;    // that the bytes from `byte` on also end with when they are encoded alone

 private:
  void Add(size_t byte);
  const Place& CutBefore(size_t byte) const;
  std::optional<std::vector<int32_t>> EncodeBehind(size_t context, size_t begin, size_t end) const;

  const EncodeBytes encode_;
  const size_t end_;
  const absl::Span<const int32_t> tokens_;
  std::vector<Place> places_;  // [bytes]
  std::vector<Place> cuts_;    // the beginning, and the clean ones of places_
};

}  // namespace weft
