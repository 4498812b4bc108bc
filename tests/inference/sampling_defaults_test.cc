// What generation_config.json says of sampling, and what it says that is not done.
#include "inference/sampling_defaults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/str_cat.h"

namespace weft {
namespace {

using testing::HasSubstr;

class SamplingDefaults : public testing::Test {
 protected:
  SamplingDefaults() { std::filesystem::create_directories(folder_); }
  ~SamplingDefaults() override { std::filesystem::remove_all(folder_); }
  StatusOr<SamplingOptions> Read(const std::string& text) {
    std::ofstream(folder_ + "/generation_config.json") << text;
    testing::internal::CaptureStderr();
    StatusOr<SamplingOptions> sampling = ReadSamplingDefaults(folder_);
    logged_ = testing::internal::GetCapturedStderr();
    return sampling;
  }
  const std::string folder_ = StrCat(testing::TempDir(), "/sampling_defaults_test_", ::getpid());
  std::string logged_;
};

TEST_F(SamplingDefaults, AreThoseOfTheFile) {
  EXPECT_EQ(ReadSamplingDefaults(folder_)->temperature, 1) << "without a file";
  const auto sampling = Read(R"({"do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.0})");
  ASSERT_TRUE(sampling.ok()) << sampling.status();
  EXPECT_EQ(sampling->temperature, 0.6);
  EXPECT_EQ(sampling->top_p, 0.9);
  EXPECT_EQ(sampling->top_k, 20);
  EXPECT_EQ(logged_, "") << "a penalty of 1 is none";
  EXPECT_EQ(Read(R"({"eos_token_id": 2})")->temperature, 1);
  EXPECT_EQ(Read(R"({"do_sample": false, "temperature": 0.6})")->temperature, 0);
}

TEST_F(SamplingDefaults, SayWhatIsNotHonoured) {
  ASSERT_TRUE(Read(R"({"repetition_penalty": 1.05, "min_p": null, "num_beams": 4})").ok());
  EXPECT_THAT(logged_, HasSubstr("generation_config.json: not honoured: repetition_penalty, num_beams\n"));
}

TEST_F(SamplingDefaults, NameTheFileThatIsWrong) {
  for (const char* text : {"[]", "{", R"({"temperature": "hot"})", R"({"top_p": 0})", R"({"do_sample": 1})"}) {
    EXPECT_THAT(std::string(Read(text).status().message()), HasSubstr("generation_config.json")) << text;
  }
}

}  // namespace
}  // namespace weft
