// Fuzzes the reading of tokenizer.json and tokenizer.model, and encoding and decoding with whatever could be read.
#include "core/check.h"
#include "core/utf8.h"
#include "data/sentencepiece_file.h"
#include "data/tokenizer.h"
#include "tests/fuzz/mutate.h"

namespace weft {
namespace {

void Use(const Tokenizer& tokenizer) {
  const std::string text = "  Hello wörld, 你好 🦙 <s></s> 123\n\t▁\xFF <|im_end|>";
  for (const bool allow : {false, true}) {
    const std::vector<int32_t> ids = tokenizer.Encode(text, {.allow_control_tokens = allow});
    for (const int32_t id : ids) WEFT_CHECK_GE(id, 0);
    StreamDecoder decoder(tokenizer, /*continues_text=*/false);
    for (const int32_t id : ids) WEFT_CHECK(IsUtf8(decoder.Add(id)));
    decoder.Finish();
    tokenizer.Decode(ids);
  }
}

bool FuzzOne(const std::string& input) {
  std::string json = input;
  if (!input.starts_with('{')) {
    StatusOr<TokenizerTexts> texts = ReadSentencePieceFile(input, "", "input");
    if (!texts.ok()) return false;
    json = texts->json;
  }
  const auto tokenizer = Tokenizer::Parse(json, "", "input");
  if (!tokenizer.ok()) return false;
  Use(**tokenizer);
  return true;
}

}  // namespace
}  // namespace weft

int main(int argc, char** argv) { return weft::FuzzMain(argc, argv, weft::FuzzOne); }
