// The child that opens HDF5 files first: what kills it is refused, what does not is left to the reader.
#include "core/hdf5_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "core/str_cat.h"

namespace weft::hdf5 {
namespace {

TEST(Hdf5Probe, LeavesWhatLibhdf5RefusesByItselfToTheReader) {
  EXPECT_TRUE(Probe("/nonexistent.h5").ok());
  EXPECT_TRUE(Probe("core/hdf5_probe.h").ok());
}

// A stop request to the whole group of processes (Ctrl-C, a scheduler) is for whoever probes.
TEST(Hdf5Probe, IsNotEndedByARequestToStop) {
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) std::signal(signal, [](int) {});
    for (int i = 0; i < 10; ++i) {
      if (!Probe("core/hdf5_probe.h").ok()) _exit(1);
    }
    _exit(0);
  }
  setpgid(child, child);
  int status = 0;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // by then it has its handlers
  for (int i = 0; waitpid(child, &status, WNOHANG) == 0; ++i) {
    constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    kill(-child, kSignals[i % 4]);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Each of these crashed, hung or exhausted some libhdf5; which of them do so with the installed one differs.
TEST(Hdf5Probe, SurvivesHostileFiles) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  int num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(StrCat(fixtures, "/suites/hdf5_corrupt"))) {
    const Status status = Probe(entry.path().string());
    if (!status.ok()) {
      EXPECT_THAT(std::string(status.message()), testing::HasSubstr("made to do harm")) << entry.path();
    }
    ++num_files;
  }
  EXPECT_GT(num_files, 10);
}

}  // namespace
}  // namespace weft::hdf5
