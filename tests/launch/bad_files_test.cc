// Bad files offered to every verb that reads files: each is refused with a reason and exit code 2, without a signal and in
// bounded memory. The folders' own tests prove more classes of damage on the readers; this one proves the whole way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/sha256.h"
#include "core/str_cat.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void Overwrite(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

struct Content {
  std::string what;
  std::string bytes;
};

// `whole` cut off: in its beginning, within, and by its last byte.
std::vector<Content> CutOff(const std::string& whole) {
  std::vector<Content> contents;
  for (const size_t size : std::set<size_t>{0, 1, whole.size() / 2, whole.size() - 1}) {
    contents.push_back({StrCat("its first ", size, " bytes"), whole.substr(0, size)});
  }
  return contents;
}

// The files of a folder of WEFT_FIXTURES; none where that is not set.
std::vector<Content> FixturesIn(const std::string& folder) {
  std::vector<Content> contents;
  const char* const fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) return contents;
  for (const auto& entry : fs::directory_iterator(StrCat(fixtures, "/suites/", folder))) {
    contents.push_back({entry.path().filename().string(), Slurp(entry.path().string())});
  }
  return contents;
}

// A store's first 512 bytes as `weft data prepare` would write them before `body`.
std::string Sealed(const std::string& body) {
  std::string header = StrCat("weft token store 1\nbytes ", body.size() + 512, "\nsha256 ", Sha256::Of(body), "\n");
  header.resize(512);
  return header + body;
}

class BadFiles : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new ScratchFolder;
    const JobResult trained = RunWeft(Train("--set steps=2"));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const JobResult exported = RunWeft("export " + Run() + " --to " + Model());
    ASSERT_EQ(exported.exit_code, 0) << exported.err;
  }
  static void TearDownTestSuite() { delete scratch_; }

  static std::string Run() { return scratch_->path() + "/run"; }
  static std::string Checkpoint() { return Run() + "/checkpoints/step-2"; }
  static std::string Model() { return scratch_->path() + "/model"; }
  static std::string Train(const std::string& more) {
    return "train configs/tiny.yaml --set threads=1 --set scheduler.params.total_num_steps=20 --set data.path=" +
           SmallTokenStore() + " --set output=" + Run() + " " + more;
  }

  static void ExpectRefused(const std::string& arguments, const std::string& what) {
    // One thread of OpenBLAS: with a stack for each of many cores the limit would be met before any file is opened.
    const std::string limit = kBoundedMemory ? "export OPENBLAS_NUM_THREADS=1; ulimit -v 2000000; " : "";
    const JobResult job = RunShell(StrCat("ulimit -c 0; ", limit, "exec ", WEFT_BINARY, " ", arguments));
    EXPECT_EQ(job.exit_code, 2) << what << ": weft " << arguments << "\n" << job.err;
    EXPECT_FALSE(job.err.empty()) << what << ": weft " << arguments;
  }
  // Puts each content in place of the file for a while.
  static void ExpectRefusedAs(const std::string& path, const std::vector<Content>& contents,
                              const std::vector<std::string>& verbs) {
    const std::string whole = Slurp(path);
    for (const Content& content : contents) {
      Overwrite(path, content.bytes);
      for (const std::string& verb : verbs) ExpectRefused(verb, StrCat(path, " as ", content.what));
    }
    Overwrite(path, whole);
  }

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr bool kBoundedMemory = false;  // their shadow memory is larger than any bound
#else
  static constexpr bool kBoundedMemory = true;
#endif
  static ScratchFolder* scratch_;
};
ScratchFolder* BadFiles::scratch_ = nullptr;

TEST_F(BadFiles, AsATokenStore) {
  const std::string path = scratch_->path() + "/bad.h5", whole = Slurp(SmallTokenStore()), body = whole.substr(512);
  std::vector<Content> contents = CutOff(whole);
  for (const size_t size : {size_t{511}, size_t{512}, size_t{600}}) contents.push_back({StrCat(size, " bytes"), whole.substr(0, size)});
  for (const Content& content : FixturesIn("hdf5_corrupt")) contents.push_back(content);
  for (const Content& content : FixturesIn("safetensors/files")) contents.push_back(content);
  for (const Content& content : contents) {
    Overwrite(path, content.bytes);
    ExpectRefused("inspect data " + path, content.what);
    ExpectRefused(Train("--set output=" + Run() + "2 --set data.path=" + path), content.what);
  }
  // Under a header that agrees nothing but libhdf5 itself can tell.
  contents = FixturesIn("hdf5_corrupt");
  for (const Content& content : CutOff(body)) contents.push_back(content);
  for (const Content& content : contents) {
    Overwrite(path, Sealed(content.bytes));
    ExpectRefused("inspect data " + path, "sealed " + content.what);
  }
}

