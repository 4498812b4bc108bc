// A reader of one row at a time.
#include "data/csv_rows.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "core/utf8.h"

namespace weft {

bool CsvRows::AtLineEnd() const {
  return position_ == bytes_.size() || bytes_[position_] == '\n' || bytes_.substr(position_, 2) == "\r\n";
}

void CsvRows::PassLineEnd() {
  if (position_ == bytes_.size()) return;
  position_ += bytes_[position_] == '\r' ? 2 : 1;
  ++line_;
}

bool CsvRows::AtRow() {
  while (position_ < bytes_.size() && AtLineEnd()) PassLineEnd();
  return position_ < bytes_.size();
}

Status CsvRows::TooLarge(std::string_view why) const {
  return DataError(Place(), ": larger than ", max_record_bytes_, " bytes", why);
}

StatusOr<std::string> CsvRows::TakeQuoted() {
  std::string field;
  for (++position_; position_ < bytes_.size(); ++position_) {
    const char c = bytes_[position_];
    if (position_ - row_begin_ > max_record_bytes_) break;
    if (c == '\n') ++line_;
    if (c != '"') {
      field += c;
    } else if (bytes_.substr(position_, 2) == "\"\"") {
      field += c;
      ++position_;
    } else {
      ++position_;
      if (AtLineEnd() || bytes_[position_] == delimiter_) return field;
      return DataError(Place(), ": something follows the quote that ends a field; a quote inside one is written twice");
    }
  }
  if (position_ < bytes_.size()) return TooLarge("; is a quote not closed?");
  return DataError(Place(), ": a quote is not closed");
}

StatusOr<std::string> CsvRows::TakeField() {
  if (bytes_.substr(position_, 1) == "\"") return TakeQuoted();
  const size_t begin = position_;
  while (!AtLineEnd() && bytes_[position_] != delimiter_) {
    if (position_ - row_begin_ > max_record_bytes_) return TooLarge("; is this a CSV file?");
    if (bytes_[position_] == '"') return DataError(Place(), ": a quote inside a field that does not begin with one");
    if (bytes_[position_] == '\r') return DataError(Place(), ": a carriage return without a line feed");
    ++position_;
  }
  return std::string(bytes_.substr(begin, position_ - begin));
}

StatusOr<std::vector<std::string>> CsvRows::TakeRow() {
  row_line_ = line_;
  row_begin_ = position_;
  std::vector<std::string> fields;
  while (true) {
    WEFT_ASSIGN_OR_RETURN(std::string field, TakeField());
    fields.push_back(std::move(field));
    if (AtLineEnd()) break;
    ++position_;  // the delimiter
  }
  if (!IsUtf8(bytes_.substr(row_begin_, position_ - row_begin_))) return DataError(Place(), ": this is not UTF-8");
  PassLineEnd();
  return fields;
}

Status CsvRows::ReadHeader() {
  if (bytes_.starts_with("\xEF\xBB\xBF")) position_ = 3;
  if (!AtRow()) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(header_, TakeRow());
  absl::flat_hash_set<std::string> names;
  for (size_t i = 0; i < header_.size(); ++i) {
    if (header_[i].empty()) return DataError(Place(), ": column ", i + 1, " has no name");
    if (!names.insert(header_[i]).second) return DataError(Place(), ": two columns are named '", header_[i], "'");
  }
  return absl::OkStatus();
}

StatusOr<std::optional<SourceRecord>> CsvRows::Next() {
  if (header_.empty()) WEFT_RETURN_IF_ERROR(ReadHeader());
  if (!AtRow()) return std::nullopt;
  WEFT_ASSIGN_OR_RETURN(std::vector<std::string> fields, TakeRow());
  if (fields.size() != header_.size()) {
    return DataError(Place(), ": ", fields.size(), " fields, where the first row names ", header_.size(), " columns");
  }
  nlohmann::ordered_json::object_t row;  // its operator[] would search: the names are different already
  row.reserve(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) row.Container::emplace_back(header_[i], std::move(fields[i]));
  return SourceRecord{.json = nlohmann::ordered_json(std::move(row)).dump(), .place = Place()};
}

}  // namespace weft
