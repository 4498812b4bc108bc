// `weft export`: a checkpoint to a Hugging Face folder.
#include <CLI/CLI.hpp>

#include "checkpoint/checkpoint.h"
#include "checkpoint/hugging_face.h"
#include "launch/report.h"
#include "launch/verbs.h"

namespace weft {
namespace {

struct ExportArguments {
  std::string from;
  std::string to;
  std::string dtype = "f32";
};

Status Export(const ExportArguments& arguments) {
  WEFT_ASSIGN_OR_RETURN(const std::string checkpoint, FindCheckpoint(arguments.from));
  WEFT_RETURN_IF_ERROR(ExportHuggingFace(checkpoint, arguments.to, {.dtype = *ParseDType(arguments.dtype)}));
  LogInfo("exported ", checkpoint, " to ", arguments.to);
  return absl::OkStatus();
}

}  // namespace

void AddExportVerb(CLI::App& app, const ChooseVerb& choose) {
  CLI::App* verb = app.add_subcommand("export", "Write a run or a checkpoint as a Hugging Face folder");
  auto arguments = std::make_shared<ExportArguments>();
  verb->add_option("RUN", arguments->from, "A run's folder (its newest complete checkpoint) or a checkpoint")->required();
  verb->add_option("--to", arguments->to, "The folder to write")->required()->type_name("DIR");
  verb->add_option("--dtype", arguments->dtype, "Element type of the weights")->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  verb->footer("Example:\n  weft export runs/tiny --to runs/tiny/model");
  verb->callback([=] { choose([=] { return Report(Export(*arguments)); }); });
}

}  // namespace weft
