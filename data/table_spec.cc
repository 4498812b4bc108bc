// The fields of a table's specification, and the checks between them.
#include "data/table_spec.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "core/config_reader.h"
#include "core/config_writer.h"

namespace weft {
namespace {

constexpr int64_t kMaxBins = 1000, kMaxDigits = 15;

// Collects what is wrong, each mistake at its key.
class Checker {
 public:
  Checker(const std::string& path, const ConfigReport& report) : path_(path), report_(report) {}

  template <typename... Parts>
  void Fail(const std::string& key, const Parts&... parts) {
    ConfigPlace place = report_.PlaceOf(key);
    if (place.source.empty()) place.source = path_;  // a key that is not there
    errors_.push_back({place, StrCat(key, ": ", parts...)});
  }
  Status Finish() { return AsStatus(std::move(errors_)); }

 private:
  const std::string& path_;
  const ConfigReport& report_;
  std::vector<ConfigError> errors_;
};

// Names that templates can say.
bool IsName(const std::string& name) {
  const auto is_letter = [](char c) { return c == '_' || (std::isalpha(static_cast<unsigned char>(c)) != 0); };
  if (name == "null" || name == "Null" || name == "NULL") return false;  // YAML has other thoughts about these
  return !name.empty() && is_letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

void CheckBins(const BinRule& bins, const std::string& key, Checker* checker) {
  if (bins.by == BinRule::By::kBorders) {
    if (bins.borders.empty()) checker->Fail(key + ".borders", "expected at least one border, e.g. [18, 65]");
    if (bins.count != 0) checker->Fail(key + ".count", "given borders make the bins; count is for width and quantiles");
  } else {
    if (!bins.borders.empty()) checker->Fail(key + ".borders", "these are fitted; give them with by: borders");
    if (bins.count < 2 || bins.count > kMaxBins) checker->Fail(key + ".count", "expected 2 to ", kMaxBins, " bins");
  }
  for (size_t i = 1; i < bins.borders.size(); ++i) {
    if (!(bins.borders[i - 1] < bins.borders[i])) checker->Fail(key + ".borders", "expected ascending numbers");
  }
  if (!bins.labels.empty() && static_cast<int64_t>(bins.labels.size()) != bins.num_bins()) {
    checker->Fail(key + ".labels", bins.labels.size(), " labels for ", bins.num_bins(), " bins");
  }
}

void CheckColumn(const std::string& name, const ColumnSpec& column, Checker* checker) {
  const std::string key = "columns." + name;
  const bool is_number = column.kind == ColumnSpec::Kind::kNumber, is_category = column.kind == ColumnSpec::Kind::kCategory;
  if (!IsName(name)) checker->Fail(key, "a name here is letters, digits and _; say with `from` what the rows call it");
  if (!is_number) {
    if (column.bins.has_value()) checker->Fail(key + ".bins", "only a column of kind: number has bins");
    if (column.normalise != ColumnSpec::Normalise::kNone) checker->Fail(key + ".normalise", "only for kind: number");
    if (column.digits.has_value()) checker->Fail(key + ".digits", "only for kind: number");
    if (column.missing.instead == MissingRule::Instead::kMedian) {
      checker->Fail(key + ".missing.instead", "only a column of kind: number has a median");
    }
  }
  if (!is_category) {
    if (!column.categories.empty()) checker->Fail(key + ".categories", "only for kind: category");
    if (column.unknown.has_value()) checker->Fail(key + ".unknown", "only for kind: category");
  }
  if (column.bins.has_value()) {
    CheckBins(*column.bins, key + ".bins", checker);
    if (column.normalise != ColumnSpec::Normalise::kNone) {
      checker->Fail(key + ".normalise", "a column has bins or is normalised, not both");
    }
  }
  if (column.digits.has_value() && (*column.digits < 0 || *column.digits > kMaxDigits)) {
    checker->Fail(key + ".digits", "expected 0 to ", kMaxDigits);
  }
}

// Whether all that a column asks for is there, and of use.
bool IsFitted(const ColumnSpec& column) {
  const FittedColumn fitted = column.fitted.value_or(FittedColumn());
  const bool needs_median = column.missing.instead == MissingRule::Instead::kMedian;
  const bool needs_categories = column.kind == ColumnSpec::Kind::kCategory && column.categories.empty();
  if (needs_median && !fitted.median.has_value()) return false;
  if (needs_categories && fitted.categories.empty()) return false;
  if (column.has_fitted_borders()) {
    if (static_cast<int64_t>(fitted.borders.size()) + 1 != column.bins->num_bins()) return false;
    if (!std::is_sorted(fitted.borders.begin(), fitted.borders.end())) return false;
  }
  switch (column.normalise) {
    case ColumnSpec::Normalise::kNone: return true;
    case ColumnSpec::Normalise::kStandard: return fitted.mean.has_value() && fitted.deviation.value_or(0) > 0;
    case ColumnSpec::Normalise::kMinMax:
      return fitted.minimum.has_value() && fitted.maximum.has_value() && *fitted.minimum < *fitted.maximum;
  }
  return false;
}

void CheckTemplates(const TableSpec& spec, Checker* checker) {
  if (!spec.text.empty()) {
    if (!spec.prompt.empty() || !spec.completion.empty()) {
      checker->Fail("text", "a table has a text, or a prompt and a completion, not both");
    }
    if (!spec.target.empty()) checker->Fail("target", "is for prompt and completion; a text is learnt whole");
    return;
  }
  if (spec.prompt.empty() || spec.completion.empty()) {
    checker->Fail(spec.prompt.empty() ? "prompt" : "completion", "expected templates `prompt` and `completion`, or one `text`");
  } else if (spec.target.empty()) {
    checker->Fail("target", "name the columns that only the completion may use, which a row in use does not have");
  }
}

Status CheckSpec(const TableSpec& spec, const std::string& path, const ConfigReport& report) {
  Checker checker(path, report);
  if (spec.delimiter != "," && spec.delimiter != ";" && spec.delimiter != "tab") {
    checker.Fail("delimiter", "expected \",\", \";\" or tab, got '", spec.delimiter, "'");
  }
  if (spec.columns.list.empty()) checker.Fail("columns", "name at least one column; templates see no others");
  for (const auto& [name, column] : spec.columns.list) CheckColumn(name, column, &checker);
  for (const std::string& target : spec.target) {
    const auto is_it = [&](const auto& column) { return column.first == target; };
    if (std::none_of(spec.columns.list.begin(), spec.columns.list.end(), is_it)) {
      checker.Fail("target", "there is no column '", target, "'");
    }
  }
  CheckTemplates(spec, &checker);
  if (spec.fitted_rows.has_value()) {
    for (const auto& [name, column] : spec.columns.list) {
      if (!IsFitted(column)) {
        checker.Fail("columns." + name, "the file says that it was fitted (fitted_rows), but not all that this column "
                     "needs is there; take fitted_rows out to have it fitted anew");
      }
    }
  }
  return checker.Finish();
}

StatusOr<TableSpec> ReadTree(ConfigTree tree, const std::string& path) {
  TableSpec spec;
  if (const ConfigNode* columns = tree.root.Find("columns"); columns != nullptr) {
    for (const auto& [name, node] : columns->entries) spec.columns.list.emplace_back(name, ColumnSpec());
  }
  FieldReader reader(std::move(tree));
  spec.VisitFields(reader);
  WEFT_ASSIGN_OR_RETURN(const ConfigReport report, std::move(reader).Finish());
  WEFT_RETURN_IF_ERROR(CheckSpec(spec, path, report));
  return spec;
}

}  // namespace

void MissingRule::VisitFields(FieldVisitor& v) {
  v.Field("values", values, "texts that mean that nothing is known, besides null");
  v.Choice("instead", instead, {"refuse", "word", "median", "drop_row"}, "what is done about it");
  v.Field("word", word, "what templates see with instead: word");
}

void BinRule::VisitFields(FieldVisitor& v) {
  v.Choice("by", by, {"borders", "width", "quantiles"}, "given borders, bins of equal width, or of equally many rows");
  v.Field("count", count, "bins, by width or quantiles");
  v.Field("borders", borders, "ascending; each belongs to the bin above it");
  v.Field("labels", labels, "what templates see, lowest bin first");
}

void FittedColumn::VisitFields(FieldVisitor& v) {
  v.Field("median", median, "of the training split");
  v.Field("mean", mean, "of the training split");
  v.Field("deviation", deviation, "standard deviation of the training split");
  v.Field("minimum", minimum, "of the training split");
  v.Field("maximum", maximum, "of the training split");
  v.Field("borders", borders, "between bins");
  v.Field("categories", categories, "of the training split");
}

void ColumnSpec::VisitFields(FieldVisitor& v) {
  v.Choice("kind", kind, {"text", "number", "category", "json"}, "what its values are");
  v.Field("from", from, "the rows' name of the column; left out, the same");
  v.Section("missing", missing, "values that are not there");
  v.Section("bins", bins, "ranges of numbers, by label");
  v.Choice("normalise", normalise, {"none", "standard", "minmax"}, "(x - mean) / deviation, or to 0..1");
  v.Field("digits", digits, "behind the point; left out, as many as it takes, and 2 where normalised");
  v.Field("categories", categories, "those there are; left out, those of the training split");
  v.Field("unknown", unknown, "what templates see for any other category; left out, it is an error");
  v.Section("fitted", fitted, "written by `weft data prepare`");
}

void TableSpec::Columns::VisitFields(FieldVisitor& v) {
  for (auto& [name, column] : list) v.Section(name, column, "a column");
}

void TableSpec::VisitFields(FieldVisitor& v) {
  v.Field("delimiter", delimiter, "of CSV files: \",\", \";\" or tab");
  v.Section("columns", columns, "what templates see");
  v.Field("target", target, "columns that only the completion may use");
  v.Field("prompt", prompt, "template of what is given");
  v.Field("completion", completion, "template of what is learnt");
  v.Field("text", text, "template of a text that is learnt whole");
  v.Field("chat", chat, "whether prompt and completion are a chat; written by `weft data prepare --template`");
  v.Field("fitted_rows", fitted_rows, "rows it was fitted to; written by `weft data prepare`");
}

StatusOr<TableSpec> TableSpec::Read(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(ConfigTree tree, ReadConfigTree({.path = path, .deepspeed_path = {}, .overrides = {}}));
  return ReadTree(std::move(tree), path);
}

StatusOr<TableSpec> TableSpec::Parse(const std::string& yaml, const std::string& name) {
  WEFT_ASSIGN_OR_RETURN(ConfigTree tree, ParseConfigTree(yaml, name));
  return ReadTree(std::move(tree), name);
}

std::string TableSpec::ToYaml() const { return WriteConfig(*this); }

bool TableSpec::IsTarget(const std::string& column) const {
  return std::find(target.begin(), target.end(), column) != target.end();
}

}  // namespace weft
