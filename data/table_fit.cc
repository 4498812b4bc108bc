// Running sums and samples, a column each.
#include "data/table_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "core/log.h"
#include "core/progress.h"
#include "core/rng.h"
#include "data/jinja/json_value.h"
#include "data/table_column.h"
#include "data/validation_split.h"

namespace weft {
namespace {

using jinja::Value;

constexpr size_t kMaxSampled = size_t{1} << 20;  // values of a column that are kept for quantiles
constexpr size_t kMaxCategories = 1000;

// The values for which a random number, drawn by how many came before, ends in so many zero bits that they fit.
class ValueSample {
 public:
  void Add(double value) {
    const uint64_t draw = rng_.Bits(num_values_++);
    if (!Holds(draw)) return;
    values_.push_back({draw, value});
    while (values_.size() > kMaxSampled) {
      ++zero_bits_;
      std::erase_if(values_, [&](const auto& entry) { return !Holds(entry.first); });
    }
  }
  std::vector<double> Sorted() const {
    std::vector<double> sorted;
    for (const auto& [draw, value] : values_) sorted.push_back(value);
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

 private:
  bool Holds(uint64_t draw) const { return (draw & ((uint64_t{1} << zero_bits_) - 1)) == 0; }

  Rng rng_{0, StreamKey("table sample")};
  uint64_t num_values_ = 0;
  int zero_bits_ = 0;
  std::vector<std::pair<uint64_t, double>> values_;
};

// Between the two values around it, as numpy's default. `sorted` is not empty.
double Quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

struct ColumnSums {
  int64_t num_present = 0;  // rows that have the column, also of validation and those left out
  int64_t count = 0;        // values of the training split
  double mean = 0, squares = 0;  // squares: sum of squared distances from the mean (Welford)
  double minimum = std::numeric_limits<double>::infinity(), maximum = -minimum;
  ValueSample sample;
  std::set<std::string> categories;

  void AddNumber(double value) {
    ++count;
    const double before = value - mean;
    mean += before / static_cast<double>(count);
    squares += before * (value - mean);
    minimum = std::min(minimum, value);
    maximum = std::max(maximum, value);
    sample.Add(value);
  }
};

// One pass with a given threshold.
struct FitPass {
  const TableSpec& spec;
  const uint64_t threshold;
  std::vector<ColumnSums> sums{};  // [columns]
  int64_t num_rows = 0, num_training = 0;
  uint64_t lowest = std::numeric_limits<uint64_t>::max(), highest = 0;  // row hashes
  std::string keys{};  // of the first row

