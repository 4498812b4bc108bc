// The child that opens HDF5 files first: what kills it is refused, what does not is left to the reader.
#include "core/hdf5_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/str_cat.h"

namespace weft::hdf5 {
namespace {

TEST(Hdf5Probe, LeavesWhatLibhdf5RefusesByItselfToTheReader) {
  EXPECT_TRUE(Probe("/nonexistent.h5").ok());
  EXPECT_TRUE(Probe("core/hdf5_probe.h").ok());
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
