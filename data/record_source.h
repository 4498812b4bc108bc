// RecordSource: the records of one file, one after another, each as the text of a JSON object with the place it stands
// at. What finds them is data/json_records.h and data/csv_rows.h; parsing them is left to whoever works in parallel.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "core/status.h"

namespace weft {

// No record is larger: a quote or bracket that is not closed would make one of the rest of the file.
inline constexpr size_t kMaxRecordBytes = size_t{256} << 20;

struct SourceRecord {
  std::string json;   // an object, where the file is what it should be
  std::string place;  // to be put behind the file's name: ":12", ": record 3 (line 12)"
};

class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // The next record; nothing at the end. Errors begin with a place as above; none comes after one.
  virtual StatusOr<std::optional<SourceRecord>> Next() = 0;
  virtual size_t position() const = 0;  // bytes of the file behind what was found so far
};

}  // namespace weft
