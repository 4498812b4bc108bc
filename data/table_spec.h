// TableSpec: how rows of a table become text: which columns there are, what is done with each, and the templates that
// put them into words (docs/tables.md). Written by people as YAML:
//
//   columns:
//     age: {kind: number, missing: {values: ["", NA], instead: median}, bins: {by: borders, borders: [18, 40, 65]}}
//     complaint: {kind: text}
//     triage: {kind: category}
//   target: [triage]
//   prompt: "Age {{ age }}. {{ complaint }}\nTriage:"
//   completion: " {{ triage }}"
//
// What is fitted to data (medians, borders of bins, means, categories) is written beside it, into the same YAML, so that
// one text renders a row the same way in training and in use. It travels in the token store, checkpoints and exports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/fields.h"
#include "core/status.h"

namespace weft {

// Values that are not there.
struct MissingRule {
  enum class Instead { kRefuse, kWord, kMedian, kDropRow };
  std::vector<std::string> values = {""};  // null, and a column that a row does not have, are missing always
  Instead instead = Instead::kRefuse;
  std::string word = "unknown";
  void VisitFields(FieldVisitor& v);
};

// Numbers to the labels of ranges. n borders make n + 1 bins, the outer ones open; a border belongs to the bin above it.
struct BinRule {
  enum class By { kBorders, kWidth, kQuantiles };
  By by = By::kBorders;
  int64_t count = 0;                // of bins, where their borders are fitted
  std::vector<double> borders;      // given ones, ascending
  std::vector<std::string> labels;  // [bins], or none: "below 18", "18 to below 40", "65 or more"
  void VisitFields(FieldVisitor& v);
  int64_t num_bins() const { return by == By::kBorders ? static_cast<int64_t>(borders.size()) + 1 : count; }
};

// What the training split's values were like. Only what the column asks for is there.
struct FittedColumn {
  std::optional<double> median, mean, deviation, minimum, maximum;
  std::vector<double> borders;          // ascending
  std::vector<std::string> categories;  // sorted
  void VisitFields(FieldVisitor& v);
};

struct ColumnSpec {
  enum class Kind { kText, kNumber, kCategory, kJson };
  enum class Normalise { kNone, kStandard, kMinMax };
  Kind kind = Kind::kText;
  std::string from;  // the rows' name of it; empty: the same as here
  MissingRule missing;
  std::optional<BinRule> bins;
  Normalise normalise = Normalise::kNone;
  std::optional<int64_t> digits;        // behind the point
  std::vector<std::string> categories;  // empty: those of the training split
  std::optional<std::string> unknown;   // instead of a category that is not among them; absent: an error
  std::optional<FittedColumn> fitted;
  void VisitFields(FieldVisitor& v);

  bool has_fitted_borders() const { return bins.has_value() && bins->by != BinRule::By::kBorders; }
};

struct TableSpec {
  // Sections whose names are the user's own.
  struct Columns {
    std::vector<std::pair<std::string, ColumnSpec>> list;  // in the order written
    void VisitFields(FieldVisitor& v);
  };

  std::string delimiter = ",";  // of CSV files: "," or ";" or "tab"
  Columns columns;
  std::vector<std::string> target;  // columns for the completion alone: a row in use has none
  std::string prompt, completion;   // templates
  std::string text;                 // a template, in place of those two
  std::optional<bool> chat;         // true: the store's prompts and completions stand inside a chat template
  std::optional<int64_t> fitted_rows;  // of the training split; absent: not fitted yet
  void VisitFields(FieldVisitor& v);

  // A YAML file, checked. Errors name file and line.
  static StatusOr<TableSpec> Read(const std::string& path);
  static StatusOr<TableSpec> Parse(const std::string& yaml, const std::string& name);
  std::string ToYaml() const;  // which Read reads back as equal

  bool IsTarget(const std::string& column) const;
  char delimiter_char() const { return delimiter == "tab" ? '\t' : delimiter[0]; }
};

}  // namespace weft
