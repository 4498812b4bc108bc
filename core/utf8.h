// Is a text well-formed UTF-8 (Unicode 15, section 3.9, table 3-7)?
#pragma once

#include <string_view>

namespace weft {

// False also for overlong forms, surrogates, and code points above U+10FFFF.
bool IsUtf8(std::string_view text);

}  // namespace weft
