// AddedTokens: the tokens of tokenizer.json that are found in text as a whole, before the model sees the rest; control
// tokens (<s>, <|im_end|>) are those among them with `special`.
//
// At every place the longest one counts. Those with `normalized: false` are sought in the raw text, the others in the
// normalised rest. `single_word` asks for no word character on either side; `lstrip` and `rstrip` take in white space.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "core/status.h"
#include "data/json_view.h"
#include "data/normalizer.h"

namespace weft {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = true, special = false;
};

// A part of a text: a token, or text between tokens.
struct Segment {
  std::string_view text;
  int32_t id = -1;  // -1: text
};

class AddedTokens {
 public:
  // `json` is the file's "added_tokens".
  static StatusOr<AddedTokens> Parse(const JsonView& json, const Normalizer& normalizer);

  using MayBeSpecial = std::function<bool(size_t begin, size_t end)>;  // of bytes of the text; none: anywhere

  // Cuts `text` at the tokens of one kind. Special ones only with `allow_special`, where they may be. Segments point into
  // `text`.
  std::vector<Segment> CutRaw(std::string_view text, bool allow_special, const MayBeSpecial& may_be_special = {}) const {
    return raw_.Cut(text, allow_special, may_be_special);
  }
  std::vector<Segment> CutNormalized(std::string_view text, bool allow_special) const {
    return normalized_.Cut(text, allow_special, {});
  }

  const std::vector<AddedToken>& all() const { return all_; }
  absl::flat_hash_set<std::string> ControlTokens() const;

 private:
  class Matcher {
   public:
    void Add(AddedToken token, std::string pattern);
    void Sort();  // after the last Add, before the first Cut
    std::vector<Segment> Cut(std::string_view text, bool allow_special, const MayBeSpecial& may_be_special) const;

   private:
    struct Entry {
      AddedToken token;
      std::string pattern;
      int32_t next_shorter = -1;  // index of the longest other entry whose pattern begins this one; -1: none
    };
    const Entry* LongestAt(std::string_view text, size_t begin, bool allow_special,
                           const MayBeSpecial& may_be_special) const;
    std::vector<Entry> entries_;                      // sorted by pattern
    std::array<int32_t, 256> end_of_first_byte_ = {};  // index behind the entries that begin with the byte
  };

  std::vector<AddedToken> all_;
  Matcher raw_, normalized_;
};

}  // namespace weft
