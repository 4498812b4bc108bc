// Fitting a table's specification: one pass over the rows for medians, borders of bins, means, deviations and categories.
//
// Only rows of the training split count, so that nothing of the validation split leaks into how it is shown. Which rows
// those are follows from the hashes of rows as they were read (RowHash), not of what they are rendered to, because that
// depends on the fit. Memory does not grow with the rows: medians and quantiles are exact up to a million values, and
// above that those of a random sample of half a million or more.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/status.h"
#include "data/documents.h"
#include "data/table.h"

namespace weft {

struct TableFit {
  std::unique_ptr<const Table> table;
  // Of row hashes: those below it are validation (data/validation_split.h). Absent where the table was fitted before, so
  // that nothing here depends on the split.
  std::optional<uint64_t> validation_threshold;
};

// The table that `path` names (ReadTableOf), fitted to the files where it is not fitted yet. Errors name the row, a column
// that no row has, and what cannot be fitted to the values there are.
StatusOr<TableFit> FitTable(const std::string& path, const InputFiles& files, double validation_fraction);

}  // namespace weft