TEST_F(BadFiles, AsACheckpoint) {
  const std::string train = Train("--set steps=4"), do_export = "export " + Run() + " --to " + Run() + ".model";
  const std::string inspect = "inspect checkpoint " + Run(), verify = inspect + " --verify";
  for (const char* file : {"complete", "index.h5", "rank-0.h5"}) {
    const std::string path = StrCat(Checkpoint(), "/", file);
    std::vector<std::string> verbs = {train, do_export, verify};
    if (std::string(file) != "rank-0.h5") verbs.push_back(inspect);  // reads no shard
    ExpectRefusedAs(path, CutOff(Slurp(path)), verbs);
    ExpectRefusedAs(path, FixturesIn("hdf5_corrupt"), {do_export});
    ExpectRefusedAs(path, FixturesIn("safetensors/files"), {do_export});
  }
  for (const Content& content : FixturesIn("hdf5_corrupt")) {
    Overwrite(scratch_->path() + "/bad.h5", content.bytes);
    ExpectRefused("inspect checkpoint " + scratch_->path() + "/bad.h5", content.what);
  }
  // With a marker that agrees.
  const std::string index = Checkpoint() + "/index.h5", marker = Checkpoint() + "/complete";
  const std::string whole_index = Slurp(index), whole_marker = Slurp(marker);
  std::vector<Content> contents = FixturesIn("hdf5_corrupt");
  for (const Content& content : CutOff(whole_index)) contents.push_back(content);
  for (const Content& content : contents) {
    Overwrite(index, content.bytes);
    Overwrite(marker, StrCat("weft checkpoint\nindex.h5 ", content.bytes.size(), " ", Sha256::Of(content.bytes), "\n"));
    ExpectRefused(inspect, "marked " + content.what);
  }
  Overwrite(index, whole_index);
  Overwrite(marker, whole_marker);
  const JobResult whole = RunWeft(verify);
  EXPECT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_THAT(whole.out, HasSubstr("\nwhole: "));
}

TEST_F(BadFiles, AsAModel) {
  const std::string generate = "generate " + Model() + " --prompt a --max-tokens 1", inspect = "inspect params " + Model();
  const std::string train = Train("--set checkpoint.resume=never --set steps=1 --set output=" + Run() + "3 --set model.path=" + Model());
  // The last byte of the JSON files is a line feed, which they can do without.
  const auto cut_off = [](const std::string& path) {
    const std::string whole = Slurp(path);
    return CutOff(whole.substr(0, whole.find_last_not_of('\n') + 1));
  };
  ExpectRefusedAs(Model() + "/config.json", cut_off(Model() + "/config.json"), {generate, inspect, train});
  ExpectRefusedAs(Model() + "/model.safetensors", cut_off(Model() + "/model.safetensors"), {generate, train});
  for (const char* file : {"/tokenizer.json", "/tokenizer_config.json", "/generation_config.json"}) {
    ExpectRefusedAs(Model() + file, cut_off(Model() + file), {generate});
  }
  ExpectRefusedAs(Model() + "/model.safetensors", FixturesIn("safetensors/files"), {generate});
  ExpectRefusedAs(Model() + "/config.json", FixturesIn("hdf5_corrupt"), {inspect});
  ExpectRefusedAs(Model() + "/tokenizer.json", FixturesIn("hdf5_corrupt"), {generate});
  EXPECT_EQ(RunWeft(generate).exit_code, 0);
}

// Metrics tell of a run and decide nothing, so it goes on: past a last line that is cut off, as a kill leaves it, without a word;
// past any other damage with a warning, and the file as it was stays beside the mended one.
TEST_F(BadFiles, AsMetrics) {
  const std::string path = Run() + "/metrics.jsonl", whole = Slurp(path);
  for (size_t size = 0; size < whole.size(); size += 37) {
    Overwrite(path, whole.substr(0, size));
    const JobResult job = RunWeft(Train("--set steps=2"));
    EXPECT_EQ(job.exit_code, 0) << size << job.err;
    EXPECT_THAT(job.err, Not(HasSubstr("metrics.jsonl:"))) << size;
  }
  const Content damages[] = {{"half a line", whole.substr(0, 20) + "\n"}, {"no line", "\n\x01\xff\n"}};
  for (int64_t steps = 3; const Content& damage : damages) {
    Overwrite(path, damage.bytes);
    const JobResult job = RunWeft(Train(StrCat("--set steps=", steps)));
    EXPECT_EQ(job.exit_code, 0) << damage.what << "\n" << job.err;
    const std::string aside = StrCat(path, ".damaged-", steps - 2);
    EXPECT_THAT(job.err, AllOf(HasSubstr("metrics.jsonl:"), HasSubstr(aside))) << damage.what;
    EXPECT_EQ(Slurp(aside), damage.bytes) << damage.what;
    EXPECT_EQ(MetricOf(Run(), "step"), std::vector<double>{static_cast<double>(steps)}) << damage.what;
    ++steps;
  }
}

}  // namespace
}  // namespace weft
