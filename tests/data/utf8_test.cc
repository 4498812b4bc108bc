// UTF-8: what is well formed, which bytes are replaced, and the alphabet that writes bytes as letters.
#include "data/utf8.h"

#include "core/utf8.h"
#include "data/byte_alphabet.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(Utf8Test, KnowsWhatIsWellFormed) {
  for (const char* good : {"", "a", "é", "你好", "🦙", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xC0\xAF", "\xC2", "\xE0\x9F\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5", "\xFF", "a\xC3"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

TEST(Utf8Test, ReplacesMaximalParts) {
  EXPECT_EQ(ToUtf8("a\xF0\x9F\xA6z"), "a\uFFFDz");          // one for a cut-off llama
  EXPECT_EQ(ToUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate: no part of it begins a code point
  EXPECT_EQ(ToUtf8("\xC0\xAFx"), "\uFFFD\uFFFDx");
  EXPECT_EQ(ToUtf8("\xF1\x80\xC3\xA9"), "\uFFFDé");
}

TEST(Utf8Test, CountsCutOffBytes) {
  EXPECT_EQ(CutOffBytes("a\xF0\x9F\xA6"), 3u);
  EXPECT_EQ(CutOffBytes("a\xF0"), 1u);
  EXPECT_EQ(CutOffBytes("\xE4\xBD"), 2u);
  EXPECT_EQ(CutOffBytes("你"), 0u);
  EXPECT_EQ(CutOffBytes("\x80\x80"), 0u);
  EXPECT_EQ(CutOffBytes("\xF0\x80"), 0u);  // wrong already: more bytes mend nothing
}

TEST(Utf8Test, ByteAlphabetIsGpt2s) {
  EXPECT_EQ(ToByteAlphabet(" \n!~\x7F\xA0\xAD\xFF"), "ĠĊ!~ġłŃÿ");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(FromByteAlphabet(ToByteAlphabet(all)), all);
  EXPECT_EQ(FromByteAlphabet("a b"), std::nullopt);
}

}  // namespace
}  // namespace weft
