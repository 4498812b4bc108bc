// Messages for people: one line each on stderr; stdout is kept for what a command is asked to print.
//
// Every thread knows the rank it works for, so that thread ranks in one process and MPI ranks log alike.
#pragma once

#include <string>
#include <string_view>

#include "core/str_cat.h"

namespace weft {

struct RankLabel {
  int rank = 0;
  std::string label = "rank 0";  // "rank 3 (pp0 dp1 tp1)", printed before warnings and failed checks
};

// The rank this thread works for. Set once when a rank (or one of its threads) starts.
void SetCurrentRank(RankLabel label);
const RankLabel& CurrentRank();

void LogLine(std::string_view level, std::string_view message);

// Progress and results: printed by rank 0 alone.
template <typename... Parts>
void LogInfo(const Parts&... parts) {
  if (CurrentRank().rank == 0) LogLine("", StrCat(parts...));
}

// Something the user should look at; printed by whichever rank sees it, with its label.
template <typename... Parts>
void LogWarning(const Parts&... parts) {
  LogLine("warning", StrCat(parts...));
}

template <typename... Parts>
void LogError(const Parts&... parts) {
  LogLine("error", StrCat(parts...));
}

}  // namespace weft
