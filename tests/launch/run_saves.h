// What lies in the checkpoints folder of a run that was hurt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace weft {

// The step of a run's newest complete checkpoint; 0: there is none. One that cannot be read fails the test.
int64_t NewestStep(const std::string& run);

// Whether a save that began after `since` is under way, or was cut short.
bool HasUnfinishedSave(const std::string& run, std::filesystem::file_time_type since);

}  // namespace weft
