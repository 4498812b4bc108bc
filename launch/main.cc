// weft: one binary, one verb a task.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "launch/verbs.h"

namespace {

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
  if (argc == 1) {
    std::fputs(app.help().c_str(), stderr);
    return 2;
  }
  if (const std::string verb = argv[1]; !verb.starts_with('-') && !IsVerb(app, verb)) {
    std::fprintf(stderr, "weft: error: '%s' is no verb of weft; weft --help lists them\n", verb.c_str());
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // also the way that --help takes
    return app.exit(error) == 0 ? 0 : 2;
  }
  return action();
}
