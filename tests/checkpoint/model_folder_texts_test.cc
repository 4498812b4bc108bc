// The tokenizer's file of an export.
#include "checkpoint/model_folder_texts.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

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

TEST(ModelFolderTextsTest, SamplingIsAsTheModelHadItThatTheRunBeganWith) {
  CheckpointInfo info{.model_config_json = R"({"bos_token_id": 1, "eos_token_id": [2, 3]})",
                      .generation_config_json = R"({"_from_model_config": true, "bos_token_id": 7, "eos_token_id": 8, "pad_token_id": 9,
                          "do_sample": true, "temperature": 0.6, "top_k": 20, "repetition_penalty": 1.05})"};
  EXPECT_EQ(nlohmann::json::parse(MakeModelFolderTexts(info, DType::kF32)->at("generation_config.json")),
            nlohmann::json::parse(R"({"bos_token_id": 1, "eos_token_id": [2, 3], "do_sample": true, "temperature": 0.6, "top_k": 20,
                "repetition_penalty": 1.05})"));
  info.generation_config_json = "";  // as in older checkpoints
  EXPECT_EQ(nlohmann::json::parse(MakeModelFolderTexts(info, DType::kF32)->at("generation_config.json")),
            nlohmann::json::parse(R"({"bos_token_id": 1, "eos_token_id": [2, 3]})"));
}

}  // namespace
}  // namespace weft
