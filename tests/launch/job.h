// Runs the weft binary as a user does, alone or under mpirun, in a scratch folder.
#pragma once

#include <string>
#include <vector>

namespace weft {

struct JobResult {
  int exit_code = -1;
  std::string out;  // stdout
  std::string err;  // stderr
};

// A shell command, from the repository's root.
JobResult RunShell(const std::string& command);
// `weft ARGUMENTS`; with ranks > 0 under mpirun, as root and with more ranks than cores where need be.
JobResult RunWeft(const std::string& arguments, int ranks = 0);

// A folder that is removed at the end of the test.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A token store of a few documents of this repository, made once a process; its path.
const std::string& SmallTokenStore();

// The `key` of each line of a run's metrics.jsonl that has it.
std::vector<double> MetricOf(const std::string& run, const std::string& key);

}  // namespace weft
