// Reads generation_config.json (see sampling_defaults.h).
#include "inference/sampling_defaults.h"

#include <algorithm>

#include "core/file.h"
#include "core/log.h"
#include "data/json_view.h"
#include "model/json_reader.h"

namespace weft {
namespace {

// Keys that would change what is sampled, with the values that ask for nothing.
void LogWhatIsNotHonoured(const nlohmann::json& config, const std::string& path) {
  static const std::pair<const char*, double> kNeutral[] = {{"repetition_penalty", 1}, {"min_p", 0},      {"typical_p", 1},
                                                            {"no_repeat_ngram_size", 0}, {"num_beams", 1}, {"epsilon_cutoff", 0},
                                                            {"eta_cutoff", 0}};
  std::string names;
  for (const auto& [key, neutral] : kNeutral) {
    const nlohmann::json value = config.value(key, nlohmann::json());
    if (!value.is_null() && value != neutral) StrAppend(&names, names.empty() ? "" : ", ", key);
  }
  if (!names.empty()) LogInfo(path, ": not honoured: ", names);
}

}  // namespace

StatusOr<SamplingOptions> ReadSamplingDefaults(const std::string& folder) {
  const std::string path = folder + "/generation_config.json";
  SamplingOptions sampling;
  const StatusOr<std::string> text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return sampling;
  WEFT_RETURN_IF_ERROR(text.status());
  WEFT_ASSIGN_OR_RETURN(const nlohmann::json config, ParseJson(*text, path));
  if (!config.is_object()) return DataError(path, ": expected a JSON object");
  JsonReader reader(config, path);
  sampling.temperature = reader.Number("temperature", sampling.temperature);
  if (!reader.Boolean("do_sample", true)) sampling.temperature = 0;
  sampling.top_p = reader.Number("top_p", sampling.top_p);
  sampling.top_k = std::max<int64_t>(0, reader.Integer("top_k", sampling.top_k));  // -1 is all of them, too
  WEFT_RETURN_IF_ERROR(reader.status());
  WEFT_RETURN_IF_ERROR(WithContext(CheckSampling(sampling), path));
  LogWhatIsNotHonoured(config, path);
  return sampling;
}

}  // namespace weft
