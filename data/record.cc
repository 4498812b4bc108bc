// Checked access to a record's members.
#include "data/record.h"

namespace weft {

using jinja::Dict;
using jinja::Value;

std::string Record::ColumnOf(const std::string& key) const {
  const auto column = columns_.find(key);
  return column == columns_.end() ? key : column->second;
}

const Value* Record::Find(const std::string& key) const {
  const Value* value = dict_.Find(ColumnOf(key));
  return value == nullptr || value->is_none() ? nullptr : value;
}

StatusOr<std::string> Record::Text(const std::string& key) const {
  const Value* value = Find(key);
  if (value == nullptr) return UserError("there is no '", ColumnOf(key), "'");
  if (value->AsText() != nullptr) return value->AsText()->bytes();
  if (value->AsList() == nullptr) return UserError(ColumnOf(key), ": expected a string, found ", value->TypeName());
  std::string text;
  for (const Value& paragraph : value->AsList()->items) {
    if (paragraph.AsText() == nullptr) {
      return UserError(ColumnOf(key), ": expected a string or a list of strings, found a list with ", paragraph.TypeName());
    }
    StrAppend(&text, &paragraph == &value->AsList()->items.front() ? "" : "\n", paragraph.AsText()->bytes());
  }
  return text;
}

StatusOr<std::string> Record::TextOr(const std::string& key, std::string absent) const {
  if (!Has(key)) return absent;
  return Text(key);
}

StatusOr<const std::vector<Value>*> Record::Items(const std::string& key) const {
  const Value* value = Find(key);
  if (value == nullptr) return UserError("there is no '", ColumnOf(key), "'");
  if (value->AsList() == nullptr) return UserError(ColumnOf(key), ": expected a list, found ", value->TypeName());
  return &value->AsList()->items;
}

std::string Record::Keys() const {
  std::string keys;
  for (const Dict::Entry& entry : dict_.entries) StrAppend(&keys, keys.empty() ? "" : ", ", entry.key.bytes());
  return keys;
}

}  // namespace weft
