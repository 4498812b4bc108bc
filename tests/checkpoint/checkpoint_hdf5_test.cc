// What other programs see of a checkpoint through libhdf5, and what weft says after they changed it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_folders.h"
#include "checkpoint/index_hdf5.h"
#include "core/hdf5_file.h"
#include "parallel/thread_communicator.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRows = 5, kColumns = 6;

// A matrix and a vector, of which two ranks hold the left and the right half.
std::string SaveHalves(const std::string& run) {
  RunThreadRanks(2, [&](Communicator& world) {
    const int64_t begin = world.rank() * kColumns / 2, end = begin + kColumns / 2;
    Tensor matrix({kRows, kColumns / 2}, DType::kF32), vector({kColumns / 2}, DType::kF32);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t column = begin; column < end; ++column) {
        matrix.data<float>()[row * kColumns / 2 + column - begin] = static_cast<float>(row * kColumns + column);
        vector.data<float>()[column - begin] = static_cast<float>(column);
      }
    }
    WEFT_CHECK_OK(SaveCheckpoint(run, {.step = 1, .step_history_json = "{}"},
                                 {{"weights/matrix", {kRows, kColumns}, 0, kRows, begin, end, matrix.view()},
                                  {"weights/vector", {kColumns}, begin, end, 0, 1, vector.view()}},
                                 world));
  });
  return StepFolder(run, 1);
}

std::vector<float> ReadThroughHdf5(const std::string& path, const char* name, int64_t size) {
  const hdf5::Handle file = hdf5::OpenFile(path).value();
  const hdf5::Handle dataset(H5Dopen2(file.id(), name, H5P_DEFAULT));
  const hdf5::Handle space(H5Dget_space(dataset.id()));
  WEFT_CHECK_EQ(H5Sget_simple_extent_npoints(space.id()), size);
  std::vector<float> values(static_cast<size_t>(size));
  WEFT_CHECK_GE(H5Dread(dataset.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  return values;
}

TEST(CheckpointHdf5, VirtualDatasetsShowTensorsWhole) {
  const TemporaryFolder run;
  const std::string index = IndexPath(SaveHalves(run.path()));
  const std::vector<float> matrix = ReadThroughHdf5(index, "weights/matrix", kRows * kColumns);
  for (size_t i = 0; i < matrix.size(); ++i) EXPECT_EQ(matrix[i], static_cast<float>(i));
  EXPECT_EQ(ReadThroughHdf5(index, "weights/vector", kColumns), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(CheckpointHdf5, VirtualDatasetsShowNanWhereAShardIsMissing) {
  const TemporaryFolder run;
  const std::string checkpoint = SaveHalves(run.path());
  std::filesystem::remove(checkpoint + "/rank-1.h5");
  const std::vector<float> vector = ReadThroughHdf5(IndexPath(checkpoint), "weights/vector", kColumns);
  EXPECT_EQ(vector[2], 2);
  EXPECT_TRUE(std::isnan(vector[3]));
}

TEST(CheckpointHdf5, ADeletedDatasetIsRefused) {
  const TemporaryFolder run;
  const std::string checkpoint = SaveHalves(run.path());
  {
    const hdf5::Handle file(H5Fopen((checkpoint + "/rank-0.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
    ASSERT_GE(H5Ldelete(file.id(), "weights/vector[0:3]", H5P_DEFAULT), 0);
  }
  Tensor memory({kRows, kColumns}, DType::kF32);
  const Status status =
      LoadCheckpointPieces(checkpoint, {{"weights/matrix", {kRows, kColumns}, 0, kRows, 0, kColumns, memory.view()}});
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank-0.h5"));
}

// Checkpoints that were written before a text existed stay readable; without one that always existed they are not.
TEST(CheckpointHdf5, TextsThatCameLaterMayBeAbsent) {
  const TemporaryFolder run;
  const std::string index = IndexPath(SaveHalves(run.path()));
  const auto remove = [&index](const char* name) {
    const hdf5::Handle file(H5Fopen(index.c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
    ASSERT_GE(H5Ldelete(file.id(), name, H5P_DEFAULT), 0);
  };
  remove("info/step_history_json");
  const StatusOr<IndexFile> read = ReadIndexFile(index);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->info.step, 1);
  EXPECT_EQ(read->info.step_history_json, "");
  remove("info/mesh");
  EXPECT_THAT(std::string(ReadIndexFile(index).status().message()), HasSubstr("/mesh"));
}

}  // namespace
}  // namespace weft
