// `weft data prepare`: text to a token store.
#include <CLI/CLI.hpp>

#include "data/prepare.h"
#include "launch/report.h"
#include "launch/verbs.h"

namespace weft {

void AddDataVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* data = app.add_subcommand("data", "Turn text into what training reads");
  data->require_subcommand(1);
  CLI::App* prepare = data->add_subcommand("prepare", "Tokenise text files, folders and JSON Lines into one token store");
  auto options = std::make_shared<PrepareOptions>();
  prepare->add_option("INPUT", options->inputs, "Text files, folders of text files, .jsonl files with a field 'text'")->required();
  prepare->add_option("--to", options->to, "The token store to write")->required()->type_name("FILE.h5");
  prepare->add_option("--tokenizer", options->tokenizer,
                      "A tokenizer.json or a model's folder; left out, one token a byte (no download)");
  prepare->add_option("--sequence-length", options->sequence_length,
                      "Tokens a sequence of the stored packing plan; training with another length packs anew")->capture_default_str();
  prepare->add_option("--validation-fraction", options->validation_fraction,
                      "Share of the documents kept for validation, by hash of their content")->capture_default_str();
  prepare->footer("Example:\n  weft data prepare docs README.md --to data.h5");
  prepare->callback([=] { choose([=] { return Report(PrepareData(*options)); }); });
}

}  // namespace weft
