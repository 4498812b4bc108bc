// CsvRows: the rows of a CSV file (RFC 4180) as records, all values texts: {"age": "54", "complaint": "chest pain"}.
//
// The first row names the columns. Fields in quotes may hold delimiters, line breaks and doubled quotes; lines end with
// LF or CRLF; a byte order mark and empty lines are passed over. A row with more or fewer fields than the first, a quote
// inside a field without quotes, and what is not UTF-8 are errors.
#pragma once

#include <string_view>
#include <vector>

#include "data/record_source.h"

namespace weft {

class CsvRows : public RecordSource {
 public:
  // `bytes` must outlive this. `delimiter`: ',', ';' or a tab.
  CsvRows(std::string_view bytes, char delimiter, size_t max_record_bytes = kMaxRecordBytes)
      : bytes_(bytes), delimiter_(delimiter), max_record_bytes_(max_record_bytes) {}

  StatusOr<std::optional<SourceRecord>> Next() override;
  size_t position() const override { return position_; }

 private:
  Status ReadHeader();
  bool AtRow();                                    // passes over empty lines
  StatusOr<std::vector<std::string>> TakeRow();    // with its line's end
  StatusOr<std::string> TakeField();
  StatusOr<std::string> TakeQuoted();
  Status TooLarge(std::string_view why) const;
  bool AtLineEnd() const;                          // or the file's
  void PassLineEnd();
  std::string Place() const { return ":" + std::to_string(row_line_); }

  const std::string_view bytes_;
  const char delimiter_;
  const size_t max_record_bytes_;
  size_t position_ = 0;
  int64_t line_ = 1;                 // of position_
  int64_t row_line_ = 1;             // where the row began
  size_t row_begin_ = 0;
  std::vector<std::string> header_;  // empty before it was read
};

}  // namespace weft
