// Processes of a job, found in /proc (see running_job.h).
#include "tests/launch/running_job.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/str_cat.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(5);

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool HasVariable(int pid, const std::string& assignment) {
  return (std::string(1, '\0') + Slurp(StrCat("/proc/", pid, "/environ"))).find('\0' + assignment + '\0') != std::string::npos;
}

// The fourth field of /proc/PID/stat; the second, a name, may hold anything but ends at the last bracket.
int ParentOf(int pid) {
  const std::string stat = Slurp(StrCat("/proc/", pid, "/stat"));
  const size_t bracket = stat.rfind(')');
  if (bracket == std::string::npos || bracket + 4 >= stat.size()) return -1;
  return std::atoi(stat.c_str() + bracket + 4);
}

std::string MarkOf(const ScratchFolder& scratch) { return "WEFT_TEST_JOB=" + scratch.path(); }

}  // namespace

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

RunningJob::RunningJob(const std::string& command, int ranks) : started_(Clock::now()) {
  const std::string line = StrCat(". launch/environment.sh; export ", MarkOf(scratch_), "; exec mpirun -n ", ranks,
                                  " --bind-to none ", command, " >", scratch_.path(), "/out 2>", scratch_.path(),
                                  "/err </dev/null");
  const char* const arguments[] = {"bash", "-c", line.c_str(), nullptr};
  const int error = posix_spawn(&launcher_, "/bin/bash", nullptr, nullptr, const_cast<char* const*>(arguments), environ);
  EXPECT_EQ(error, 0) << "posix_spawn";
  has_ended_ = error != 0;
}

RunningJob::~RunningJob() {
  KillAll();
  while (IsRunning()) std::this_thread::sleep_for(kPoll);
}

void RunningJob::KillAll() {
  if (!has_ended_) kill(launcher_, SIGKILL);
  for (const int pid : Processes()) kill(pid, SIGKILL);
}

double RunningJob::age_s() const { return SecondsSince(started_); }
std::string RunningJob::Messages() const { return Slurp(scratch_.path() + "/err"); }

bool RunningJob::IsRunning() {
  int status = 0;
  if (!has_ended_ && waitpid(launcher_, &status, WNOHANG) == launcher_) {
    has_ended_ = true;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return !has_ended_;
}

JobResult RunningJob::Wait(double seconds) {
  const Clock::time_point start = Clock::now();
  while (IsRunning() && SecondsSince(start) <= seconds) std::this_thread::sleep_for(kPoll);
  if (IsRunning()) {
    ADD_FAILURE() << "mpirun has not ended after " << seconds << " s:\n" << Messages();
    KillAll();
    while (IsRunning()) std::this_thread::sleep_for(kPoll);
  }
  return {.exit_code = exit_code_, .out = Slurp(scratch_.path() + "/out"), .err = Messages()};
}

std::vector<int> RunningJob::Processes() const {
  std::vector<int> found;
  std::error_code ignored;  // processes may end while they are listed
  for (std::filesystem::directory_iterator entry("/proc", ignored), end; !ignored && entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const int pid = std::stoi(name);
    if (HasVariable(pid, MarkOf(scratch_))) found.push_back(pid);
  }
  return found;
}

int RunningJob::ProcessOfRank(int rank) const {
  for (const int pid : Processes()) {  // what a rank has started bears its variable, too
    if (HasVariable(pid, StrCat("OMPI_COMM_WORLD_RANK=", rank)) && ParentOf(pid) == launcher_) return pid;
  }
  return -1;
}

int RunningJob::AwaitProcessOfRank(int rank) {
  while (IsRunning()) {
    if (const int pid = ProcessOfRank(rank); pid > 0) return pid;
    std::this_thread::sleep_for(kPoll);
  }
  return -1;
}

bool RunningJob::IsGoneWithin(double seconds, Clock::time_point since) const {
  while (!Processes().empty()) {
    if (SecondsSince(since) > seconds) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return SecondsSince(since) <= seconds;
}

}  // namespace weft
