// Two cuts are used for each place behind the first: tokens are compared from the nearer one on, and the bytes from the
// farther one to the nearer one are encoded with them, because what opens a text may be encoded otherwise than what goes on.
#include "data/token_cuts.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace weft {
namespace {

// What lies so many bytes away does not change how a text is encoded: no longer token is known.
constexpr size_t kContext = 256;

}  // namespace

TokenCuts::TokenCuts(EncodeBytes encode, Place begin, size_t end, absl::Span<const int32_t> tokens,
                     const std::vector<size_t>& bytes)
    : encode_(std::move(encode)), end_(end), tokens_(tokens) {
  cuts_.push_back(begin);
  for (const size_t byte : bytes) Add(byte);
}

// The last cut that is far enough before a byte; else the beginning.
const TokenCuts::Place& TokenCuts::CutBefore(size_t byte) const {
  const auto after = std::partition_point(cuts_.begin() + 1, cuts_.end(),
                                          [&](const Place& cut) { return cut.byte + kContext <= byte; });
  return *(after - 1);
}

// What bytes [begin, end) become behind bytes [context, begin); nothing where these become something else with what follows.
std::optional<std::vector<int32_t>> TokenCuts::EncodeBehind(size_t context, size_t begin, size_t end) const {
  const std::vector<int32_t> before = encode_(context, begin);
  std::vector<int32_t> tokens = encode_(context, end);
  if (before.size() > tokens.size() || !std::equal(before.begin(), before.end(), tokens.begin())) return std::nullopt;
  tokens.erase(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(before.size()));
  return tokens;
}

void TokenCuts::Add(size_t byte) {
  Place from = CutBefore(byte);
  const size_t context = CutBefore(from.byte).byte;
  std::optional<std::vector<int32_t>> seen;
  if (context > cuts_[0].byte) seen = EncodeBehind(context, from.byte, byte);
  if (!seen.has_value()) {
    from = cuts_[0];
    seen = encode_(from.byte, byte);
  }
  const auto whole = tokens_.begin() + static_cast<ptrdiff_t>(from.tokens_before);
  const auto [differs, token] = std::mismatch(seen->begin(), seen->end(), whole, tokens_.end());
  places_.push_back({byte, static_cast<size_t>(token - tokens_.begin())});
  if (differs == seen->end()) cuts_.push_back(places_.back());
}

size_t TokenCuts::TokensBefore(size_t byte) const {
  const auto place = std::partition_point(places_.begin(), places_.end(), [&](const Place& p) { return p.byte < byte; });
  WEFT_CHECK(place != places_.end() && place->byte == byte) << "not one of the bytes: " << byte;
  return place->tokens_before;
}

size_t TokenCuts::TokensFrom(size_t byte) const {
  const auto cut = std::partition_point(cuts_.begin() + 1, cuts_.end(),
                                        [&](const Place& c) { return c.byte < byte + kContext; });
  const Place up_to = cut == cuts_.end() ? Place{end_, tokens_.size()} : *cut;
  const std::vector<int32_t> seen = encode_(byte, up_to.byte);
  const absl::Span<const int32_t> whole = tokens_.subspan(0, up_to.tokens_before);
  const auto differs = std::mismatch(seen.rbegin(), seen.rend(), whole.rbegin(), whole.rend());
  return tokens_.size() - up_to.tokens_before + static_cast<size_t>(differs.second - whole.rbegin());
}

}  // namespace weft
