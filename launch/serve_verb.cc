// `weft serve`: answers completions and chats over HTTP until it is interrupted.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "core/file.h"
#include "data/chat_template.h"
#include "inference/load.h"
#include "inference/sampling_defaults.h"
#include "inference/server/server.h"
#include "launch/report.h"
#include "launch/verbs.h"

namespace weft {
namespace {

struct ServeArguments {
  std::string folder;
  std::string chat_template;  // a .jinja file; empty: the model's own
  ServerOptions server;
  InferenceModel::Options model = {.num_slots = 8};
  std::string dtype = "f32";
};

// The folder's own name, where the user gave the model none.
std::string NameOf(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(folder, error);
  return error ? folder : path.filename().string();
}

StatusOr<ChatTemplate> LoadTemplate(const ServeArguments& arguments, const Tokenizer& tokenizer) {
  if (arguments.chat_template.empty()) return ChatTemplate::OfModel(arguments.folder, tokenizer.config_json());
  WEFT_ASSIGN_OR_RETURN(const std::string source, ReadFile(arguments.chat_template));
  return ChatTemplate::Parse(source, std::filesystem::path(arguments.chat_template).filename(), tokenizer.config_json());
}

Status Serve(ServeArguments arguments) {
  arguments.model.dtype = *ParseDType(arguments.dtype);
  arguments.model.num_threads = DefaultNumThreads(1);
  if (arguments.server.model_name.empty()) arguments.server.model_name = NameOf(arguments.folder);
  WEFT_ASSIGN_OR_RETURN(arguments.server.sampling, ReadSamplingDefaults(arguments.folder));
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, LoadEngine(arguments.folder, arguments.model));
  StatusOr<ChatTemplate> chat_template = LoadTemplate(arguments, engine->tokenizer());
  if (!chat_template.ok() && !arguments.chat_template.empty()) return chat_template.status();
  if (!chat_template.ok()) LogInfo("no chats: ", ToStd(chat_template.status().message()));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                        Server::Listen(arguments.server, std::move(engine), std::move(chat_template)));
  server->StopOnSignals();
  LogInfo("serving ", arguments.server.model_name, " at http://", arguments.server.host, ":", server->port());
  server->Run();
  return absl::OkStatus();
}

}  // namespace

void AddServeVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* verb = app.add_subcommand("serve", "Answer completions and chats over HTTP, as OpenAI's API does");
  auto arguments = std::make_shared<ServeArguments>();
  verb->add_option("DIR", arguments->folder, "A Hugging Face folder, e.g. what weft export wrote")->required();
  verb->add_option("--host", arguments->server.host, "Address to listen on")->capture_default_str();
  verb->add_option("--port", arguments->server.port, "Port to listen on; 0: any free one")->capture_default_str();
  verb->add_option("--model-name", arguments->server.model_name, "What clients call it, if not by its folder");
  verb->add_option("--template", arguments->chat_template, "Chat template, if not the model's own")->type_name("FILE.jinja");
  verb->add_option("--slots", arguments->model.num_slots, "Requests that are answered at once; others wait")
      ->capture_default_str()->check(CLI::Range(1, 1024));
  verb->add_option("--context", arguments->model.capacity, "Tokens of prompt and answer together; 0: as the model allows, at most 8192")
      ->capture_default_str()->check(CLI::NonNegativeNumber);
  verb->add_option("--dtype", arguments->dtype, "Element type of weights and cache")->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  verb->footer("Example:\n  weft serve runs/tiny/model --port 8000 --model-name tiny\n"
               "  curl http://127.0.0.1:8000/v1/completions -H 'Content-Type: application/json' \\\n"
               "    -d '{\"model\": \"tiny\", \"prompt\": \"Once upon a time\", \"max_tokens\": 64}'\n"
               "  curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \\\n"
               "    -d '{\"model\": \"tiny\", \"messages\": [{\"role\": \"user\", \"content\": \"Who are you?\"}]}'");
  verb->callback([=] { choose([=] { return Report(Serve(*arguments)); }); });
}

}  // namespace weft
