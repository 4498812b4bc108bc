// Opens all that serving needs from one folder (see load.h).
#include "inference/load.h"

namespace weft {

StatusOr<std::unique_ptr<Engine>> LoadEngine(const std::string& folder, const InferenceModel::Options& options) {
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(folder));
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<InferenceModel> model, InferenceModel::Load(folder, options));
  if (tokenizer->vocab_size() > model->config().vocab_size) {
    return UserError(folder, ": the tokenizer has ", tokenizer->vocab_size(), " tokens, the model ",
                     model->config().vocab_size);
  }
  WEFT_ASSIGN_OR_RETURN(std::vector<int32_t> eos, ReadEosIds(folder, model->config(), *tokenizer));
  return std::make_unique<Engine>(std::move(model), std::shared_ptr<const Tokenizer>(std::move(tokenizer)),
                                  std::move(eos));
}

}  // namespace weft
