// weft: one binary, one verb a task.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "launch/verbs.h"

namespace {

// Each rank of a job reads the same command line: the first one speaks for all. MPI has not begun yet, but its launchers (Open
// MPI's mpirun, srun with PMIx or PMI) leave the number in the environment.
bool SpeaksForTheJob() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
    if (const char* const rank = std::getenv(name)) return std::string(rank) == "0";
  }
  return true;
}

bool IsVerb(const CLI::App& app, const std::string& name) {
  return !app.get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; }).empty();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "weft trains and fine-tunes large language models, and serves what it trained.\n"
      "Start it alone, or under mpirun or srun: each process becomes a rank.",
      "weft");
  app.set_version_flag("--version", "weft 0.1.0");
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return "weft: error: " + std::string(error.what()) + "; --help explains\n";
  });
  app.get_formatter()->column_width(36);
  weft::VerbAction action;
  const weft::ChooseVerb choose = [&action](weft::VerbAction chosen) { action = std::move(chosen); };
  weft::AddTrainVerb(app, choose);
  weft::AddStopVerb(app, choose);
  weft::AddDataVerb(app, choose);
  weft::AddExportVerb(app, choose);
  weft::AddGenerateVerb(app, choose);
  weft::AddServeVerb(app, choose);
  weft::AddInspectVerb(app, choose);
  std::ostringstream out, err;  // of the command line itself
  const auto end_with = [&](int code) {
    if (SpeaksForTheJob()) std::cout << out.str(), std::cerr << err.str();
    return code;
  };
  if (argc == 1) {
    err << app.help();
    return end_with(2);
  }
  if (const std::string verb = argv[1]; !verb.starts_with('-') && !IsVerb(app, verb)) {
    err << "weft: error: '" << verb << "' is no verb of weft; weft --help lists them\n";
    return end_with(2);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // also the way that --help takes
    return end_with(app.exit(error, out, err) == 0 ? 0 : 2);
  }
  return action();
}
