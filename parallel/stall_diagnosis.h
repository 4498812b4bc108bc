// What the records of all ranks say about a job that stands still: whether it does, and whom the others wait for.
//
// A pure function of the records, in the order of what is certain. A process that does not answer is it. Else ranks
// that made different calls at the same place of a communicator. Else *waits for* is a graph: a rank inside a
// collective waits for every rank of the group that has begun fewer of them, a rank inside a transfer waits for the
// other end; who is waited for and waits for nobody is it. Where all wait in a circle, a rank that is past the place
// of a collective without having made it has skipped it (Cf. deadlock detection by wait-for graphs: Knapp, ACM
// Computing Surveys 19(4), 1987.)
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "parallel/rank_record.h"

namespace weft {

// What is known of a rank when the job is looked at.
struct RankReport {
  enum class Answer : uint8_t {
    kCame,       // the process answered
    kNone,       // it did not: stopped, swapped out, or its host is gone
    kNoProcess,  // its host says that nobody listens there any more
    kUnheard,    // it never has: its messages do not get through, which says nothing about the rank
  };
  Answer answer = Answer::kCame;
  bool has_failed = false;               // it says itself that it has failed and is about to abort
  std::optional<RankSnapshot> snapshot;  // its own, or the newest that its neighbour has
  double idle_s = 0;                     // kCame: since its record last changed
  double silent_s = 0;                   // kNone, kNoProcess: since its neighbour last heard of it
  std::string host;
};

// Seconds without a change that are a stall.
struct StallBounds {
  double idle_s = 30;         // in a step
  double slow_phase_s = 300;  // while starting, saving and rolling back, where a single file may take long
  double silence_s = 30;      // of a process; its watchdog has nothing to do but to answer
  double no_process_s = 3;    // between a process's end and the alarm

  double IdleBoundOf(Phase phase) const {
    const bool is_slow = phase == Phase::kStarting || phase == Phase::kSaving || phase == Phase::kRollingBack;
    return is_slow ? slow_phase_s : idle_s;
  }
};

// reports: by rank. True where a process is gone or silent for too long, or where every rank that answers has stood
// still for too long; false as long as one of them comes forward, for the others may be waiting for it.
bool IsStalled(const std::vector<RankReport>& reports, const StallBounds& bounds);

struct StallDiagnosis {
  int culprit = -1;      // -1: no rank stands out
  std::string sentence;  // one line, for people
};
StallDiagnosis DiagnoseStall(const std::vector<RankReport>& reports);

// A line a rank: where it is, and what it waits in.
std::string DescribeRanks(const std::vector<RankReport>& reports);

}  // namespace weft
