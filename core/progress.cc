// Drawing of progress bars and of figures that people read.
#include "core/progress.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/log.h"

namespace weft {
namespace {
constexpr int kBarWidth = 28;
}  // namespace

Progress::Progress(std::string what, int64_t total, std::string unit)
    : what_(std::move(what)),
      total_(std::max<int64_t>(total, 1)),
      unit_(std::move(unit)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      last_draw_(start_) {}

Progress::~Progress() {
  if (terminal_ || !drawn_) Draw(true);
}

void Progress::Advance(int64_t amount) {
  done_ += amount;
  DrawIfDue();
}

void Progress::DrawIfDue() {
  const auto interval = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  if (Clock::now() - last_draw_ >= interval) Draw(false);
}

void Progress::Skip(int64_t amount) {
  done_ += amount;
  skipped_ += amount;
  start_ = Clock::now();
  DrawIfDue();
}

void Progress::Draw(bool last) {
  if (CurrentRank().rank != 0) return;
  last_draw_ = Clock::now();
  drawn_ = true;
  const double seconds = std::chrono::duration<double>(last_draw_ - start_).count();
  const double fraction = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
  const double rate = seconds > 0 ? static_cast<double>(done_ - skipped_) / seconds : 0;
  const int filled = static_cast<int>(fraction * kBarWidth);
  std::string bar(static_cast<size_t>(kBarWidth), '.');
  std::fill(bar.begin(), bar.begin() + filled, '#');
  std::string line = absl::StrFormat("%s [%s] %3.0f %%  %s %s/s", what_, bar, fraction * 100, HumanCount(rate), unit_);
  if (last) {
    StrAppend(&line, "  in ", HumanDuration(seconds));
  } else if (rate > 0) {
    StrAppend(&line, "  ", HumanDuration(static_cast<double>(total_ - done_) / rate), " left");
  }
  if (!terminal_) return LogLine("", line);
  line = StrCat("\r", line, "\x1b[K", last ? "\n" : "");
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) terminal_ = false;
}

std::string HumanDuration(double seconds) {
  if (seconds < 10) return absl::StrFormat("%.1f s", seconds);
  const int64_t whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return absl::StrFormat("%d s", whole);
  if (whole < 3600) return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  return absl::StrFormat("%d h %02d min", whole / 3600, whole % 3600 / 60);
}

std::string HumanBytes(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrFormat(unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

std::string HumanCount(double count) {
  const char* const units[] = {"", " K", " M", " G", " T"};
  int unit = 0;
  while (count >= 1000 && unit < 4) {
    count /= 1000;
    ++unit;
  }
  return absl::StrFormat(unit == 0 ? "%.0f%s" : "%.2f%s", count, units[unit]);
}

}  // namespace weft
