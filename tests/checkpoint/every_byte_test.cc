// Our own files cut off at every byte, and with every single byte altered: each is refused, and by checks of ours, before
// libhdf5 sees it (which is why this many cases take so little time: a look by a child process costs 40 ms).
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "checkpoint/checkpoint_folders.h"
#include "checkpoint/index_hdf5.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_reader.h"
#include "core/file.h"
#include "parallel/thread_communicator.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

// A checkpoint of a matrix and a vector, by two ranks; its folder.
std::string SaveSmall(const std::string& run) {
  RunThreadRanks(2, [&](Communicator& world) {
    Tensor matrix({2, 3}, DType::kF32), vector({4}, DType::kF32);
    for (int64_t i = 0; i < 6; ++i) matrix.data<float>()[i] = static_cast<float>(i + 6 * world.rank());
    for (int64_t i = 0; i < 4; ++i) vector.data<float>()[i] = 0.5f * static_cast<float>(i);
    std::vector<TensorPiece> pieces = {{"weights/matrix", {4, 3}, 2 * world.rank(), 2 * world.rank() + 2, 0, 3, matrix.view()}};
    if (world.rank() == 1) pieces.push_back({"weights/vector", {4}, 0, 4, 0, 1, vector.view()});
    WEFT_CHECK_OK(SaveCheckpoint(run, {.step = 1, .config_yaml = "a: 1\n"}, pieces, world));
  });
  return StepFolder(run, 1);
}

// `read` must succeed on the file as it is, and name it when it is cut off after any number of bytes.
void ExpectRefusedCutAnywhere(const std::string& path, const std::function<Status()>& read) {
  const std::string whole = ReadFile(path).value();
  ASSERT_TRUE(read().ok()) << read();
  for (size_t size = whole.size(); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    const Status status = read();
    ASSERT_EQ(ExitCode(status), 2) << path << " cut to " << size << " of " << whole.size() << ": " << status;
    ASSERT_NE(status.message().find(std::filesystem::path(path).filename().string()), absl::string_view::npos) << status;
  }
  WEFT_CHECK_OK(WriteFileAtomically(path, whole));
}

// And with any one byte another.
void ExpectRefusedAlteredAnywhere(const std::string& path, const std::function<Status()>& read) {
  const std::string whole = ReadFile(path).value();
  const FileWriter file = FileWriter::Open(path).value();
  for (size_t at = 0; at < whole.size(); ++at) {
    const char altered = static_cast<char>(whole[at] ^ (1 << at % 8));
    WEFT_CHECK_OK(file.WriteAt(static_cast<int64_t>(at), {&altered, 1}));
    const Status status = read();
    ASSERT_EQ(ExitCode(status), 2) << path << " altered at " << at << " of " << whole.size() << ": " << status;
    WEFT_CHECK_OK(file.WriteAt(static_cast<int64_t>(at), {&whole[at], 1}));
  }
  ASSERT_TRUE(read().ok()) << read();
}

TEST(EveryByte, OfACheckpointsMarkerAndIndexCounts) {
  const TemporaryFolder run;
  const std::string checkpoint = SaveSmall(run.path());
  const auto check = [&] { return CheckMarker(checkpoint); };
  for (const char* file : {"/complete", "/index.h5"}) {
    ExpectRefusedCutAnywhere(checkpoint + file, check);
    ExpectRefusedAlteredAnywhere(checkpoint + file, check);
  }
}

TEST(EveryByte, OfAShardCounts) {
  const TemporaryFolder run;
  const std::string checkpoint = SaveSmall(run.path());
  const CheckpointIndex index = ReadIndexFile(IndexPath(checkpoint)).value().index;
  for (const std::string file : {"rank-0.h5", "rank-1.h5"}) {
    const auto read_all = [&]() -> Status {
      WEFT_ASSIGN_OR_RETURN(ShardReader shard, ShardReader::Open(checkpoint, file, index));
      for (const auto& [name, tensor] : index.tensors) {
        for (const Box& box : tensor.boxes) {
          if (box.file == file) WEFT_RETURN_IF_ERROR(shard.Read(box).status());
        }
      }
      return absl::OkStatus();
    };
    ExpectRefusedCutAnywhere(checkpoint + "/" + file, read_all);
    ExpectRefusedAlteredAnywhere(checkpoint + "/" + file, read_all);
  }
}

// The format has no checksum: an altered value is another value. But no byte may be missing.
TEST(EveryByte, OfASafetensorsFileIsNeeded) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/model.safetensors";
  SafetensorsWriter writer = SafetensorsWriter::Create(path, {{"a", DType::kF32, {2, 3}}, {"b", DType::kBF16, {4}}}, {{"format", "pt"}}).value();
  WEFT_CHECK_OK(writer.Append(std::string(24, 'x')));
  WEFT_CHECK_OK(writer.Append(std::string(8, 'y')));
  WEFT_CHECK_OK(writer.Finish());
  ExpectRefusedCutAnywhere(path, [&] { return SafetensorsFile::Open(path).status(); });
}

}  // namespace
}  // namespace weft
