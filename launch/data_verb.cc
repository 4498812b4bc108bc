// `weft data prepare`: text to a token store. `weft data tokenizer`: a tokenizer learnt from text. `weft data render`: a
// row of a table as a model is shown it.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "data/documents.h"
#include "data/jinja/json_value.h"
#include "data/prepare.h"
#include "data/table.h"
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
  verb->footer("Example:\n  weft data tokenizer docs README.md --vocab-size 2048 --to tokenizer");
  verb->callback([=] { choose([=] { return Report(TrainTokenizer(*options)); }); });
}

struct RenderArguments {
  std::string table, row;
};

// The one row of a file, as a model is shown it.
Status RenderRow(const RenderArguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<const Table> table, Table::Open(arguments.table));
  WEFT_ASSIGN_OR_RETURN(const InputFiles files, FindInputFiles({arguments.row}));
  DocumentReader reader(files, table->spec().delimiter_char());
  WEFT_ASSIGN_OR_RETURN(const std::optional<Document> row, reader.Next());
  if (!row.has_value() || !row->is_record) return UserError(arguments.row, " holds no row: expected a .json, .jsonl or .csv file");
  WEFT_ASSIGN_OR_RETURN(const std::optional<Document> second, reader.Next());
  if (second.has_value()) return UserError(second->place, ": a second row; one is rendered at a time");
  WEFT_ASSIGN_OR_RETURN(const jinja::Value value, jinja::ParseJsonValue(row->bytes, row->place));
  StatusOr<std::string> prompt = table->RenderPrompt(value);
  if (!prompt.ok()) return WithContext(prompt.status(), row->place);
  std::fwrite(prompt->data(), 1, prompt->size(), stdout);
  if (table->spec().chat.value_or(false)) {
    LogInfo("this is the bare prompt, and the model was trained on it inside a chat: send it as a user's message to "
            "/v1/chat/completions of `weft serve`");
  }
  return absl::OkStatus();
}

void AddRenderVerb(CLI::App* data, const ChooseVerb& choose) {
  CLI::App* verb = data->add_subcommand("render", "Print what a model that was trained on a table is given for a row of it");
  auto arguments = std::make_shared<RenderArguments>();
  verb->add_option("ROW", arguments->row, "A .json file of one row, or a .csv or .jsonl file that holds one")->required();
  verb->add_option("--table", arguments->table, "The exported model's folder, its table.yaml, or its token store")->required()
      ->type_name("MODEL");
  verb->footer("The prompt is bare. A model whose data were prepared with --template has seen it inside a chat: send it as\n"
               "a user's message to /v1/chat/completions of `weft serve`.\n\n"
               "Example:\n  weft data render row.json --table MODEL | weft generate MODEL --prompt-file -");
  verb->callback([=] { choose([=] { return Report(RenderRow(*arguments)); }); });
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
  prepare->add_option("--column", options->columns, "A column's name, e.g. prompt=question (repeatable)")->expected(1)->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->type_name("KEY=COLUMN");
  prepare->add_flag("--keep-system", options->keep_system,
                    "Put a system message that the template leaves out in front of the first user's message");
  prepare->add_option("--table", options->table,
                      "How rows of a table become text: a YAML file (docs/tables.md), or a model's folder or a token store, "
                      "to render as they did")->type_name("FILE.yaml");
  prepare->add_option("--preferences", options->preferences,
                      "Of preference pairs, learn from the chosen answers alone")->type_name("chosen");
  prepare->add_option("--too-long", options->too_long,
                      "Samples longer than a sequence: split, cut or drop")->capture_default_str();
  prepare->add_option("--sequence-length", options->sequence_length,
                      "Tokens a sequence of the stored packing plan; training with another length packs anew")->capture_default_str();
  prepare->add_option("--validation-fraction", options->validation_fraction,
                      "Share of the documents kept for validation, by hash of their content")->capture_default_str();
  prepare->footer("Killed, the same command goes on where it stood (the folder FILE.h5.parts).\n\n"
                  "Examples:\n  weft data prepare docs README.md --to data.h5\n"
                  "  weft data prepare chat.jsonl --tokenizer MODEL --too-long cut --to chat.h5\n"
                  "  weft data prepare gsm8k.jsonl --column prompt=question --column completion=answer --to gsm8k.h5\n"
                  "  weft data prepare triage.csv --table triage.yaml --to triage.h5");
  AddRenderVerb(data, choose);
  AddTokenizerVerb(data, choose);
  prepare->callback([=] { choose([=] { return Report(PrepareData(*options)); }); });
}

}  // namespace weft
