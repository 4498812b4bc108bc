// The verbs of the `weft` binary. Each adds its options to the command line and returns what runs it: the function that
// main() calls once the line has been parsed, whose result is the process's exit code (core/status.h).
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace weft {

using VerbAction = std::function<int()>;

// Calls `chosen` with the action of the verb that was given.
using ChooseVerb = std::function<void(VerbAction)>;

void AddTrainVerb(CLI::App& app, const ChooseVerb& choose);
void AddStopVerb(CLI::App& app, const ChooseVerb& choose);
void AddDataVerb(CLI::App& app, const ChooseVerb& choose);
void AddExportVerb(CLI::App& app, const ChooseVerb& choose);
void AddGenerateVerb(CLI::App& app, const ChooseVerb& choose);
void AddServeVerb(CLI::App& app, const ChooseVerb& choose);
void AddInspectVerb(CLI::App& app, const ChooseVerb& choose);

}  // namespace weft
