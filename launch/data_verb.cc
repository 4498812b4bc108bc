// `weft data prepare`: text to a token store. `weft data tokenizer`: a tokenizer learnt from text.
#include <CLI/CLI.hpp>

#include "data/prepare.h"
#include "data/tokenizer_training.h"
#include "launch/report.h"
#include "launch/verbs.h"

namespace weft {
namespace {

void AddTokenizerVerb(CLI::App* data, const ChooseVerb& choose) {
  CLI::App* verb = data->add_subcommand("tokenizer", "Learn a byte-level BPE from text and write its tokenizer.json");
  auto options = std::make_shared<TokenizerTrainingOptions>();
  verb->add_option("INPUT", options->inputs, "Text files, folders of text files, .jsonl, .json and .csv files whose records have a 'text'")->required();
  verb->add_option("--to", options->to, "The folder to write tokenizer.json to")->required()->type_name("FOLDER");
  verb->add_option("--vocab-size", options->vocab_size,
                   "Tokens in all: 256 bytes, what is learnt, and 16 control tokens")->required();
  verb->footer("Example:\n  weft data tokenizer docs --vocab-size 4096 --to tokenizer");
  verb->callback([=] { choose([=] { return Report(TrainTokenizer(*options)); }); });
}

}  // namespace

void AddDataVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* data = app.add_subcommand("data", "Turn text into what training reads");
  data->require_subcommand(1);
  CLI::App* prepare = data->add_subcommand("prepare", "Tokenise text, conversations and other records into one token store");
  auto options = std::make_shared<PrepareOptions>();
  prepare->add_option("INPUT", options->inputs, "Text files, folders of text files, files of records (text, conversations, prompts): .jsonl, .json, .csv, .tsv")->required();
  prepare->add_option("--to", options->to, "The token store to write")->required()->type_name("FILE.h5");
  prepare->add_option("--tokenizer", options->tokenizer,
                      "A tokenizer.json, a tokenizer.model or a model's folder; left out, one token a byte (no download)");
  prepare->add_option("--template", options->chat_template,
                      "The chat template of conversations; left out, the tokenizer's own. Named, it renders prompts and "
                      "completions too")->type_name("FILE.jinja");
  prepare->add_option("--format", options->format,
                      "Of records: messages, sharegpt, alpaca, prompt_completion, preference or text; left out, by their keys");
  prepare->add_option("--column", options->columns, "A column's name, e.g. prompt=question (repeatable)")->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->type_name("KEY=COLUMN");
  prepare->add_flag("--keep-system", options->keep_system,
                    "Put a system message that the template leaves out in front of the first user's message");
  prepare->add_option("--preferences", options->preferences,
                      "Of preference pairs, learn from the chosen answers alone")->type_name("chosen");
  prepare->add_option("--too-long", options->too_long,
                      "Samples longer than a sequence: split, cut or drop")->capture_default_str();
  prepare->add_option("--sequence-length", options->sequence_length,
                      "Tokens a sequence of the stored packing plan; training with another length packs anew")->capture_default_str();
  prepare->add_option("--validation-fraction", options->validation_fraction,
                      "Share of the documents kept for validation, by hash of their content")->capture_default_str();
  prepare->footer("Examples:\n  weft data prepare docs README.md --to data.h5\n"
                  "  weft data prepare chat.jsonl --tokenizer MODEL --too-long cut --to chat.h5\n"
                  "  weft data prepare gsm8k.jsonl --column prompt=question --column completion=answer --to gsm8k.h5");
  AddTokenizerVerb(data, choose);
  prepare->callback([=] { choose([=] { return Report(PrepareData(*options)); }); });
}

}  // namespace weft
