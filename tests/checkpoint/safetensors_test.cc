// The safetensors reader against the format's golden bytes, its reference suite and every truncation; writer and reader
// against each other.
#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

std::string Encode(const std::string& json, const std::string& data = "") {
  const uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + json + data;
}

StatusOr<SafetensorsFile> OpenBytes(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/file";
  std::ofstream(path, std::ios::binary) << bytes;
  return SafetensorsFile::Open(path);  // its map outlives the name
}

std::string Refusal(const std::string& bytes) { return std::string(OpenBytes(bytes).status().message()); }

const char kI32[] = R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";

TEST(Safetensors, ReadsTheGoldenBytes) {
  const auto file = OpenBytes(Encode(kI32, std::string(16, '\0')));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->entries().size(), 1u);
  EXPECT_EQ(file->entries()[0].name, "test");
  EXPECT_EQ(file->entries()[0].shape, (std::vector<uint64_t>{2, 2}));
  EXPECT_EQ(file->Data(file->entries()[0]), std::string(16, '\0'));
  const auto empty = OpenBytes(Encode("{}      "));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_TRUE(empty->entries().empty());
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  for (const std::string& bytes :
       {Encode(" \n {} "), Encode(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", "abcd"),
        Encode(R"({"z":{"dtype":"F32","shape":[3,0],"data_offsets":[0,0]},"y":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "a"),
        Encode(R"({"f":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}})", "ab"), Encode(R"({"__metadata__":null})"),
        Encode(R"({"é":{"data_offsets":[0,0],"shape":[0],"dtype":"BF16"},"__metadata__":{"a":"b"}})")}) {
    EXPECT_TRUE(OpenBytes(bytes).ok()) << OpenBytes(bytes).status();
  }
}

TEST(Safetensors, RefusesEachBreachByName) {
  const auto entry = [](const std::string& rest, const std::string& data = "") { return Encode("{\"t\":" + rest + "}", data); };
  EXPECT_THAT(Refusal("1234567"), HasSubstr("7 bytes hold no header"));
  EXPECT_THAT(Refusal(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)), HasSubstr("more than the format allows"));
  EXPECT_THAT(Refusal(std::string("\x09\0\0\0\0\0\0\0{}", 10)), HasSubstr("the header needs 9 bytes"));
  EXPECT_THAT(Refusal(Encode("{\"\xff\":1}")), HasSubstr("header is not valid"));
  EXPECT_THAT(Refusal(Encode("{} x")), HasSubstr("header is not valid"));
  EXPECT_THAT(Refusal(Encode("[]")), HasSubstr("a list in an unexpected place"));
  EXPECT_THAT(Refusal(Encode(std::string(100000, '['))), HasSubstr("a list in an unexpected place"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[1],"data_offsets":[1,2]})", "ab")), HasSubstr("expected to begin at 0"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})", "ab")), HasSubstr("something was appended"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})", "a")), HasSubstr("truncated"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[2],"data_offsets":[0,1]})", "a")), HasSubstr("dtype and shape need 2"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"F4","shape":[3],"data_offsets":[0,2]})", "ab")), HasSubstr("whole bytes"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"F33","shape":[1],"data_offsets":[0,1]})", "a")), HasSubstr("unknown dtype \"F33\""));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"I32","shape":[2,18446744073709551614],"data_offsets":[0,16]})", std::string(16, 'a'))),
              HasSubstr("more than can be counted"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,0]})")), HasSubstr("negative"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[1.5],"data_offsets":[0,0]})")), HasSubstr("1.5"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[0]})")), HasSubstr("expected \"dtype\""));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]})")), HasSubstr("\"shape\" comes twice"));
  EXPECT_THAT(Refusal(entry(R"({"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":"x"})")), HasSubstr("unexpected place"));
  const std::string zero = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  EXPECT_THAT(Refusal(Encode("{\"t\":" + zero + ",\"t\":" + zero + "}")), HasSubstr("\"t\" comes twice"));
  EXPECT_THAT(Refusal(Encode(R"({"t":null})")), HasSubstr("null in an unexpected place"));
  EXPECT_THAT(Refusal(Encode(R"({"__metadata__":{"a":null}})")), HasSubstr("null in an unexpected place"));
  EXPECT_THAT(Refusal(Encode(R"({"__metadata__":{"a":1}})")), HasSubstr("a number in an unexpected place"));
  EXPECT_THAT(Refusal(Encode(R"({"__metadata__":{"a":"1","a":"2"}})")), HasSubstr("comes twice"));
}

TEST(Safetensors, RefusesOverlaps) {
  EXPECT_THAT(Refusal(Encode(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "abc")),
              HasSubstr("b: its data are at 1 to 3, expected to begin at 2"));
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string whole = Encode(kI32, std::string(16, '\0'));
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(OpenBytes(whole.substr(0, size)).ok()) << size;
}

TEST(Safetensors, AgreesWithTheReferenceSuite) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES names no folder of fixtures";
  int num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(StrCat(fixtures, "/suites/safetensors/files"))) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(SafetensorsFile::Open(entry.path().string()).ok(), name.starts_with("ok_")) << name;
    ++num_files;
  }
  EXPECT_GT(num_files, 0);
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/out.safetensors";
  auto writer = SafetensorsWriter::Create(path, {{"a", DType::kF32, {2, 3}}, {"b", DType::kBF16, {1}}}, {{"format", "pt"}});
  ASSERT_TRUE(writer.ok()) << writer.status();
  WEFT_CHECK_OK(writer->Append(std::string(10, 'x')));
  WEFT_CHECK_OK(writer->Append(std::string(14, 'y')));
  WEFT_CHECK_OK(writer->Append("zz"));
  EXPECT_FALSE(std::filesystem::exists(path));
  WEFT_CHECK_OK(writer->Finish());
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(file->entries().size(), 2u);
  EXPECT_EQ(file->Data(file->entries()[0]), std::string(10, 'x') + std::string(14, 'y'));
  EXPECT_EQ(file->entries()[1].dtype, "BF16");
  EXPECT_EQ(file->Data(file->entries()[1]), "zz");
}

TEST(Safetensors, AWriterThatStopsLeavesNothing) {
  const TemporaryFolder folder;
  {
    auto writer = SafetensorsWriter::Create(folder.path() + "/out.safetensors", {{"a", DType::kF32, {2}}}, {});
    ASSERT_TRUE(writer.ok());
    WEFT_CHECK_OK(writer->Append("half"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace weft
