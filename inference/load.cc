// Opens all that serving needs from one folder (see load.h).
#include "inference/load.h"

#include <filesystem>

namespace weft {

StatusOr<std::unique_ptr<Engine>> LoadEngine(const std::string& folder, const InferenceModel::Options& options) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder + "/config.json", ignored)) {
    const bool is_run = std::filesystem::exists(folder + "/checkpoints", ignored) || std::filesystem::exists(folder + "/complete", ignored);
    if (is_run) return UserError(folder, " is a training run, not a model; first: weft export ", folder, " --to DIR");
    return absl::NotFoundError(StrCat(folder, " is not a model folder: it has no config.json"));
  }
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(folder));
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<InferenceModel> model, InferenceModel::Load(folder, options));
  if (tokenizer->vocab_size() > model->config().vocab_size) {
    return UserError(folder, ": the tokenizer has ", tokenizer->vocab_size(), " tokens, the model ",
                     model->config().vocab_size);
  }
  const std::vector<int64_t>& eos_of_model = model->config().eos_token_ids;
  std::vector<int32_t> eos(eos_of_model.begin(), eos_of_model.end());
  if (eos.empty() && tokenizer->eos_id().has_value()) eos.push_back(*tokenizer->eos_id());
  return std::make_unique<Engine>(std::move(model), std::shared_ptr<const Tokenizer>(std::move(tokenizer)),
                                  std::move(eos));
}

}  // namespace weft