  Status AddRow(const Document& document);
  Status AddCell(const ColumnSpec& column, const Value& cell, ColumnSums* sum);
  Status Run(const InputFiles& files);
};

Status FitPass::AddCell(const ColumnSpec& column, const Value& cell, ColumnSums* sum) {
  if (column.kind == ColumnSpec::Kind::kNumber) {
    WEFT_ASSIGN_OR_RETURN(const double number, NumberOf(cell));
    sum->AddNumber(number);
  } else if (column.kind == ColumnSpec::Kind::kCategory && column.categories.empty()) {
    WEFT_ASSIGN_OR_RETURN(std::string category, CategoryOf(cell));
    sum->categories.insert(std::move(category));
    if (sum->categories.size() > kMaxCategories) {
      return UserError("more than ", kMaxCategories, " categories: is it a text, or a number?");
    }
  }
  return absl::OkStatus();
}

Status FitPass::AddRow(const Document& document) {
  if (!document.is_record) return UserError("this is no row of a table: --table reads .csv, .tsv, .jsonl and .json files");
  WEFT_ASSIGN_OR_RETURN(const Value row, jinja::ParseJsonValue(document.bytes, "the row"));
  if (row.AsDict() == nullptr) return UserError("expected an object, found ", row.TypeName());
  const jinja::Dict& dict = *row.AsDict();
  if (keys.empty()) {
    for (const auto& entry : dict.entries) StrAppend(&keys, keys.empty() ? "" : ", ", entry.key.bytes());
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i].num_present += CellOf(spec.columns.list[i].first, spec.columns.list[i].second, dict) != nullptr;
  }
  ++num_rows;
  if (IsDropped(spec, dict)) return absl::OkStatus();
  const uint64_t hash = RowHash(spec, dict);
  lowest = std::min(lowest, hash);
  highest = std::max(highest, hash);
  if (hash < threshold) return absl::OkStatus();
  ++num_training;
  for (size_t i = 0; i < sums.size(); ++i) {
    const auto& [name, column] = spec.columns.list[i];
    const Value* cell = CellOf(name, column, dict);
    if (IsMissing(column, cell)) continue;
    const Status status = AddCell(column, *cell, &sums[i]);
    if (!status.ok()) return WithContext(status, StrCat("column ", name));
  }
  return absl::OkStatus();
}

Status FitPass::Run(const InputFiles& files) {
  sums.resize(spec.columns.list.size());
  Progress progress("fitting", files.bytes(), "bytes");
  DocumentReader reader(files, spec.delimiter_char());
  int64_t shown = 0;
  while (true) {
    WEFT_ASSIGN_OR_RETURN(const std::optional<Document> document, reader.Next());
    if (!document.has_value()) return absl::OkStatus();
    const Status status = AddRow(*document);
    if (!status.ok()) return WithContext(status, document->place);
    progress.Advance(reader.bytes_read() - std::exchange(shown, reader.bytes_read()));
  }
}

StatusOr<std::vector<double>> FitBorders(const BinRule& bins, const ColumnSums& sums, const std::vector<double>& sorted) {
  std::vector<double> borders;
  for (int64_t i = 1; i < bins.count; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(bins.count);
    borders.push_back(bins.by == BinRule::By::kWidth ? sums.minimum + share * (sums.maximum - sums.minimum)
                                                     : Quantile(sorted, share));
  }
  if (sums.minimum < sums.maximum && std::adjacent_find(borders.begin(), borders.end()) == borders.end()) return borders;
  return UserError("bins: the values are too much alike for ", bins.count, " bins; give fewer, or their borders (by: borders)");
}

// Nothing where the column asks for nothing.
StatusOr<std::optional<FittedColumn>> FitColumn(const ColumnSpec& column, const ColumnSums& sums) {
  FittedColumn fitted;
  if (column.kind == ColumnSpec::Kind::kCategory) {
    if (!column.categories.empty()) return std::nullopt;
    if (sums.categories.empty()) return UserError("no row of the training split has a value");
    fitted.categories.assign(sums.categories.begin(), sums.categories.end());
    return fitted;
  }
  const bool needs_median = column.missing.instead == MissingRule::Instead::kMedian;
  const bool is_normalised = column.normalise != ColumnSpec::Normalise::kNone;
  if (!needs_median && !is_normalised && !column.has_fitted_borders()) return std::nullopt;
  if (sums.count == 0) return UserError("no row of the training split has a value");
  const std::vector<double> sorted = sums.sample.Sorted();
  if (needs_median) fitted.median = Quantile(sorted, 0.5);
  if (column.has_fitted_borders()) {
    WEFT_ASSIGN_OR_RETURN(fitted.borders, FitBorders(*column.bins, sums, sorted));
  }
  if (is_normalised && sums.minimum == sums.maximum) return UserError("normalise: all its values are ", sums.minimum);
  if (column.normalise == ColumnSpec::Normalise::kStandard) {
    fitted.mean = sums.mean;
    fitted.deviation = std::sqrt(sums.squares / static_cast<double>(sums.count));
  } else if (column.normalise == ColumnSpec::Normalise::kMinMax) {
    fitted.minimum = sums.minimum;
    fitted.maximum = sums.maximum;
  }
  return fitted;
}

// Rows to fit to, and of each column a row that has it.
Status CheckRows(const FitPass& pass) {
  if (pass.num_rows == 0) return UserError("the inputs hold no rows to learn from");
  for (size_t i = 0; i < pass.sums.size(); ++i) {
    if (pass.sums[i].num_present > 0) continue;
    const auto& [name, column] = pass.spec.columns.list[i];
    return UserError("columns.", name, ": no row has a column '", column.from.empty() ? name : column.from,
                     "'; the first row has: ", pass.keys, ". Say with `from` what it is called, or the delimiter");
  }
  if (pass.lowest > pass.highest) return UserError("each of the ", pass.num_rows, " rows lacks a value that makes it dropped");
  return absl::OkStatus();
}

StatusOr<TableSpec> Fitted(const FitPass& pass) {
  TableSpec spec = pass.spec;
  for (size_t i = 0; i < pass.sums.size(); ++i) {
    auto& [name, column] = spec.columns.list[i];
    StatusOr<std::optional<FittedColumn>> fitted = FitColumn(column, pass.sums[i]);
    if (!fitted.ok()) return WithContext(fitted.status(), StrCat("columns.", name));
    column.fitted = *std::move(fitted);
  }
  spec.fitted_rows = pass.num_training;
  return spec;
}

StatusOr<TableFit> FitToRows(const TableSpec& spec, const std::string& path, const InputFiles& files, double validation_fraction) {
  // The threshold's bounds are those of the rows' hashes, which are known behind the pass. They matter where rows are so
  // few that none would be validation, or all; then a second pass leaves out the one that is.
  uint64_t threshold = ValidationThreshold(0, std::numeric_limits<uint64_t>::max(), validation_fraction);
  while (true) {
    FitPass pass{.spec = spec, .threshold = threshold};
    WEFT_RETURN_IF_ERROR(pass.Run(files));
    WEFT_RETURN_IF_ERROR(WithContext(CheckRows(pass), path));
    threshold = ValidationThreshold(pass.lowest, pass.highest, validation_fraction);
    if (threshold != pass.threshold) continue;
    LogInfo("fitted the table to ", pass.num_training, " rows of the training split");
    TableFit fit{.table = nullptr, .validation_threshold = threshold};
    StatusOr<TableSpec> fitted = Fitted(pass);
    if (!fitted.ok()) return WithContext(fitted.status(), path);
    WEFT_ASSIGN_OR_RETURN(fit.table, Table::Create(*std::move(fitted), path));
    return fit;
  }
}

}  // namespace

StatusOr<TableFit> FitTable(const std::string& path, const InputFiles& files, double validation_fraction) {
  WEFT_ASSIGN_OR_RETURN(const TableSpec spec, ReadTableOf(path));
  const bool is_fitted = spec.fitted_rows.has_value();
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<const Table> table, Table::Create(spec, path));  // finds errors in templates before the pass
  if (is_fitted) return TableFit{.table = std::move(table), .validation_threshold = {}};
  return FitToRows(spec, path, files, validation_fraction);
}

}  // namespace weft
