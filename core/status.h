// Status: how an error that a user or the world can cause travels. Our own bugs use core/check.h instead.
//
// weft throws nothing across its own interfaces. absl::Status codes carry the meaning that the process exit code needs:
// what the user can mend (a config key, a missing or corrupt file) exits with 2, anything else with 1.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/str_cat.h"

namespace weft {

using absl::Status;
using absl::StatusOr;

// A mistake the user can mend; say what was expected, what came, and the key or command to change.
template <typename... Parts>
Status UserError(const Parts&... parts) {
  return absl::InvalidArgumentError(StrCat(parts...));
}

// Damaged or truncated input: a file that is not what it claims to be.
template <typename... Parts>
Status DataError(const Parts&... parts) {
  return absl::DataLossError(StrCat(parts...));
}

// The same code, with `context` and a colon before the message.
Status WithContext(const Status& status, std::string_view context);

// 0 for OK, 2 for what the user can mend, 1 for anything else.
int ExitCode(const Status& status);

namespace status_internal {
inline const Status& GetStatus(const Status& status) { return status; }
template <typename T>
const Status& GetStatus(const StatusOr<T>& value) {
  return value.status();
}
}  // namespace status_internal

#define WEFT_CONCAT_INNER_(a, b) a##b
#define WEFT_CONCAT_(a, b) WEFT_CONCAT_INNER_(a, b)

#define WEFT_RETURN_IF_ERROR(expr)                                  \
  do {                                                              \
    const ::weft::Status weft_status_ = (expr);                     \
    if (!weft_status_.ok()) return weft_status_;                    \
  } while (false)

#define WEFT_ASSIGN_OR_RETURN(lhs, expr) \
  WEFT_ASSIGN_OR_RETURN_(WEFT_CONCAT_(weft_or_, __LINE__), lhs, expr)
#define WEFT_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) return tmp.status();          \
  lhs = std::move(tmp).value()

}  // namespace weft
