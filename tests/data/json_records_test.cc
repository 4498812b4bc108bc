// Which records a .json file holds, by its content, and how broken files are refused.
#include "data/json_records.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "core/file.h"
#include "data/jinja/json_value.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Found {
  std::vector<std::string> records;  // "place json"
  std::string error;
};

Found AllOf(std::string_view bytes, size_t max_record_bytes = kMaxRecordBytes) {
  JsonRecords source(bytes, max_record_bytes);
  Found found;
  while (true) {
    auto record = source.Next();
    if (!record.ok()) {
      EXPECT_EQ(ExitCode(record.status()), 2);
      found.error = std::string(record.status().message());
      return found;
    }
    if (!record->has_value()) break;
    found.records.push_back((*record)->place + " " + (*record)->json);
  }
  EXPECT_EQ(source.position(), bytes.size());
  EXPECT_FALSE((*source.Next()).has_value());  // and it stays at the end
  return found;
}

TEST(JsonRecordsTest, TellsTheLayoutByContent) {
  EXPECT_THAT(AllOf(" [\n {\"a\": \"]},[\"}\n,[1, {\"b\": 2}], 5 ]\n").records,
              ElementsAre(": record 1 (line 2) {\"a\": \"]},[\"}", ": record 2 (line 3) [1, {\"b\": 2}]",
                          ": record 3 (line 3) 5"));
  EXPECT_THAT(AllOf("{\"a\": 1}\n\n{\"a\": {\"b\": \"\\\"}\"}} {\"a\":\n 3}").records,
              ElementsAre(":1 {\"a\": 1}", ":3 {\"a\": {\"b\": \"\\\"}\"}}", ":3 {\"a\":\n 3}"));
  EXPECT_THAT(AllOf("\xEF\xBB\xBF{\"x\": {\"a\": 1},\n \"\\\"y\": { }}").records,
              ElementsAre(": record 1 (line 1) {\"_key\": \"x\", \"a\": 1}", ": record 2 (line 2) {\"_key\": \"\\\"y\" }"));
  EXPECT_THAT(AllOf("{\"x\": {\"a\": {\"_key\": 1}}, \"y\": {\"a\": [1, 2], \"_key\": \"z\"}}").records,
              ElementsAre(": record 1 (line 1) {\"_key\": \"x\", \"a\": {\"_key\": 1}}",
                          ": record 2 (line 1) {\"a\": [1, 2], \"_key\": \"z\"}"));
  EXPECT_THAT(AllOf("{\"text\": \"one\"}").records, ElementsAre(":1 {\"text\": \"one\"}"));
  EXPECT_THAT(AllOf("{\"a\": {}, \"b\": [1]}").records, ElementsAre(":1 {\"a\": {}, \"b\": [1]}"));
  EXPECT_THAT(AllOf("{}").records, ElementsAre(":1 {}"));
  for (const char* empty : {"", " \n", "[]", " [ ]\n", "\xEF\xBB\xBF"}) EXPECT_THAT(AllOf(empty).records, ElementsAre());
}

TEST(JsonRecordsTest, ErrorsNameTheRecord) {
  struct Case {
    std::string bytes, error;
  };
  const std::string deep(101, '[');
  const Case cases[] = {
      {"[{\"a\": 1},\n{\"a\": ", ": record 2 (line 2): the file ends inside it"},
      {"[{\"a\": 1},\n{\"a\": \"x", ": record 2 (line 2): the file ends inside it"},
      {"[{\"a\": 1}\n", ": record 1 (line 2): the file ends behind it"},
      {"[{\"a\": 1},", ": record 1 (line 1): the file ends behind it"},
      {"[{\"a\": 1},]", ": record 2 (line 1): not JSON: found ']'"},
      {"[{\"a\": 1} {\"a\": 2}]", ": record 1 (line 1): expected ',' or ']' behind it, found '{'"},
      {"[{\"a\": 1}]]", "something follows the ']'"},
      {"[{\"a\": 1]}", ": record 1 (line 1): not JSON: found ']' where it cannot stand, at byte 7 of it"},
      {"[,]", "not JSON: found ','"},
      {"[" + deep, ": record 1 (line 1): nested more than 100 deep"},
      {"{\"a\": 1}\n" + deep, ":2: nested more than 100 deep"},
      {"{\"a\": 1},{\"a\": 1}", ":1: not JSON: found ','"},
      {"{\"x\": {\"a\": 1}, \"\\u0078\": {}}", ": record 2 (line 1): the key \"\\u0078\" is there twice"},
      {"[{\"aaaaaaaaaaaaaaaaaaaa\": 1}]", ": record 1 (line 1): larger than 16 bytes"},
      {"[\"aaaaaaaaaaaaaaaaaaaaaaaa\"]", ": record 1 (line 1): larger than 16 bytes"},
  };
  for (const Case& c : cases) {
    const size_t limit = c.error.find("larger") == std::string::npos ? kMaxRecordBytes : 16;
    EXPECT_THAT(AllOf(c.bytes, limit).error, HasSubstr(c.error)) << c.bytes;
  }
}

// One that is too large to be a record is keyed, and is found out as it is read.
TEST(JsonRecordsTest, ReadsLargeKeyedObjectsPieceByPiece) {
  std::string bytes = "{";
  for (int i = 0; i < 50; ++i) bytes += (i > 0 ? ", \"" : "\"") + std::to_string(i) + "\": {\"n\": " + std::to_string(i) + "}";
  const Found whole = AllOf(bytes + "}", 32);
  EXPECT_EQ(whole.records.size(), 50u) << whole.error;
  EXPECT_THAT(AllOf(bytes, 32).error, HasSubstr("the file ends behind it"));
  EXPECT_THAT(AllOf(bytes + ", \"last\": 5}", 32).error,
              HasSubstr(": record 51 (line 1): expected an object for the key \"last\""));
  EXPECT_THAT(AllOf(bytes + ", \"" + std::string(40, 'k') + "\": {}}", 32).error,
              HasSubstr(": record 51 (line 1): its key is larger than 32 bytes"));
  EXPECT_THAT(AllOf("{\"a\": {\"n\": 1}, \"b\": {\"n\": \"" + std::string(40, 'x') + "\"}}", 32).error,
              HasSubstr(": record 2 (line 1): larger than 32 bytes"));
  EXPECT_THAT(AllOf("{\"text\": \"" + std::string(40, 'x') + "\", \"n\": {}}", 32).error, HasSubstr(":1: larger than 32 bytes"));
}

// Bracket by bracket, whatever the bytes: what comes out is JSON, or an error was given.
TEST(JsonRecordsTest, RefusesWhatTheSuiteRefuses) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES names no folder of fixtures";
  int num_files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(fixtures) + "/suites/JSONTestSuite")) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".json") || (!name.starts_with("n_") && !name.starts_with("y_"))) continue;
    const std::string contents = *ReadFile(entry.path().string());
    if (AllOf(contents).error.empty() && AllOf(contents).records.empty()) continue;  // an empty file has no records
    ++num_files;
    JsonRecords source(contents);
    Status status;
    while (status.ok()) {
      auto record = source.Next();
      status = record.status();
      if (!status.ok() || !record->has_value()) break;
      status = jinja::ParseJsonValue((*record)->json, "it").status();
    }
    const bool holds_what_we_refuse = name.find("number_") != std::string::npos || name.find("duplicated") != std::string::npos;
    if (holds_what_we_refuse) continue;
    EXPECT_EQ(status.ok(), name.starts_with("y_")) << name << ": " << status;
  }
  EXPECT_GT(num_files, 80);
}

}  // namespace
}  // namespace weft
