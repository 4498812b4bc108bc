// The escapes of string literals in templates: those of Python's.
#pragma once

#include <string>
#include <string_view>

#include "core/status.h"

namespace weft::jinja {

// `literal` is what stands between the quotes. Escapes that Python does not know stay as they are. Fails where an
// escape is cut short or names no character.
StatusOr<std::string> Unescape(std::string_view literal);

}  // namespace weft::jinja
