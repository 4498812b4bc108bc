// `weft generate`: continues a prompt, on stdout.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <future>
#include <optional>

#include "core/file.h"
#include "inference/load.h"
#include "inference/sampling_defaults.h"
#include "launch/report.h"
#include "launch/verbs.h"

namespace weft {
namespace {

struct GenerateArguments {
  std::string folder;
  std::string prompt, prompt_file;
  int64_t max_tokens = 128;
  std::optional<double> temperature, top_p;  // not given: as the model says
  std::optional<int64_t> top_k;
  uint64_t seed = 0;
  std::string dtype = "f32";
  bool ignore_eos = false;
  int64_t context = 0;
};

// The text to continue, to its last byte: a shell's $(...) takes line breaks off the end.
StatusOr<std::string> PromptOf(const GenerateArguments& arguments) {
  if (arguments.prompt_file.empty()) return arguments.prompt;
  return ReadFile(arguments.prompt_file == "-" ? "/dev/stdin" : arguments.prompt_file);
}

StatusOr<SamplingOptions> SamplingOf(const GenerateArguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(SamplingOptions sampling, ReadSamplingDefaults(arguments.folder));
  sampling.temperature = arguments.temperature.value_or(sampling.temperature);
  sampling.top_p = arguments.top_p.value_or(sampling.top_p);
  sampling.top_k = arguments.top_k.value_or(sampling.top_k);
  sampling.seed = arguments.seed;
  return sampling;
}

Status Generate(const GenerateArguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const std::string prompt, PromptOf(arguments));
  std::promise<void> done;  // outlives the engine, which sets it
  const InferenceModel::Options options = {.dtype = *ParseDType(arguments.dtype), .capacity = arguments.context,
                                           .num_threads = DefaultNumThreads(1)};
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, LoadEngine(arguments.folder, options));
  const Tokenizer& tokenizer = engine->tokenizer();
  CompletionRequest request;
  request.prompt = tokenizer.Encode(prompt);
  // A model without a beginning-of-sequence token cannot continue nothing.
  if (request.prompt.empty() && tokenizer.eos_id().has_value()) request.prompt = {*tokenizer.eos_id()};
  const int64_t room = engine->capacity() - static_cast<int64_t>(request.prompt.size());
  request.max_tokens = arguments.max_tokens;
  if (room > 0 && arguments.max_tokens > room) {
    LogInfo("the context of ", engine->capacity(), " tokens leaves room for ", room, " after the prompt");
    request.max_tokens = room;
  }
  WEFT_ASSIGN_OR_RETURN(request.sampling, SamplingOf(arguments));
  request.ignore_eos = arguments.ignore_eos;
  request.deliver = [&done](const Delivery& delivery) {
    std::fwrite(delivery.text.data(), 1, delivery.text.size(), stdout);
    std::fflush(stdout);
    if (delivery.finished != FinishReason::kNone) done.set_value();
    return true;
  };
  WEFT_RETURN_IF_ERROR(engine->Submit(std::move(request)));
  done.get_future().wait();
  if (::isatty(STDOUT_FILENO) == 1) std::fputs("\n", stdout);  // a pipe gets the text alone
  return absl::OkStatus();
}

}  // namespace

void AddGenerateVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* verb = app.add_subcommand("generate", "Continue a prompt with a model; the text alone goes to stdout");
  auto arguments = std::make_shared<GenerateArguments>();
  verb->add_option("DIR", arguments->folder, "A Hugging Face folder, e.g. what weft export wrote")->required();
  CLI::Option* prompt = verb->add_option("--prompt", arguments->prompt, "The text to continue")->type_name("TEXT");
  CLI::Option* file = verb->add_option("--prompt-file", arguments->prompt_file, "A file with the text to continue, whole; - is the input")
                          ->type_name("FILE")->excludes(prompt);
  verb->add_option("--max-tokens", arguments->max_tokens, "Tokens to generate at most")->capture_default_str();
  verb->add_option("--temperature", arguments->temperature,
                   "0 takes the most likely token each time; left out, this and the next two are those of the model's "
                   "generation_config.json, else 1, 1 and 0");
  verb->add_option("--top-p", arguments->top_p, "Sample among the most likely tokens of this total probability");
  verb->add_option("--top-k", arguments->top_k, "Sample among this many tokens; 0: all");
  verb->add_option("--seed", arguments->seed, "The same seed gives the same text")->capture_default_str();
  verb->add_option("--dtype", arguments->dtype, "Element type of weights and cache")->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  verb->add_option("--context", arguments->context,
                   "Tokens of prompt and answer together; 0: as the model allows, at most 8192")
      ->capture_default_str()->check(CLI::NonNegativeNumber);
  verb->add_flag("--ignore-eos", arguments->ignore_eos, "Go on after an end-of-text token");
  verb->footer("Examples:\n  weft generate runs/tiny/model --prompt 'Once upon a time' --max-tokens 64 --temperature 0\n"
               "  weft data render row.json --table MODEL | weft generate MODEL --prompt-file -");
  verb->callback([=] {
    const bool has_prompt = prompt->count() + file->count() > 0;
    choose([=] {
      return Report(has_prompt ? Generate(*arguments) : UserError("give a text to continue: --prompt TEXT, or --prompt-file FILE (- is the input)"));
    });
  });
}

}  // namespace weft
