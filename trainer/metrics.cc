// Lines and JSON objects of steps (see metrics.h).
#include "trainer/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <sstream>

#include "absl/strings/str_format.h"
#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"
#include "nlohmann/json.hpp"

namespace weft {
namespace {

std::string WithThousands(int64_t value) {
  std::string digits = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

nlohmann::ordered_json ToJson(const StepMetrics& m) {
  nlohmann::ordered_json line;
  line["step"] = m.step;
  line["loss"] = m.loss;  // a non-finite number becomes null, JSON has none
  line["grad_norm"] = m.grad_norm;
  line["lr"] = m.lr;
  line["tokens"] = m.tokens;
  line["tokens_per_s"] = m.tokens_per_s;
  line["step_ms"] = m.step_ms;
  line["memory_bytes"] = m.memory_bytes;
  if (m.eval_loss.has_value()) line["eval_loss"] = *m.eval_loss;
  if (!m.eval_loss_by_source.empty()) line["eval_loss_by_source"] = m.eval_loss_by_source;
  if (m.skipped) line["skipped"] = true;
  return line;
}

double NumberOr(const nlohmann::json& line, const char* key, double fallback) {
  return line.contains(key) && line.at(key).is_number() ? line.at(key).get<double>() : fallback;
}

StatusOr<StepMetrics> FromJson(const std::string& text, const std::string& path, int line_number) {
  const nlohmann::json line = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!line.is_object() || !line.contains("step") || !line.at("step").is_number_integer()) {
    return DataError(path, ":", line_number, ": not a line of metrics; expected an object with a step");
  }
  StepMetrics m;
  m.step = line.at("step").get<int64_t>();
  m.loss = NumberOr(line, "loss", std::nan(""));
  m.grad_norm = NumberOr(line, "grad_norm", std::nan(""));
  m.lr = NumberOr(line, "lr", 0);
  m.tokens = static_cast<int64_t>(NumberOr(line, "tokens", 0));
  m.tokens_per_s = NumberOr(line, "tokens_per_s", 0);
  m.step_ms = NumberOr(line, "step_ms", 0);
  m.memory_bytes = NumberOr(line, "memory_bytes", 0);
  if (line.contains("eval_loss") && line.at("eval_loss").is_number()) m.eval_loss = line.at("eval_loss").get<double>();
  if (line.contains("eval_loss_by_source") && line.at("eval_loss_by_source").is_array()) {
    for (const nlohmann::json& loss : line.at("eval_loss_by_source")) {
      m.eval_loss_by_source.push_back(loss.is_number() ? loss.get<double>() : std::nan(""));
    }
  }
  m.skipped = line.contains("skipped") && line.at("skipped") == true;
  return m;
}

// No number is no number: whether its sign bit is set (the processor's choice) is nobody's concern.
double Unsigned(double value) { return std::isnan(value) ? std::copysign(value, 1.0) : value; }

// The steps of the lines that are such; `damage` becomes what is wrong with the first line that is not.
std::vector<StepMetrics> StepsIn(const std::string& text, const std::string& path, Status* damage) {
  std::vector<StepMetrics> steps;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const bool cut_off = lines.eof() && text.back() != '\n';  // the last write of a killed run
    if (line.empty() || cut_off) continue;
    const StatusOr<StepMetrics> metrics = FromJson(line, path, number);
    if (metrics.ok()) steps.push_back(*metrics);
    if (damage->ok()) *damage = metrics.status();
  }
  return steps;
}

// Keeps a damaged file as it is, under a name of its own.
Status SetAside(const std::string& path, const Status& damage) {
  int number = 1;
  while (::access(StrCat(path, ".damaged-", number).c_str(), F_OK) == 0) ++number;
  const std::string aside = StrCat(path, ".damaged-", number);
  WEFT_RETURN_IF_ERROR(RenameDurably(path, aside));
  LogWarning(damage.message(), "; the file is kept as ", aside, ", and the run goes on with the lines that can be read");
  return absl::OkStatus();
}

Status SystemError(const std::string& what, const std::string& path) {
  return absl::UnavailableError(StrCat(what, " ", path, ": ", std::strerror(errno)));
}

}  // namespace

std::string FormatStep(const StepMetrics& m, int64_t total_steps, double seconds_left) {
  const int width = static_cast<int>(std::to_string(total_steps).size());
  std::string line = absl::StrFormat("step %*d/%d  loss %.4f  grad %.3g  lr %.2e  %s tok/s  %.0f ms  %s  %s left", width,
                                     m.step, total_steps, Unsigned(m.loss), Unsigned(m.grad_norm), m.lr,
                                     WithThousands(static_cast<int64_t>(m.tokens_per_s)), m.step_ms,
                                     HumanBytes(m.memory_bytes), HumanDuration(seconds_left));
  if (m.eval_loss.has_value()) absl::StrAppendFormat(&line, "  validation loss %.4f", Unsigned(*m.eval_loss));
  for (size_t i = 0; i < m.eval_loss_by_source.size(); ++i) {
    absl::StrAppendFormat(&line, "%s%.4f", i == 0 ? " (by source " : ", ", Unsigned(m.eval_loss_by_source[i]));
  }
  if (!m.eval_loss_by_source.empty()) line += ")";
  if (m.skipped) line += "  skipped";
  return line;
}

StatusOr<MetricsFile> MetricsFile::Open(const std::string& path, int64_t last_step) {
  std::string kept;
  if (last_step > 0 && ::access(path.c_str(), F_OK) == 0) {
    WEFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    Status damage;
    int64_t newest = 0;
    for (const StepMetrics& m : StepsIn(text, path, &damage)) {
      if (m.step > last_step) continue;
      StrAppend(&kept, ToJson(m).dump(), "\n");
      newest = m.step;
    }
    if (newest < last_step) LogWarning(path, " ends at step ", newest, " where the run goes on from step ", last_step, ": lines are lost");
    if (!damage.ok()) WEFT_RETURN_IF_ERROR(SetAside(path, damage));
  }
  WEFT_RETURN_IF_ERROR(WriteFileAtomically(path, kept));
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0) return SystemError("cannot open", path);
  return MetricsFile(descriptor);
}

MetricsFile::~MetricsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status MetricsFile::Append(const StepMetrics& metrics) {
  const std::string line = ToJson(metrics).dump() + "\n";
  const off_t end = ::lseek(descriptor_, 0, SEEK_END);
  if (::write(descriptor_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return absl::OkStatus();
  const Status status = SystemError("cannot write", "metrics.jsonl");
  // Half a line (a full disk) would spoil the next one, and the file for whoever resumes.
  if (end < 0 || ::ftruncate(descriptor_, end) != 0) LogWarning("metrics.jsonl may hold half a line");
  return status;
}

StatusOr<std::vector<StepMetrics>> ReadMetrics(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  Status damage;
  std::vector<StepMetrics> steps = StepsIn(text, path, &damage);
  WEFT_RETURN_IF_ERROR(damage);
  return steps;
}

StatusOr<std::map<int64_t, double>> ReadValidationLosses(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  Status ignored;  // half a line, as a full disk leaves it, must not keep checkpoints from being pruned for ever
  std::map<int64_t, double> losses;
  for (const StepMetrics& step : StepsIn(text, path, &ignored)) {
    if (step.eval_loss.has_value()) losses[step.step] = *step.eval_loss;
  }
  return losses;
}

}  // namespace weft
