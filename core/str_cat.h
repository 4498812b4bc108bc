// StrCat: absl::StrCat that also takes std::string_view, which Debian's Abseil (built as C++14) keeps apart from its own.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace weft {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

namespace str_cat_internal {
template <typename T>
decltype(auto) Piece(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return ToAbsl(value);
  } else {
    return (value);
  }
}
}  // namespace str_cat_internal

template <typename... Parts>
std::string StrCat(const Parts&... parts) {
  return absl::StrCat(str_cat_internal::Piece(parts)...);
}

template <typename... Parts>
void StrAppend(std::string* to, const Parts&... parts) {
  absl::StrAppend(to, str_cat_internal::Piece(parts)...);
}

}  // namespace weft
