// CSV by RFC 4180, and what is refused of it.
#include "data/csv_rows.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The rows as "place json", or the error.
std::vector<std::string> RowsOf(std::string_view bytes, char delimiter = ',', size_t max_record_bytes = kMaxRecordBytes) {
  CsvRows source(bytes, delimiter, max_record_bytes);
  std::vector<std::string> rows;
  while (true) {
    auto row = source.Next();
    if (!row.ok()) return {std::string(row.status().message())};
    if (!row->has_value()) break;
    rows.push_back((*row)->place + " " + (*row)->json);
  }
  EXPECT_EQ(source.position(), bytes.size());
  return rows;
}

TEST(CsvRowsTest, ReadsWhatTheRfcAllows) {
  EXPECT_THAT(RowsOf("\xEF\xBB\xBF" "a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n\r\n,\"\"\n3,é"),
              ElementsAre(":2 {\"a\":\"1\",\"b\":\"x, \\\"y\\\"\\r\\nz\"}", ":5 {\"a\":\"\",\"b\":\"\"}",
                          ":6 {\"a\":\"3\",\"b\":\"é\"}"));
  EXPECT_THAT(RowsOf("a;b\n1,5;2\n", ';'), ElementsAre(":2 {\"a\":\"1,5\",\"b\":\"2\"}"));
  EXPECT_THAT(RowsOf("b\ta\n 1 \t2\n", '\t'), ElementsAre(":2 {\"b\":\" 1 \",\"a\":\"2\"}"));
  EXPECT_THAT(RowsOf("\"a\"\n\"\"\n"), ElementsAre(":2 {\"a\":\"\"}"));
  for (const char* none : {"", "\n\r\n", "a,b\n", "a,b"}) EXPECT_THAT(RowsOf(none), ElementsAre());
}

TEST(CsvRowsTest, ErrorsNameTheLine) {
  EXPECT_THAT(RowsOf("a,b\n1\n"), ElementsAre(":2: 1 fields, where the first row names 2 columns"));
  EXPECT_THAT(RowsOf("a,b\n\"1\n1\",2\n1,2,3\n"), ElementsAre(":4: 3 fields, where the first row names 2 columns"));
  EXPECT_THAT(RowsOf("a,b\n1,\"2\n3,4\n"), ElementsAre(":2: a quote is not closed"));
  EXPECT_THAT(RowsOf("a,b\n1,\"2\"3\n"), ElementsAre(HasSubstr(":2: something follows the quote")));
  EXPECT_THAT(RowsOf("a,b\n1,2\"3\n"), ElementsAre(HasSubstr(":2: a quote inside a field")));
  EXPECT_THAT(RowsOf("a,b\n1,2\r3\n"), ElementsAre(HasSubstr(":2: a carriage return")));
  EXPECT_THAT(RowsOf("a,b\n1,caf\xE9\n"), ElementsAre(":2: this is not UTF-8"));
  EXPECT_THAT(RowsOf("a,a\n1,2\n"), ElementsAre(":1: two columns are named 'a'"));
  EXPECT_THAT(RowsOf("a,\n1,2\n"), ElementsAre(":1: column 2 has no name"));
}

TEST(CsvRowsTest, RefusesRowsThatAreTooLarge) {
  EXPECT_THAT(RowsOf("a,b\n123,4567\n", ',', 8), ElementsAre(":2 {\"a\":\"123\",\"b\":\"4567\"}"));
  EXPECT_THAT(RowsOf("a,b\n123,456789\n", ',', 8), ElementsAre(":2: larger than 8 bytes; is this a CSV file?"));
  EXPECT_THAT(RowsOf("a,b\n1,\"2\n3,4\n5,6\n", ',', 8), ElementsAre(":2: larger than 8 bytes; is a quote not closed?"));
}

// Searching for every name among those before would take minutes here.
TEST(CsvRowsTest, ReadsManyColumns) {
  constexpr int kColumns = 200000;
  std::string bytes, values;
  for (int i = 0; i < kColumns; ++i) {
    bytes += (i > 0 ? "," : "") + std::to_string(i);
    values += (i > 0 ? ",1" : "1");
  }
  const std::vector<std::string> rows = RowsOf(bytes + "\n" + values + "\n");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows[0].ends_with("\"199999\":\"1\"}"));
}

}  // namespace
}  // namespace weft
