// What a run must have in common with the checkpoint it goes on from.
#pragma once

#include <string>
#include <vector>

#include "core/status.h"
#include "trainer/run_config.h"

namespace weft {

// The settings that decide a run's numbers, by key: model, data, batch, seed, precision, optimizer, schedule. Layout,
// logging, checkpoints, threads and the number of steps may change freely between a run and its continuation.
std::string IdentityOf(const RunConfig& config);

// OK when the two agree; else an error that names each key with both values. `saved_yaml` is a checkpoint's config.
Status CheckSameIdentity(const std::string& saved_yaml, const RunConfig& config, const std::string& checkpoint);

}  // namespace weft
