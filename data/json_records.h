// JsonRecords: finds the records of a .json file without parsing it, so that a list of 100 GB needs the memory of one
// record. The layout is told by the content:
//
//   [{...}, {...}]                  a list of records
//   {"a": {...}, "b": {...}}        an object whose members are all objects: records by key; each gets its key as "_key",
//                                   unless it has a "_key" of its own
//   {...} {...}, most often by line values one after another (JSON Lines, whatever the file is called), or just one
//
// Only brackets, strings and commas between records are looked at (RFC 8259); what is inside a record is checked when it
// is parsed (data/jinja/json_value.h). Keys of records are unique, and are kept as hashes of 8 bytes: there may be
// 16 million.
#pragma once

#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "data/record_source.h"

namespace weft {

class JsonRecords : public RecordSource {
 public:
  // `bytes` must outlive this.
  explicit JsonRecords(std::string_view bytes, size_t max_record_bytes = kMaxRecordBytes);

  StatusOr<std::optional<SourceRecord>> Next() override;
  size_t position() const override { return position_; }

 private:
  enum class Layout { kUnknown, kList, kKeyed, kValues };
  enum class Flaw { kNone, kTruncated, kTooDeep, kTooLarge, kBrackets };
  struct Extent {
    size_t end = 0;
    Flaw flaw = Flaw::kNone;
  };

  void FindLayout();
  bool IsKeyed() const;                           // of the object at position_
  bool HasOwnKey(size_t end) const;
  Extent ExtentOf(size_t begin) const;            // of the value there
  Extent ExtentOfString(size_t begin) const;
  size_t SkipSpace(size_t at) const;
  bool IsAt(char c) const { return position_ < bytes_.size() && bytes_[position_] == c; }
  void MoveTo(size_t position);                   // counts lines
  StatusOr<bool> FindNext();                      // moves to the next record, or past the end
  StatusOr<std::string> TakeKey();                // of a member, with its colon; as it stands in the file, in quotes
  StatusOr<std::string_view> TakeValue();
  Status CheckKeyIsNew(const std::string& key);
  std::string Place() const;
  template <typename... Parts>
  Status Error(const Parts&... parts) const {
    return DataError(Place(), ": ", parts...);
  }

  const std::string_view bytes_;
  const size_t max_record_bytes_;
  Layout layout_ = Layout::kUnknown;
  size_t position_ = 0;
  int64_t line_ = 1;     // of position_
  int64_t number_ = 0;   // of records found
  bool ended_ = false;
  absl::flat_hash_set<uint64_t> keys_;  // hashes of those so far
};

}  // namespace weft
