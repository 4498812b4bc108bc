// `weft stop RUN`: asks a run to finish its step, save and end.
#include <CLI/CLI.hpp>

#include "launch/report.h"
#include "launch/verbs.h"
#include "trainer/stop_request.h"

namespace weft {
namespace {

int RunStop(const std::string& run_folder) {
  const Status asked = StopRequest::Ask(run_folder);
  if (asked.ok()) LogInfo("asked ", run_folder, " to stop: if it is running, it finishes its step, saves a checkpoint and ends");
  return Report(asked);
}

}  // namespace

void AddStopVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* verb = app.add_subcommand("stop", "Ask a running training to finish its step, save and end");
  auto run_folder = std::make_shared<std::string>();
  verb->add_option("RUN", *run_folder, "The run's folder (key `output` of its configuration)")->required();
  verb->footer(
      "The run looks for the request once a second. Signals do the same: SIGINT or SIGTERM to a single process or, under\n"
      "srun, to the ranks; SIGUSR1 to mpirun. (mpirun kills its ranks two seconds after SIGINT or SIGTERM: what they did since\n"
      "the last checkpoint is then lost.) The same `weft train` command goes on from there.");
  verb->callback([=] { choose([=] { return RunStop(*run_folder); }); });
}

}  // namespace weft
