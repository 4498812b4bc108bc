// Both spellings: add_prefix_space of old files, prepend_scheme of new ones.
#include "data/metaspace.h"

#include "data/utf8.h"

namespace weft {

StatusOr<Metaspace> Metaspace::Parse(const JsonView& json) {
  Metaspace options;
  WEFT_ASSIGN_OR_RETURN(options.replacement, json.String("replacement"));
  if (options.replacement.empty() || CodePointAt(options.replacement, 0).length != options.replacement.size()) {
    return json.Error("replacement '", options.replacement, "' is not one code point");
  }
  WEFT_ASSIGN_OR_RETURN(const bool add_prefix_space, json.BoolOr("add_prefix_space", true));
  WEFT_ASSIGN_OR_RETURN(const std::string scheme, json.StringOr("prepend_scheme", add_prefix_space ? "always" : "never"));
  if (scheme == "never") {
    options.scheme = Scheme::kNever;
  } else if (scheme == "first") {
    options.scheme = Scheme::kFirst;
  } else if (scheme != "always") {
    return json.Error("there is no prepend_scheme '", scheme, "'");
  }
  if (!add_prefix_space && options.scheme != Scheme::kNever) {
    return json.Error("add_prefix_space is false, but prepend_scheme is '", scheme, "'");
  }
  return options;
}

}  // namespace weft
