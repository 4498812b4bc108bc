// Table: rows to samples by a fitted specification. Training and use render through here, so that a model is shown in
// use what it was shown in training.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/status.h"
#include "data/conversation.h"
#include "data/jinja/value.h"
#include "data/table_spec.h"

namespace weft {

class Table {
 public:
  // Parses the templates. `spec` must be fitted. Errors, here and of rendering, name the template, and `path`, where it stands.
  static StatusOr<std::unique_ptr<const Table>> Create(TableSpec spec, const std::string& path);
  // That of a specification's file, a token store (.h5) or an exported model's folder; fails where it is not fitted.
  static StatusOr<std::unique_ptr<const Table>> Open(const std::string& path);
  ~Table();

  const TableSpec& spec() const;

  // A prompt and its completion, or a text; nothing where the row is to be left out. Errors name the column, or the
  // template's line. Thread-safe.
  StatusOr<std::optional<Sample>> Render(const jinja::Value& row) const;
  // What a model is given in use: the prompt, or the text. The row needs no target columns.
  StatusOr<std::string> RenderPrompt(const jinja::Value& row) const;

 private:
  struct Parts;
  explicit Table(std::unique_ptr<const Parts> parts);
  std::unique_ptr<const Parts> parts_;
};

// The specification that `path` names, as in Open, fitted or not.
StatusOr<TableSpec> ReadTableOf(const std::string& path);

// Whether a missing value makes the row one to leave out.
bool IsDropped(const TableSpec& spec, const jinja::Dict& row);
// Of all that templates can see of a row, before anything is fitted: data/validation_split.h splits tables by it.
uint64_t RowHash(const TableSpec& spec, const jinja::Dict& row);
// The row's value of a column; null where it has none.
const jinja::Value* CellOf(const std::string& name, const ColumnSpec& column, const jinja::Dict& row);

}  // namespace weft
