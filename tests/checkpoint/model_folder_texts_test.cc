// The tokenizer's file of an export.
#include "checkpoint/model_folder_texts.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

TEST(ModelFolderTextsTest, SentencePieceIsTheFileThatItWas) {
  CheckpointInfo info{.model_config_json = "{}", .tokenizer_json = R"({"added_tokens": [],
      "model": {"type": "SentencePiece", "base64": "CgAB/w=="}})"};
  const auto texts = MakeModelFolderTexts(info, DType::kF32);
  ASSERT_TRUE(texts.ok()) << texts.status();
  EXPECT_EQ(texts->at("tokenizer.model"), std::string("\n\0\1\xFF", 4));
  EXPECT_FALSE(texts->contains("tokenizer.json"));
  info.tokenizer_json = R"({"model": {"type": "SentencePiece", "base64": "?"}})";
  EXPECT_FALSE(MakeModelFolderTexts(info, DType::kF32).ok());
  info.tokenizer_json = R"({"model": {"type": "BPE"}})";
  EXPECT_EQ(MakeModelFolderTexts(info, DType::kF32)->at("tokenizer.json"), info.tokenizer_json);
}

}  // namespace
}  // namespace weft
