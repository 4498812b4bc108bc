// The judgement of steps, and the history in and out of checkpoints (see bad_step.h).
#include "trainer/bad_step.h"

#include <algorithm>
#include <cmath>

#include "core/str_cat.h"
#include "nlohmann/json.hpp"

namespace weft {
namespace {

// Of an even number of values: halfway between the two in the middle.
double MedianOf(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

bool IsCount(const nlohmann::json& object, const char* key) {
  return object.contains(key) && object.at(key).is_number_integer() && object.at(key).get<int64_t>() >= 0;
}

}  // namespace

void BadStepSection::VisitFields(FieldVisitor& v) {
  v.Choice("action", action, {"stop", "skip", "roll_back"},
           "stop: end with an error, nothing of the step saved; skip: leave the update out; roll_back: go back to the newest "
           "checkpoint, and on with the data behind the bad step");
  v.Field("spike_factor", spike_factor,
          "a loss above so many times the median of the last `window` good ones is bad, too; 0: only what is no number");
  v.Field("window", window, "good steps that the median is of; before there are so many no loss is a spike");
  v.Field("limit", limit,
          "bad steps that the run bears, in a row (skip) or since the checkpoint that it goes back to was saved (roll_back); one "
          "more ends it");
}

void StepHistory::AddGood(double loss, int64_t window) {
  good_losses.push_back(loss);
  const auto kept = static_cast<size_t>(window);
  if (good_losses.size() > kept) good_losses.erase(good_losses.begin(), good_losses.end() - static_cast<std::ptrdiff_t>(kept));
  num_skipped_in_a_row = 0;
}

void StepHistory::AddSkipped() {
  ++num_skipped;
  ++num_skipped_in_a_row;
}

std::string StepHistory::ToJson() const {
  return nlohmann::json{{"good_losses", good_losses}, {"num_skipped", num_skipped}, {"num_skipped_in_a_row", num_skipped_in_a_row}}.dump();
}

StatusOr<StepHistory> StepHistory::FromJson(const std::string& json) {
  StepHistory history;
  if (json.empty()) return history;
  const nlohmann::json object = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const bool is_whole = object.is_object() && object.contains("good_losses") && object.at("good_losses").is_array() &&
                        IsCount(object, "num_skipped") && IsCount(object, "num_skipped_in_a_row");
  if (!is_whole) return DataError("not a history of steps: ", json.substr(0, 80));
  for (const nlohmann::json& loss : object.at("good_losses")) {
    if (!loss.is_number()) return DataError("not a loss in the history of steps: ", loss.dump().substr(0, 80));
    history.good_losses.push_back(loss.get<double>());
  }
  history.num_skipped = object.at("num_skipped").get<int64_t>();
  history.num_skipped_in_a_row = object.at("num_skipped_in_a_row").get<int64_t>();
  return history;
}

std::string WhyBad(double loss, double grad_norm, const StepHistory& history, const BadStepSection& config) {
  if (!std::isfinite(loss) || !std::isfinite(grad_norm)) return StrCat("the loss is ", loss, " and the gradient norm ", grad_norm);
  const auto window = static_cast<size_t>(config.window);
  if (config.spike_factor == 0 || history.good_losses.size() < window) return "";
  // A history may be longer: the run that saved it had a larger window.
  const double median = MedianOf({history.good_losses.end() - static_cast<std::ptrdiff_t>(window), history.good_losses.end()});
  if (loss <= config.spike_factor * median) return "";
  return StrCat("the loss is ", loss, ", more than ", config.spike_factor, " times ", median, ", the median of the last ",
                config.window, " good steps");
}

}  // namespace weft
