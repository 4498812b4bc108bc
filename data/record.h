// Record: one record of a data set, its columns renamed to the keys that the formats of data/conversation.h have.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/status.h"
#include "data/jinja/value.h"

namespace weft {

class Record {
 public:
  // `columns`: our key -> the record's. Both must outlive this.
  Record(const jinja::Dict& dict, const std::map<std::string, std::string>& columns) : dict_(dict), columns_(columns) {}

  std::string ColumnOf(const std::string& key) const;
  // Null where it is absent or null.
  const jinja::Value* Find(const std::string& key) const;
  bool Has(const std::string& key) const { return Find(key) != nullptr; }
  // A text, also one in several paragraphs: a list of texts is joined by line breaks.
  StatusOr<std::string> Text(const std::string& key) const;
  StatusOr<std::string> TextOr(const std::string& key, std::string absent) const;
  StatusOr<const std::vector<jinja::Value>*> Items(const std::string& key) const;  // of a list
  std::string Keys() const;  // as the record has them, with commas

 private:
  const jinja::Dict& dict_;
  const std::map<std::string, std::string>& columns_;
};

}  // namespace weft
