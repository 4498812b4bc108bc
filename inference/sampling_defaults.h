// How a model wants to be sampled from: what its generation_config.json says. Requests and flags come before it.
#pragma once

#include <string>

#include "inference/sampler.h"

namespace weft {

// temperature, top_p and top_k of the generation_config.json in `folder`; where it says do_sample: false, temperature 0;
// SamplingOptions' own where it, or the file, is absent. A line of the log names what else it asks for and weft does not do.
StatusOr<SamplingOptions> ReadSamplingDefaults(const std::string& folder);

}  // namespace weft
