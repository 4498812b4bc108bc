// Processes and scratch folders for tests (see job.h).
#include "tests/launch/job.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "nlohmann/json.hpp"

namespace weft {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "weft-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}
ScratchFolder::~ScratchFolder() { std::filesystem::remove_all(path_); }

JobResult RunShell(const std::string& command) {
  const ScratchFolder scratch;
  const std::string out = scratch.path() + "/out", err = scratch.path() + "/err";
  const int status = std::system(("(" + command + ") >" + out + " 2>" + err + " </dev/null").c_str());
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), .out = Slurp(out), .err = Slurp(err)};
}

JobResult RunWeft(const std::string& arguments, int ranks) {
  const std::string weft = std::string(WEFT_BINARY) + " " + arguments;
  if (ranks == 0) return RunShell(weft);
  return RunShell(". launch/environment.sh; mpirun -n " + std::to_string(ranks) + " --bind-to none " + weft);
}

const std::string& SmallTokenStore() {
  static const ScratchFolder folder;
  static const std::string path = [] {
    const std::string store = folder.path() + "/data.h5";
    const JobResult made = RunWeft("data prepare core parallel docs --to " + store + " --sequence-length 64");
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return store;
  }();
  return path;
}

std::vector<double> MetricOf(const std::string& run, const std::string& key) {
  std::vector<double> values;
  std::ifstream lines(run + "/metrics.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json step = nlohmann::json::parse(line);
    if (step.contains(key)) values.push_back(step.at(key).get<double>());
  }
  return values;
}

}  // namespace weft
