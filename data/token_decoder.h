// TokenDecoder: the decoder of tokenizer.json, from the strings of tokens to text. Kinds: Sequence, ByteLevel, Metaspace,
// Replace, ByteFallback, Fuse, Strip (of one leading sign); others are refused by name.
//
// It can decode a text in parts, for streaming: parts may be cut wherever IsOpen says that what follows cannot change
// what came.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/status.h"
#include "data/json_view.h"
#include "data/metaspace.h"
#include "data/text_replacement.h"

namespace weft {

class TokenDecoder {
 public:
  static StatusOr<TokenDecoder> Parse(const JsonView& json);

  // `at_start`: these are the text's first tokens, so a leading space that the encoder put there goes.
  std::string Decode(std::vector<std::string> tokens, bool at_start) const;
  // Whether more tokens could change the text of these: they end in part of a code point, or in a run of byte tokens.
  bool IsOpen(const std::vector<std::string>& tokens) const;

 private:
  // The bytes that tokens in the byte alphabet stand for; tokens that are not in it stand for themselves.
  struct ByteLevel {};
  // The sign for a space is one again; where encoding put one in front, the first token loses its signs.
  struct Spaces {
    Metaspace options;
  };
  struct Replace {
    TextReplacement replacement;
  };
  // <0xE4> <0xBD> <0xA0>: a run that is UTF-8 is text, any other run one U+FFFD a byte.
  struct ByteFallback {};
  struct Fuse {};
  struct Strip {
    std::string content;  // one code point
    bool fused;           // after a Fuse: at the text's start, else at each token's
  };
  using Step = std::variant<ByteLevel, Spaces, Replace, ByteFallback, Fuse, Strip>;

  Status Add(const JsonView& json);
  StatusOr<Step> ParseStrip(const JsonView& json) const;
  template <typename Kind>
  bool Has() const;

  std::vector<Step> steps_;
};

}  // namespace weft
