// What a run must have in common with the checkpoint it goes on from.
#pragma once

#include <string>

#include "core/status.h"

namespace weft {

// OK when the resolved configurations of a checkpoint and of a run agree in everything that decides the run's numbers;
// else an error that names each key with both values. Layout, output, logging, evaluation, checkpoints, threads, what
// becomes of bad steps and the number of steps may change freely. Both texts are as WriteConfig writes them.
//
// Where the user names the checkpoint (`is_named`: checkpoint.resume is a path), the learning rate, its schedule and clipping
// may change, too: that is how one goes on after a loss that diverged. Each such key is then logged with both values.
Status CheckSameRun(const std::string& checkpoint, const std::string& saved_yaml, const std::string& current_yaml, bool is_named);

// Whether the run that wrote a checkpoint is the one that these settings began from a named checkpoint: both name the same one,
// and nothing that decides the numbers differs. The texts are as above.
bool IsCourseOf(const std::string& saved_yaml, const std::string& current_yaml);

}  // namespace weft
