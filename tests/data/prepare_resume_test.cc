// Preparing data that was killed: whenever that was, the same call goes on, and the store is that of an undisturbed one.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/file.h"
#include "core/rng.h"
#include "data/prepare.h"
#include "data/prepared_parts.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int64_t kPartBytes = 150000;

class PrepareResumeTest : public testing::Test {
 protected:
  // Records and texts of very different lengths, some of them empty or without loss.
  PrepareResumeTest() {
    const Rng rng(3, StreamKey("prepare"));
    uint64_t draw = 0;
    for (int i = 0; i < 2500; ++i) {
      std::string text(rng.Below(draw++, 40) == 0 ? 20000 : rng.Below(draw++, 600), 'x');
      for (char& c : text) c = static_cast<char>('a' + rng.Below(draw++, 26));
      lines_ += i % 50 == 7 ? R"({"prompt": ")" + text + R"(", "completion": ""})" "\n" : R"({"text": ")" + text + "\"}\n";
    }
    folder_.Write("in/b.txt", "a last text");
    options_.inputs = {folder_.Write("in.jsonl", lines_), folder_.Path("in")};
    options_.part_bytes = kPartBytes;
    options_.num_threads = 2;
    options_.too_long = "cut";
    options_.to = folder_.Path("undisturbed.h5");
    const Clock::time_point begin = Clock::now();
    const Status status = PrepareData(options_);
    EXPECT_TRUE(status.ok()) << status;
    duration_ = Clock::now() - begin;
    undisturbed_ = *ReadFile(options_.to);
    options_.to = folder_.Path("data.h5");
  }

  // Prepares in a process of its own, which is killed after `time`. Whether it ended by itself, and well.
  bool PrepareAndKill(Clock::duration time) const {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(PrepareData(options_).ok() ? 0 : 1);
    std::this_thread::sleep_for(time);
    ::kill(child, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "it failed by itself";
    return WIFEXITED(status);
  }

  // Kills it as soon as `num_parts` are finished.
  void KillAfterParts(int num_parts) const {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(PrepareData(options_).ok() ? 0 : 1);
    const Clock::time_point deadline = Clock::now() + std::chrono::seconds(20);
    while (NumParts() < num_parts && Clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ASSERT_GE(NumParts(), num_parts);
  }

  int NumParts() const {
    int count = 0;
    while (std::filesystem::exists(Part(count, ".yaml"))) ++count;
    return count;
  }
  std::string Part(int number, const std::string& ending) const {
    return options_.to + ".parts/00000" + std::to_string(number) + ending;
  }

  // Prepares to the end, says what it said, and leaves nothing but the store.
  std::string Finish() const {
    testing::internal::CaptureStderr();
    const Status status = PrepareData(options_);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_FALSE(std::filesystem::exists(options_.to + ".parts"));
    EXPECT_FALSE(std::filesystem::exists(options_.to + ".tmp"));
    return said;
  }
  bool IsUndisturbed() const { return *ReadFile(options_.to) == undisturbed_; }

  const ScratchFolder folder_;
  std::string lines_;
  PrepareOptions options_;
  Clock::duration duration_;
  std::string undisturbed_;
};

TEST_F(PrepareResumeTest, PartsDoNotShowInTheStore) {
  for (const int64_t part_bytes : {kPartBytes / 20, kPartBytes / 7, int64_t{1} << 30}) {
    options_.part_bytes = part_bytes;
    Finish();
    EXPECT_TRUE(IsUndisturbed()) << part_bytes;
  }
}

TEST_F(PrepareResumeTest, GoesOnWhereItWasKilledAtAnyMoment) {
  const Rng rng(static_cast<uint64_t>(::getpid()), 0);
  int killed = 0;
  for (uint64_t round = 0; round < 12; ++round) {
    std::filesystem::remove(options_.to);
    bool ended = false;
    for (uint64_t start = 0; !ended && start < 3; ++start) {
      ended = PrepareAndKill(std::chrono::duration_cast<Clock::duration>(duration_ * rng.Uniform(100 * round + start)));
      killed += !ended;
    }
    if (!ended) Finish();
    EXPECT_TRUE(IsUndisturbed()) << "round " << round << " of process " << ::getpid();
  }
  EXPECT_GT(killed, 6) << "else the test says little";
}

TEST_F(PrepareResumeTest, TakesOverWhatIsFinished) {
  KillAfterParts(3);
  const auto time = std::filesystem::last_write_time(Part(1, ".part"));
  KillAfterParts(4);
  EXPECT_EQ(std::filesystem::last_write_time(Part(1, ".part")), time);
  EXPECT_THAT(Finish(), HasSubstr("documents of an earlier start are taken over"));
  EXPECT_TRUE(IsUndisturbed());
}

TEST_F(PrepareResumeTest, GoesOnWithinALargeText) {
  options_.inputs = {folder_.Write("large.txt", lines_)};
  options_.max_text_bytes = 5000;
  Finish();
  undisturbed_ = *ReadFile(options_.to);
  std::filesystem::remove(options_.to);
  KillAfterParts(3);
  EXPECT_THAT(Finish(), HasSubstr("taken over"));
  EXPECT_TRUE(IsUndisturbed());
  options_.max_text_bytes = 6000;
  KillAfterParts(2);
  options_.max_text_bytes = 5000;
  EXPECT_THAT(Finish(), testing::Not(HasSubstr("taken over"))) << "cut elsewhere, they are other documents";
  EXPECT_TRUE(IsUndisturbed());
}

TEST_F(PrepareResumeTest, DoesChangedDocumentsAnew) {
  KillAfterParts(4);
  const int64_t first = (*PreparedParts::Open(options_.to + ".parts"))->Find(0)->counts.documents;
  // A change in the second part, of the same length and under the old name.
  const size_t change = lines_.find("{\"text\": \"", kPartBytes + kPartBytes / 2) + 10;
  lines_[change] = lines_[change] == 'a' ? 'b' : 'a';
  folder_.Write("in.jsonl", lines_);
  EXPECT_THAT(Finish(), HasSubstr(StrCat(": ", first, " documents of an earlier start")));
  EXPECT_FALSE(IsUndisturbed());
  const std::string changed = *ReadFile(options_.to);
  std::filesystem::remove(options_.to);
  Finish();
  EXPECT_TRUE(*ReadFile(options_.to) == changed) << "as if it had been so from the start";
}

TEST_F(PrepareResumeTest, DoesAllAnewUnderOtherOptions) {
  options_.too_long = "drop";
  KillAfterParts(2);
  options_.too_long = "cut";
  EXPECT_THAT(Finish(), testing::Not(HasSubstr("taken over")));
  EXPECT_TRUE(IsUndisturbed());
}

TEST_F(PrepareResumeTest, KeepsWhatIsFinishedWhereARecordIsBad) {
  const std::string good = lines_;
  lines_.insert(lines_.find('\n', 3 * kPartBytes) + 1, "{\"text\": 5}\n");
  folder_.Write("in.jsonl", lines_);
  const Status status = PrepareData(options_);
  EXPECT_THAT(std::string(status.message()), HasSubstr("in.jsonl:"));
  EXPECT_GT(NumParts(), 0);
  EXPECT_FALSE(std::filesystem::exists(options_.to));
  folder_.Write("in.jsonl", good);
  EXPECT_THAT(Finish(), HasSubstr("taken over"));
  EXPECT_TRUE(IsUndisturbed());
}

TEST_F(PrepareResumeTest, DoesDamagedPartsAnew) {
  for (const std::string damage : {"a bit", "half of it", "its record", "its time"}) {
    KillAfterParts(3);
    std::string part = *ReadFile(Part(1, ".part"));
    if (damage == "a bit") part[part.size() / 2] = static_cast<char>(part[part.size() / 2] ^ 1);
    if (damage == "half of it") part.resize(part.size() / 2);
    folder_.Write("data.h5.parts/000001.part", part);
    if (damage == "its record") folder_.Write("data.h5.parts/000001.yaml", "encoding: 5\n");
    if (damage == "its time") {  // templates were told another one
      std::string record = *ReadFile(Part(1, ".yaml"));
      record.replace(record.find("time: "), 6, "time: 1");
      folder_.Write("data.h5.parts/000001.yaml", record);
    }
    const int64_t first = (*PreparedParts::Open(options_.to + ".parts"))->Find(0)->counts.documents;
    EXPECT_THAT(Finish(), HasSubstr(StrCat(": ", first, " documents of an earlier start"))) << damage;
    EXPECT_TRUE(IsUndisturbed()) << damage;
  }
}

TEST_F(PrepareResumeTest, RefusesASecondProcess) {
  const auto first = PreparedParts::Open(options_.to + ".parts");
  ASSERT_TRUE(first.ok()) << first.status();
  const Status status = PrepareData(options_);
  EXPECT_EQ(ExitCode(status), 2);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another `weft data prepare`"));
}

}  // namespace
}  // namespace weft
