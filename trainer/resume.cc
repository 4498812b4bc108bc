// Compares two resolved configurations, key by key (see resume.h).
#include "trainer/resume.h"

#include <map>
#include <sstream>
#include <vector>

#include "absl/types/span.h"
#include "core/log.h"

namespace weft {
namespace {

// Keys and sections that may differ between a run and its continuation.
// data.path, data.sources: which data it is and how it is mixed says its digest, wherever it lies.
constexpr std::string_view kFree[] = {"output", "steps", "device", "threads", "data.path", "data.sources", "train_micro_batch_size_per_gpu",
                                      "gradient_accumulation_steps", "parallel", "zero_optimization", "recompute",
                                      "checkpoint", "bad_step", "eval", "logging", "steps_per_print", "activation_checkpointing",
                                      "bf16", "fp16", "watchdog", "verify_parallel"};

// Those that may besides, where the user names the checkpoint.
constexpr std::string_view kFreeFromANamedOne[] = {"optimizer.params.lr", "scheduler", "gradient_clipping"};

bool IsAmong(absl::Span<const std::string_view> keys, const std::string& key) {
  for (std::string_view free : keys) {
    if (key == free || (key.size() > free.size() && key.starts_with(free) && key[free.size()] == '.')) return true;
  }
  return false;
}

// "a:\n  b: 1\n" to {"a.b": "1"}: enough of YAML for what WriteConfig writes.
std::map<std::string, std::string> Flatten(const std::string& yaml) {
  std::map<std::string, std::string> values;
  std::vector<std::pair<size_t, std::string>> sections;  // indentation, name
  std::istringstream lines(yaml);
  for (std::string line; std::getline(lines, line);) {
    const size_t indent = line.find_first_not_of(' ');
    const size_t colon = line.find(':');
    if (indent == std::string::npos || colon == std::string::npos || line[indent] == '#') continue;
    while (!sections.empty() && sections.back().first >= indent) sections.pop_back();
    std::string key;
    for (const auto& [_, name] : sections) key += name + ".";
    key += line.substr(indent, colon - indent);
    const size_t value = line.find_first_not_of(' ', colon + 1);
    if (value == std::string::npos) {
      sections.emplace_back(indent, line.substr(indent, colon - indent));
    } else {
      values[key] = line.substr(value);
    }
  }
  return values;
}

struct Difference {
  std::string key, was, is;
};

// Those that are not free, by key.
std::vector<Difference> DifferencesOf(const std::string& saved_yaml, const std::string& current_yaml) {
  const std::map<std::string, std::string> saved = Flatten(saved_yaml), current = Flatten(current_yaml);
  std::map<std::string, Difference> differences;
  for (const auto& [key, value] : saved) differences[key] = {key, value, "absent"};
  for (const auto& [key, value] : current) {
    differences.try_emplace(key, Difference{key, "absent", ""}).first->second.is = value;
  }
  std::vector<Difference> list;
  for (auto& [key, each] : differences) {
    if (each.was != each.is && !IsAmong(kFree, key)) list.push_back(std::move(each));
  }
  return list;
}

}  // namespace

Status CheckSameRun(const std::string& checkpoint, const std::string& saved_yaml, const std::string& current_yaml,
                    bool is_named) {
  std::string differences, changes;
  for (const Difference& each : DifferencesOf(saved_yaml, current_yaml)) {
    StrAppend(is_named && IsAmong(kFreeFromANamedOne, each.key) ? &changes : &differences, "\n  ", each.key, ": was ", each.was,
              ", is ", each.is);
  }
  if (!changes.empty() && differences.empty()) LogInfo("goes on from ", checkpoint, " with other settings:", changes);
  if (differences.empty()) return absl::OkStatus();
  return UserError(checkpoint, " was written by a run with other settings:", differences,
                   differences.find("total_num_steps") != std::string::npos
                       ? "\n(scheduler.params.total_num_steps follows steps unless it is set: set it to its old value to train longer "
                         "on the old curve)"
                       : "",
                   is_named ? "\nrestore them, or set checkpoint.resume: never to begin again"
                            : "\nrestore them, choose another output, or set checkpoint.resume: never to begin again, or a checkpoint's "
                              "path: from one that is named learning rate, schedule and clipping may differ");
}

bool IsCourseOf(const std::string& saved_yaml, const std::string& current_yaml) {
  const std::string key = "checkpoint.resume";
  return Flatten(saved_yaml)[key] == Flatten(current_yaml)[key] && DifferencesOf(saved_yaml, current_yaml).empty();
}

}  // namespace weft
