// The list of layouts that passed (see verified_layouts.h).
#include "trainer/verified_layouts.h"

#include <sstream>

#include "core/config_writer.h"
#include "core/file.h"
#include "nlohmann/json.hpp"

namespace weft {
namespace {

std::string PathIn(const std::string& folder) { return folder + "/verified.jsonl"; }

// A section of the configuration as "pp: 2; tp: 1".
std::string OneLine(const std::string& yaml) {
  std::string line;
  std::istringstream lines(yaml);
  for (std::string each; std::getline(lines, each);) StrAppend(&line, line.empty() ? "" : "; ", each);
  return line;
}

}  // namespace

std::string DescribeLayout(const RunConfig& config, const MeshShape& mesh, Device device) {
  static const char* const kRecomputes[] = {"none", "attention", "block"};
  static const char* const kPrecisions[] = {"f32", "bf16", "fp16", "fp8"};
  nlohmann::ordered_json layout;
  layout["mesh"] = mesh.ToString();
  layout["device"] = device.is_cuda() ? "cuda" : "cpu";
  layout["precision"] = kPrecisions[static_cast<size_t>(config.precision)];
  layout["recompute"] = kRecomputes[static_cast<size_t>(config.recompute)];
  layout["micro_batches"] = CheckedMicroBatches(config);
  layout["parallel"] = OneLine(WriteConfig(config.parallel));
  layout["zero_optimization"] = OneLine(WriteConfig(config.zero_optimization));
  return layout.dump();
}

std::optional<LayoutAgreement> FindVerified(const std::string& folder, const std::string& layout) {
  std::optional<LayoutAgreement> found;
  const StatusOr<std::string> text = ReadFile(PathIn(folder));
  if (!text.ok()) return found;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    const auto seen = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto has_number = [&seen](const char* key) { return seen.contains(key) && seen[key].is_number(); };
    if (!seen.is_object() || !seen.contains("layout") || seen["layout"].dump() != layout || !has_number("loss_difference") ||
        !has_number("gradient_difference") || !has_number("update_difference")) {
      continue;
    }
    found = {.loss = seen["loss_difference"], .gradient = seen["gradient_difference"], .weight = seen["update_difference"]};
  }
  return found;
}

Status AddVerified(const std::string& folder, const std::string& layout, const LayoutAgreement& agreement) {
  WEFT_RETURN_IF_ERROR(MakeFolders(folder));
  const StatusOr<std::string> before = ReadFile(PathIn(folder));
  if (!before.ok() && !absl::IsNotFound(before.status())) return before.status();
  nlohmann::ordered_json line;
  line["layout"] = nlohmann::ordered_json::parse(layout);
  line["loss_difference"] = agreement.loss;
  line["gradient_difference"] = agreement.gradient;
  line["update_difference"] = agreement.weight;
  return WriteFileAtomically(PathIn(folder), (before.ok() ? *before : "") + line.dump() + "\n");
}

}  // namespace weft
