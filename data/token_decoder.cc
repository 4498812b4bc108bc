// The kinds of decoders, as functions on lists of tokens.
#include "data/token_decoder.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "core/utf8.h"
#include "data/byte_alphabet.h"
#include "data/utf8.h"

namespace weft {
namespace {

using Tokens = std::vector<std::string>;

// "<0x0A>" is 10.
std::optional<unsigned char> ByteOfToken(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned char byte = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return byte;
}

std::string JoinBytes(const Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += FromByteAlphabet(token).value_or(token);
  return bytes;
}

Tokens JoinByteTokens(const Tokens& tokens) {
  Tokens result;
  std::string run;
  const auto end_run = [&] {
    if (IsUtf8(run)) {
      if (!run.empty()) result.push_back(run);
    } else {
      result.insert(result.end(), run.size(), "\uFFFD");
    }
    run.clear();
  };
  for (const std::string& token : tokens) {
    const std::optional<unsigned char> byte = ByteOfToken(token);
    if (byte.has_value()) {
      run.push_back(static_cast<char>(*byte));
    } else {
      end_run();
      result.push_back(token);
    }
  }
  end_run();
  return result;
}

}  // namespace

StatusOr<TokenDecoder> TokenDecoder::Parse(const JsonView& json) {
  if (json.is_null()) return json.Error("the file has no decoder, so its tokens cannot be turned back into text");
  TokenDecoder decoder;
  WEFT_RETURN_IF_ERROR(decoder.Add(json));
  return decoder;
}

Status TokenDecoder::Add(const JsonView& json) {
  WEFT_ASSIGN_OR_RETURN(const std::string type, json.String("type"));
  if (type == "Sequence") {
    WEFT_ASSIGN_OR_RETURN(const JsonView list, json.Get("decoders"));
    WEFT_ASSIGN_OR_RETURN(const std::vector<JsonView> items, list.Items());
    for (const JsonView& item : items) WEFT_RETURN_IF_ERROR(Add(item));
  } else if (type == "ByteLevel") {
    steps_.push_back(ByteLevel());
  } else if (type == "Metaspace") {
    if (Has<Fuse>()) return json.Error("a Metaspace after a Fuse is not supported");
    WEFT_ASSIGN_OR_RETURN(Metaspace options, Metaspace::Parse(json));
    steps_.push_back(Spaces{std::move(options)});
  } else if (type == "ByteFallback") {
    steps_.push_back(ByteFallback());
  } else if (type == "Fuse") {
    steps_.push_back(Fuse());
  } else if (type == "Replace") {
    // On a fused text it could match across the parts of a stream.
    if (Has<Fuse>()) return json.Error("a Replace after a Fuse is not supported");
    WEFT_ASSIGN_OR_RETURN(TextReplacement replacement, TextReplacement::Parse(json));
    steps_.push_back(Replace{std::move(replacement)});
  } else if (type == "Strip") {
    WEFT_ASSIGN_OR_RETURN(Step strip, ParseStrip(json));
    steps_.push_back(std::move(strip));
  } else {
    return json.Error("decoders of type '", type,
                      "' are not supported; supported are Sequence, ByteLevel, Metaspace, Replace, "
                      "ByteFallback, Fuse and Strip");
  }
  return absl::OkStatus();
}

StatusOr<TokenDecoder::Step> TokenDecoder::ParseStrip(const JsonView& json) const {
  WEFT_ASSIGN_OR_RETURN(std::string content, json.String("content"));
  WEFT_ASSIGN_OR_RETURN(const JsonView start, json.Get("start"));
  WEFT_ASSIGN_OR_RETURN(const JsonView stop, json.Get("stop"));
  WEFT_ASSIGN_OR_RETURN(const int64_t num_start, start.Integer());
  WEFT_ASSIGN_OR_RETURN(const int64_t num_stop, stop.Integer());
  if (content.empty() || num_start != 1 || num_stop != 0) {
    return json.Error("a Strip of other than one leading sign (start 1, stop 0) is not supported");
  }
  return Strip{std::move(content), Has<Fuse>()};
}

template <typename Kind>
bool TokenDecoder::Has() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) { return std::holds_alternative<Kind>(step); });
}

std::string TokenDecoder::Decode(std::vector<std::string> tokens, bool at_start) const {
  for (const Step& step : steps_) {
    if (std::holds_alternative<ByteLevel>(step)) {
      tokens = {ToUtf8(JoinBytes(tokens))};
    } else if (std::holds_alternative<ByteFallback>(step)) {
      tokens = JoinByteTokens(tokens);
    } else if (std::holds_alternative<Fuse>(step)) {
      tokens = {absl::StrJoin(tokens, "")};
    } else if (const auto* spaces = std::get_if<Spaces>(&step)) {
      const bool is_prefixed = spaces->options.scheme != Metaspace::Scheme::kNever;
      for (size_t i = 0; i < tokens.size(); ++i) {
        const char* space = at_start && i == 0 && is_prefixed ? "" : " ";
        absl::StrReplaceAll({{spaces->options.replacement, space}}, &tokens[i]);
      }
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      for (std::string& token : tokens) token = replace->replacement.Apply(token);
    } else if (const auto* strip = std::get_if<Strip>(&step); !strip->fused || at_start) {
      for (std::string& token : tokens) {
        if (token.starts_with(strip->content)) token.erase(0, strip->content.size());
      }
    }
  }
  return absl::StrJoin(tokens, "");
}

bool TokenDecoder::IsOpen(const std::vector<std::string>& tokens) const {
  if (Has<ByteLevel>()) return CutOffBytes(JoinBytes(tokens)) > 0;
  return Has<ByteFallback>() && !tokens.empty() && ByteOfToken(tokens.back()).has_value();
}

}  // namespace weft
