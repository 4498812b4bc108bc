// The filters that work on sequences: items | join(', '), messages | selectattr('role', 'equalto', 'user').
#pragma once

#include "data/jinja/function.h"

namespace weft::jinja {

const Builtin* FindSequenceFilter(std::string_view name);  // null where there is none

}  // namespace weft::jinja
