// Each kind of column in turn.
#include "data/table_column.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "core/check.h"
#include "core/config_number.h"
#include "data/jinja/printing.h"

namespace weft {
namespace {

using jinja::Value;

constexpr int64_t kNormalisedDigits = 2;

std::string Trimmed(const std::string& text) { return std::string(absl::StripAsciiWhitespace(text)); }

// With so many digits behind the point; absent: the shortest that reads back as the same.
std::string Print(double number, std::optional<int64_t> digits) {
  if (!digits.has_value()) return PrintNumber(number);
  const std::string text = absl::StrFormat("%.*f", static_cast<int>(*digits), number);
  const bool is_zero = text.find_first_not_of("-0.") == std::string::npos;
  return is_zero && text[0] == '-' ? text.substr(1) : text;
}

std::string BinOf(const ColumnSpec& column, double number) {
  const BinRule& bins = *column.bins;
  const std::vector<double>& borders = column.has_fitted_borders() ? column.fitted->borders : bins.borders;
  const size_t bin = static_cast<size_t>(std::upper_bound(borders.begin(), borders.end(), number) - borders.begin());
  if (!bins.labels.empty()) return bins.labels[bin];
  if (bin == 0) return StrCat("below ", Print(borders[0], column.digits));
  const std::string lower = Print(borders[bin - 1], column.digits);
  return bin == borders.size() ? StrCat(lower, " or more") : StrCat(lower, " to below ", Print(borders[bin], column.digits));
}

std::string NumberText(const ColumnSpec& column, double number) {
  if (column.bins.has_value()) return BinOf(column, number);
  if (column.normalise == ColumnSpec::Normalise::kNone) return Print(number, column.digits);
  const FittedColumn& fitted = *column.fitted;
  const double scaled = column.normalise == ColumnSpec::Normalise::kStandard
                            ? (number - *fitted.mean) / *fitted.deviation
                            : (number - *fitted.minimum) / (*fitted.maximum - *fitted.minimum);
  return Print(scaled, column.digits.value_or(kNormalisedDigits));
}

StatusOr<Value> CategoryValue(const ColumnSpec& column, const std::string& text) {
  const std::vector<std::string>& known = column.categories.empty() ? column.fitted->categories : column.categories;
  if (std::find(known.begin(), known.end(), text) != known.end()) return Value(text);
  if (column.unknown.has_value()) return Value(*column.unknown);
  constexpr size_t kShown = 10;
  std::string list;
  for (size_t i = 0; i < std::min(known.size(), kShown); ++i) StrAppend(&list, i == 0 ? "" : ", ", known[i]);
  return UserError("'", text, "' is none of the ", known.size(), " categories (", list, known.size() > kShown ? ", ..." : "",
                   "); `unknown` says what to put for others, and `categories` can list all");
}

StatusOr<Value> MissingValue(const ColumnSpec& column) {
  switch (column.missing.instead) {
    case MissingRule::Instead::kWord: return Value(column.missing.word);
    case MissingRule::Instead::kMedian: return Value(NumberText(column, *column.fitted->median));
    case MissingRule::Instead::kDropRow: return UserError("it is missing, and such rows are left out (missing.instead: drop_row)");
    case MissingRule::Instead::kRefuse: break;
  }
  return UserError("it is missing; missing.instead says what to put: word, median or drop_row");
}

}  // namespace

bool IsMissing(const ColumnSpec& column, const Value* value) {
  if (value == nullptr || value->is_none()) return true;
  const StatusOr<std::string> text = TextOf(*value);
  if (!text.ok()) return false;  // lists and objects are there
  const auto& values = column.missing.values;
  if (std::find(values.begin(), values.end(), Trimmed(*text)) != values.end()) return true;
  if (column.kind != ColumnSpec::Kind::kNumber) return false;
  const StatusOr<double> number = NumberOf(*value);  // -999 is missing as -999.0 and as "-999.00", too
  return number.ok() && std::any_of(values.begin(), values.end(), [&](const std::string& listed) {
    double missing = 0;
    return ParseNumber(listed, &missing) && missing == *number;
  });
}

StatusOr<std::string> TextOf(const Value& value) {
  if (value.AsText() != nullptr) return value.AsText()->bytes();
  if (value.AsInt() != nullptr) return StrCat(*value.AsInt());
  if (value.AsFloat() != nullptr) return PrintNumber(*value.AsFloat());
  if (value.AsBool() != nullptr) return std::string(*value.AsBool() ? "true" : "false");
  return UserError("expected a text, found ", value.TypeName(), "; kind: json takes it as it is");
}

StatusOr<std::string> CategoryOf(const Value& value) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, TextOf(value));
  return Trimmed(text);
}

StatusOr<double> NumberOf(const Value& value) {
  double number = 0;
  if (value.AsInt() != nullptr) return static_cast<double>(*value.AsInt());
  if (value.AsFloat() != nullptr && std::isfinite(*value.AsFloat())) return *value.AsFloat();
  if (value.AsText() != nullptr && ParseNumber(Trimmed(value.AsText()->bytes()), &number)) return number;
  const StatusOr<std::string> text = TextOf(value);
  return UserError("expected a number, found ", text.ok() ? StrCat("'", *text, "'") : std::string(value.TypeName()),
                   "; missing.values lists what means that none is known");
}

StatusOr<Value> ColumnValue(const ColumnSpec& column, const Value* value) {
  if (IsMissing(column, value)) return MissingValue(column);
  switch (column.kind) {
    case ColumnSpec::Kind::kJson: return *value;
    case ColumnSpec::Kind::kNumber: {
      WEFT_ASSIGN_OR_RETURN(const double number, NumberOf(*value));
      return Value(NumberText(column, number));
    }
    case ColumnSpec::Kind::kCategory: {
      WEFT_ASSIGN_OR_RETURN(const std::string category, CategoryOf(*value));
      return CategoryValue(column, category);
    }
    case ColumnSpec::Kind::kText: break;
  }
  WEFT_ASSIGN_OR_RETURN(const std::string text, TextOf(*value));
  return Value(text);
}

}  // namespace weft
