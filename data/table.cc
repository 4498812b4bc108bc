// Templates over columns.
#include "data/table.h"

#include <filesystem>
#include <utility>

#include "core/file.h"
#include "data/jinja/interpreter.h"
#include "data/jinja/parser.h"
#include "data/jinja/printing.h"
#include "data/store_header.h"
#include "data/table_column.h"
#include "data/token_store_hdf5.h"
#include "data/validation_split.h"

namespace weft {

using jinja::Dict;
using jinja::Value;

struct Table::Parts {
  TableSpec spec;
  std::string path;
  jinja::Template prompt, completion, text;

  // The variables of a template. A prompt does not see the target, also in training.
  Status SetColumns(const Dict& row, bool with_target, jinja::Scope* variables) const;
  StatusOr<std::string> Run(const jinja::Template& parsed, const char* name, const Dict& row, bool with_target) const;
};

Status Table::Parts::SetColumns(const Dict& row, bool with_target, jinja::Scope* variables) const {
  for (const auto& [name, column] : spec.columns.list) {
    if (!with_target && spec.IsTarget(name)) continue;
    StatusOr<Value> value = ColumnValue(column, CellOf(name, column, row));
    if (!value.ok()) return WithContext(value.status(), StrCat("column ", name));
    variables->Set(name, *std::move(value));
  }
  return absl::OkStatus();
}

StatusOr<std::string> Table::Parts::Run(const jinja::Template& parsed, const char* name, const Dict& row,
                                        bool with_target) const {
  jinja::Scope variables(nullptr);
  WEFT_RETURN_IF_ERROR(SetColumns(row, with_target, &variables));
  jinja::Budget budget(0);
  const std::string place = StrCat(path, ": ", name);
  jinja::Interpreter interpreter(place, budget, /*now=*/0, jinja::Undefineds::kRefuse);
  WEFT_ASSIGN_OR_RETURN(const jinja::Text text, interpreter.Run(parsed.block, variables));
  return text.bytes();
}

Table::Table(std::unique_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Table::~Table() = default;

const TableSpec& Table::spec() const { return parts_->spec; }

StatusOr<std::unique_ptr<const Table>> Table::Create(TableSpec spec, const std::string& path) {
  auto parts = std::make_unique<Parts>();
  WEFT_ASSIGN_OR_RETURN(parts->prompt, jinja::ParseTemplate(spec.prompt, StrCat(path, ": prompt")));
  WEFT_ASSIGN_OR_RETURN(parts->completion, jinja::ParseTemplate(spec.completion, StrCat(path, ": completion")));
  WEFT_ASSIGN_OR_RETURN(parts->text, jinja::ParseTemplate(spec.text, StrCat(path, ": text")));
  parts->path = path;
  parts->spec = std::move(spec);
  return std::unique_ptr<const Table>(new Table(std::move(parts)));
}

StatusOr<TableSpec> ReadTableOf(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    const std::string file = path + "/table.yaml";
    if (!std::filesystem::exists(file, ignored)) {
      return UserError(path, " holds no table.yaml: the model was not trained on a table");
    }
    return TableSpec::Read(file);
  }
  if (!IsTokenStore(path)) return TableSpec::Read(path);
  WEFT_ASSIGN_OR_RETURN(const std::shared_ptr<const TokenStore> store, TokenStore::Open(path));
  if (store->table_yaml().empty()) return UserError(path, " was not made of a table");
  return TableSpec::Parse(store->table_yaml(), path);
}

StatusOr<std::unique_ptr<const Table>> Table::Open(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(TableSpec spec, ReadTableOf(path));
  if (!spec.fitted_rows.has_value()) {
    return UserError(path, " is not fitted to data yet (it has no fitted_rows): name the model's folder or its token store");
  }
  return Create(std::move(spec), path);
}

StatusOr<std::optional<Sample>> Table::Render(const Value& row) const {
  if (row.AsDict() == nullptr) return UserError("expected an object, found ", row.TypeName());
  const Dict& dict = *row.AsDict();
  if (IsDropped(parts_->spec, dict)) return std::nullopt;
  Sample sample;
  if (!parts_->spec.text.empty()) {
    WEFT_ASSIGN_OR_RETURN(sample.text, parts_->Run(parts_->text, "text", dict, /*with_target=*/true));
    return sample;
  }
  sample.kind = Sample::Kind::kPromptCompletion;
  WEFT_ASSIGN_OR_RETURN(sample.prompt, parts_->Run(parts_->prompt, "prompt", dict, /*with_target=*/false));
  WEFT_ASSIGN_OR_RETURN(sample.text, parts_->Run(parts_->completion, "completion", dict, /*with_target=*/true));
  return sample;
}

StatusOr<std::string> Table::RenderPrompt(const Value& row) const {
  if (row.AsDict() == nullptr) return UserError("expected an object, found ", row.TypeName());
  if (!parts_->spec.text.empty()) return parts_->Run(parts_->text, "text", *row.AsDict(), /*with_target=*/true);
  return parts_->Run(parts_->prompt, "prompt", *row.AsDict(), /*with_target=*/false);
}

const Value* CellOf(const std::string& name, const ColumnSpec& column, const Dict& row) {
  return row.Find(column.from.empty() ? name : column.from);
}

bool IsDropped(const TableSpec& spec, const Dict& row) {
  for (const auto& [name, column] : spec.columns.list) {
    const bool may_drop = column.missing.instead == MissingRule::Instead::kDropRow;
    if (may_drop && IsMissing(column, CellOf(name, column, row))) return true;
  }
  return false;
}

uint64_t RowHash(const TableSpec& spec, const Dict& row) {
  std::string seen;
  jinja::Budget budget(0);
  for (const auto& [name, column] : spec.columns.list) {
    const Value* cell = CellOf(name, column, row);
    const StatusOr<jinja::Text> text = jinja::ToText(cell == nullptr ? Value() : *cell, budget);
    StrAppend(&seen, name, ":", text.ok() ? text->bytes() : "", std::string(1, '\0'));
  }
  return ContentHash(seen);
}

}  // namespace weft
