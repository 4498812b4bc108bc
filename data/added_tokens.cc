// Search by bisection among the patterns that begin with the same byte: some files have tens of thousands of added tokens,
// nearly all of which begin with '<'.
#include "data/added_tokens.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "data/token_id.h"
#include "data/utf8.h"

namespace weft {
namespace {

// The code point that ends just before `end`.
CodePoint CodePointBefore(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return CodePointAt(text, begin);
}

bool IsBesideWord(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && IsWordCharacter(CodePointBefore(text, begin).value)) ||
         (end < text.size() && IsWordCharacter(CodePointAt(text, end).value));
}

StatusOr<AddedToken> ParseToken(const JsonView& json) {
  AddedToken token;
  WEFT_ASSIGN_OR_RETURN(token.content, json.String("content"));
  if (token.content.empty()) return json.Error("the token's content is empty");
  WEFT_ASSIGN_OR_RETURN(const JsonView id_json, json.Get("id"));
  WEFT_ASSIGN_OR_RETURN(token.id, ParseTokenId(id_json));
  WEFT_ASSIGN_OR_RETURN(token.single_word, json.BoolOr("single_word", false));
  WEFT_ASSIGN_OR_RETURN(token.lstrip, json.BoolOr("lstrip", false));
  WEFT_ASSIGN_OR_RETURN(token.rstrip, json.BoolOr("rstrip", false));
  WEFT_ASSIGN_OR_RETURN(token.special, json.BoolOr("special", false));
  WEFT_ASSIGN_OR_RETURN(token.normalized, json.BoolOr("normalized", !token.special));
  return token;
}

}  // namespace

StatusOr<AddedTokens> AddedTokens::Parse(const JsonView& json, const Normalizer& normalizer) {
  AddedTokens tokens;
  if (json.is_null()) return tokens;
  WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, json.Items());
  for (const JsonView& item : items) {
    WEFT_ASSIGN_OR_RETURN(const AddedToken token, ParseToken(item));
    tokens.all_.push_back(token);
    if (token.normalized) {
      tokens.normalized_.Add(token, normalizer.Normalize(token.content));
    } else {
      tokens.raw_.Add(token, token.content);
    }
  }
  tokens.raw_.Sort();
  tokens.normalized_.Sort();
  return tokens;
}

absl::flat_hash_set<std::string> AddedTokens::ControlTokens() const {
  absl::flat_hash_set<std::string> contents;
  for (const AddedToken& token : all_) {
    if (token.special) contents.insert(token.content);
  }
  return contents;
}

void AddedTokens::Matcher::Add(AddedToken token, std::string pattern) {
  if (pattern.empty()) return;  // the normalizer leaves nothing of it to find
  entries_.push_back({std::move(token), std::move(pattern)});
}

void AddedTokens::Matcher::Sort() {
  std::reverse(entries_.begin(), entries_.end());  // of equal patterns the one that was added first comes last
  std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.pattern < b.pattern; });
  std::vector<int32_t> open;  // the entry before, and all whose patterns begin its pattern
  for (int32_t i = 0; i < static_cast<int32_t>(entries_.size()); ++i) {
    Entry& entry = entries_[i];
    ++end_of_first_byte_[static_cast<unsigned char>(entry.pattern.front())];
    while (!open.empty() && !entry.pattern.starts_with(entries_[open.back()].pattern)) open.pop_back();
    entry.next_shorter = open.empty() ? -1 : open.back();
    open.push_back(i);
  }
  std::partial_sum(end_of_first_byte_.begin(), end_of_first_byte_.end(), end_of_first_byte_.begin());
}

// All patterns that begin `rest` lie, in order, before it, and begin all that lies between: so they are the last entry that
// is not behind `rest`, and those which begin its pattern, as far as they go along with `rest`.
const AddedTokens::Matcher::Entry* AddedTokens::Matcher::LongestAt(std::string_view text, size_t begin,
                                                                   bool allow_special,
                                                                   const MayBeSpecial& may_be_special) const {
  const std::string_view rest = text.substr(begin);
  const auto byte = static_cast<unsigned char>(rest.front());
  const auto first = entries_.begin() + (byte == 0 ? 0 : end_of_first_byte_[byte - 1]);
  const auto last = entries_.begin() + end_of_first_byte_[byte];
  const auto behind = std::upper_bound(first, last, rest, [](std::string_view a, const Entry& b) { return a < b.pattern; });
  if (behind == first) return nullptr;
  const std::string_view nearest = (behind - 1)->pattern;
  const size_t most = std::min(nearest.size(), rest.size());
  const auto agreed = static_cast<size_t>(std::mismatch(nearest.begin(), nearest.begin() + most, rest.begin()).first -
                                          nearest.begin());
  for (int32_t i = static_cast<int32_t>(behind - 1 - entries_.begin()); i >= 0; i = entries_[i].next_shorter) {
    const Entry& entry = entries_[i];
    if (entry.pattern.size() > agreed || (entry.token.special && !allow_special)) continue;
    if (entry.token.special && may_be_special && !may_be_special(begin, begin + entry.pattern.size())) continue;
    return &entry;
  }
  return nullptr;
}

std::vector<Segment> AddedTokens::Matcher::Cut(std::string_view text, bool allow_special,
                                               const MayBeSpecial& may_be_special) const {
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const Entry* entry = LongestAt(text, i, allow_special, may_be_special);
    if (entry == nullptr) {
      ++i;
      continue;
    }
    size_t begin = i, end = i + entry->pattern.size();
    i = end;
    if (entry->token.single_word && IsBesideWord(text, begin, end)) continue;
    while (entry->token.lstrip && begin > done) {
      const CodePoint before = CodePointBefore(text, begin);
      if (!IsWhitespace(before.value)) break;
      begin -= before.length;
    }
    while (entry->token.rstrip && end < text.size()) {
      const CodePoint after = CodePointAt(text, end);
      if (!IsWhitespace(after.value)) break;
      end += after.length;
    }
    if (begin > done) segments.push_back({text.substr(done, begin - done)});
    segments.push_back({text.substr(begin, end - begin), entry->token.id});
    done = i = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done)});
  return segments;
}

}  // namespace weft
