// A job under mpirun that a test can look at and hurt while it runs: its processes, the messages so far, its end.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/launch/job.h"

namespace weft {

class RunningJob {
 public:
  // Starts `mpirun -n RANKS COMMAND`, from the repository's root. All that descends from it bears a mark in its
  // environment, by which it is found, whoever its parent is by then.
  RunningJob(const std::string& command, int ranks);
  // Kills whatever is left.
  ~RunningJob();
  RunningJob(const RunningJob&) = delete;
  RunningJob& operator=(const RunningJob&) = delete;

  double age_s() const;
  bool IsRunning();              // mpirun has not ended
  std::string Messages() const;  // stderr so far
  int launcher() const { return launcher_; }
  std::vector<int> Processes() const;   // alive, by id: mpirun, the ranks, and what those have started
  int ProcessOfRank(int rank) const;    // -1: none
  // ProcessOfRank, as soon as there is one; -1 where mpirun has ended before.
  int AwaitProcessOfRank(int rank);
  // Returns when mpirun has ended. Where it has not after `seconds`, the test fails and the whole job is killed.
  JobResult Wait(double seconds);
  // Whether all processes are gone by `seconds` after `since`. Waits until then, and no longer; a call that comes later
  // is too late.
  bool IsGoneWithin(double seconds, std::chrono::steady_clock::time_point since) const;

 private:
  void KillAll();

  const ScratchFolder scratch_;
  const std::chrono::steady_clock::time_point started_;
  int launcher_ = -1;
  bool has_ended_ = false;
  int exit_code_ = -1;
};

double SecondsSince(std::chrono::steady_clock::time_point start);

}  // namespace weft
