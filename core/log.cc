// Writes log lines whole, so that lines of several ranks never mix within a line.
#include "core/log.h"

#include <unistd.h>

#include <utility>

namespace weft {
namespace {
thread_local RankLabel current_rank;
}  // namespace

void SetCurrentRank(RankLabel label) { current_rank = std::move(label); }
const RankLabel& CurrentRank() { return current_rank; }

void LogLine(std::string_view level, std::string_view message) {
  std::string line;
  if (!level.empty()) {
    line = current_rank.rank == 0 ? StrCat("weft: ", level, ": ")
                                  : StrCat("weft: ", level, ": [", current_rank.label, "] ");
  }
  StrAppend(&line, message, "\n");
  const char* data = line.data();
  size_t left = line.size();
  while (left > 0) {
    const ssize_t written = ::write(STDERR_FILENO, data, left);
    if (written <= 0) return;  // nobody is listening: a log line is not worth failing for
    data += written;
    left -= static_cast<size_t>(written);
  }
}

}  // namespace weft
