// Checkpoints: saved under one layout and loaded under another, bit for bit; every kind of damage refused by name;
// unfinished saves invisible.
#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_folders.h"
#include "core/file.h"
#include "parallel/param_spec.h"
#include "parallel/thread_communicator.h"
#include "tests/checkpoint/temporary_folder.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// How ranks share the parameters: each tp rank its part, cut again over the dp ranks by rows.
struct Layout {
  MeshShape mesh;
  bool zero;
  int size() const { return mesh.size(); }
};

std::vector<ParamSpec> SomeSpecs() {
  std::vector<ParamSpec> specs;
  specs.push_back({.name = "fused", .shape = {24, 5}, .splits = {{Axis::kTp, 0, {16, 4, 4}}},
                   .foreign = {{"q.weight", 0, 16}, {"k.weight", 16, 20}, {"v.weight", 20, 24}}});
  specs.push_back({.name = "down", .shape = {7, 8}, .splits = {{Axis::kTp, 1, {}}}, .foreign = {{"down.weight", 0, 7}}});
  specs.push_back({.name = "norm", .shape = {13}, .foreign = {{"norm.weight", 0, 13}}});
  specs.push_back({.name = "bias", .shape = {12}, .splits = {{Axis::kTp, 0, {}}}, .foreign = {{"bias", 0, 12}}});
  return specs;
}

// The value of an element of a global tensor, different for each; some are special.
float ValueOf(const std::string& name, int64_t row, int64_t column) {
  const auto hash = static_cast<uint32_t>(std::hash<std::string>{}(StrCat(name, " ", row, " ", column)));
  if (hash % 17 == 0) return std::bit_cast<float>(0x7fc12345u);  // a NaN with a payload
  if (hash % 13 == 0) return -0.0f;
  return std::bit_cast<float>(hash & 0xbfffffffu);
}

// The pieces that a rank holds, and their memory.
struct RankState {
  std::vector<Tensor> memory;
  std::vector<TensorPiece> pieces;
};

RankState PiecesOfRank(const Layout& layout, int rank, bool one_writer) {
  RankState state;
  const Coord coord = layout.mesh.CoordOf(rank);
  const int dp = layout.mesh.dp;
  for (const ParamSpec& spec : SomeSpecs()) {
    bool holds = layout.zero || !one_writer || coord.of(Axis::kDp) == 0;
    for (Axis axis : {Axis::kPp, Axis::kTp}) {
      const bool is_split = axis == Axis::kTp && !spec.splits.empty();
      if (!is_split && one_writer) holds = holds && coord.of(axis) == 0;
    }
    if (!holds) continue;
    const auto slabs = layout.zero ? LocalSlabs(spec, layout.mesh, coord, dp, coord.of(Axis::kDp))
                                   : LocalSlabs(spec, layout.mesh, coord);
    for (const ForeignSlab& part : ForeignSlabs(spec, slabs)) {
      const Slab& slab = part.slab;
      const int64_t rows = slab.row_end - slab.row_begin, columns = slab.col_end - slab.col_begin;
      state.memory.emplace_back(part.shape.num_dims() == 1 ? Shape{rows} : Shape{rows, columns}, DType::kF32);
      state.pieces.push_back({"weights/" + part.name, part.shape, slab.row_begin, slab.row_end, slab.col_begin, slab.col_end,
                              state.memory.back().view()});
    }
  }
  return state;
}

template <typename Visit>
void ForEachElement(const RankState& state, const Visit& visit) {
  for (const TensorPiece& piece : state.pieces) {
    float* value = piece.data.data<float>();
    for (int64_t row = piece.row_begin; row < piece.row_end; ++row) {
      for (int64_t column = piece.col_begin; column < piece.col_end; ++column) visit(piece.name, row, column, value++);
    }
  }
}

void Fill(const RankState& state) {
  ForEachElement(state, [](const std::string& name, int64_t row, int64_t column, float* value) {
    *value = ValueOf(name, row, column);
  });
}

int NumWrong(const RankState& state) {
  int wrong = 0;
  ForEachElement(state, [&](const std::string& name, int64_t row, int64_t column, const float* value) {
    wrong += std::bit_cast<uint32_t>(*value) != std::bit_cast<uint32_t>(ValueOf(name, row, column));
  });
  return wrong;
}

Status Save(const std::string& run, const Layout& layout, int64_t step = 7) {
  Status answer;
  RunThreadRanks(layout.size(), [&](Communicator& world) {
    const RankState state = PiecesOfRank(layout, world.rank(), true);
    Fill(state);
    const CheckpointInfo info{.step = step, .samples = 1234567890123, .config_yaml = "a: 1\n", .model_config_json = "{\"é\": 1}",
                              .mesh = layout.mesh.ToString(), .step_history_json = "{}"};
    const Status status = SaveCheckpoint(run, info, state.pieces, world);
    if (world.rank() == 0) answer = status;
  });
  return answer;
}

Status LoadOnOneRank(const std::string& checkpoint) {
  const RankState state = PiecesOfRank({}, 0, false);
  return LoadCheckpointPieces(checkpoint, state.pieces);
}

const Layout kLayouts[] = {{{}, false},
                           {{.dp = 2}, false},
                           {{.dp = 3}, true},
                           {{.tp = 2}, false},
                           {{.tp = 4}, true},
                           {{.dp = 2, .tp = 2}, true},
                           {{.dp = 4, .tp = 2}, true}};

TEST(Checkpoint, AnyLayoutLoadsWhatAnyOtherSaved) {
  for (const Layout& saved : kLayouts) {
    const TemporaryFolder run;
    WEFT_CHECK_OK(Save(run.path(), saved));
    for (const Layout& loaded : kLayouts) {
      for (int rank = 0; rank < loaded.size(); ++rank) {
        const RankState state = PiecesOfRank(loaded, rank, false);
        const Status status = LoadCheckpointPieces(StepFolder(run.path(), 7), state.pieces);
        ASSERT_TRUE(status.ok()) << status;
        EXPECT_EQ(NumWrong(state), 0) << saved.mesh.ToString() << " to " << loaded.mesh.ToString();
      }
    }
  }
}

TEST(Checkpoint, KeepsWhatIsNotATensor) {
  const TemporaryFolder run;
  WEFT_CHECK_OK(Save(run.path(), {{.dp = 2}, true}));
  const StatusOr<CheckpointInfo> info = ReadCheckpointInfo(StepFolder(run.path(), 7));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->step, 7);
  EXPECT_EQ(info->samples, 1234567890123);
  EXPECT_EQ(info->config_yaml, "a: 1\n");
  EXPECT_EQ(info->model_config_json, "{\"é\": 1}");
  EXPECT_EQ(info->tokenizer_json, "");
  EXPECT_EQ(info->mesh, "pp1 dp2 tp1");
  EXPECT_EQ(info->step_history_json, "{}");
  const auto tensors = ListCheckpointTensors(StepFolder(run.path(), 7));
  ASSERT_TRUE(tensors.ok());
  ASSERT_EQ(tensors->size(), 6u);
  EXPECT_EQ((*tensors)[1].name, "weights/down.weight");
  EXPECT_EQ((*tensors)[1].shape, (Shape{7, 8}));
}

TEST(Checkpoint, ListsAllThatDoesNotFit) {
  const TemporaryFolder run;
  WEFT_CHECK_OK(Save(run.path(), {}));
  Tensor memory({4}, DType::kF32);
  const std::vector<TensorPiece> pieces = {{"weights/absent", {4}, 0, 4, 0, 1, memory.view()},
                                           {"weights/norm.weight", {14}, 0, 4, 0, 1, memory.view()}};
  const Status status = LoadCheckpointPieces(StepFolder(run.path(), 7), pieces);
  EXPECT_THAT(std::string(status.message()), HasSubstr("weights/absent [4]: absent"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("weights/norm.weight [14]: has shape [13]"));
}

TEST(Checkpoint, RefusesPiecesThatDoNotTile) {
  const TemporaryFolder run;
  Tensor memory({4}, DType::kF32);
  std::fill_n(memory.data<float>(), 4, 1.0f);
  const auto world = MakeSelfCommunicator();
  Status status = SaveCheckpoint(run.path(), {.step = 1}, {{"weights/a", {5}, 0, 4, 0, 1, memory.view()}}, *world);
  EXPECT_THAT(std::string(status.message()), HasSubstr("weights/a: 1 of its 5 elements are in no file"));
  status = SaveCheckpoint(run.path(), {.step = 1},
                          {{"weights/a", {5}, 0, 4, 0, 1, memory.view()}, {"weights/a", {5}, 1, 5, 0, 1, memory.view()}}, *world);
  EXPECT_THAT(std::string(status.message()), HasSubstr("both hold a part of [1:5]"));
  EXPECT_TRUE(absl::IsNotFound(FindCheckpoint(run.path()).status()));
  EXPECT_TRUE(std::filesystem::is_empty(run.path() + "/checkpoints"));
}

// --- Damage -----------------------------------------------------------------------------------------------------------

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path().filename().string());
  return files;
}

void Overwrite(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

TEST(Checkpoint, RefusesEveryDeletedFileByName) {
  const TemporaryFolder run;
  const std::string folder = StepFolder(run.path(), 7);
  WEFT_CHECK_OK(Save(run.path(), {{.dp = 2, .tp = 2}, true}));
  ASSERT_EQ(FilesIn(folder).size(), 6u);
  for (const std::string& file : FilesIn(folder)) {
    WEFT_CHECK_OK(Save(run.path(), {{.dp = 2, .tp = 2}, true}));
    std::filesystem::remove(folder + "/" + file);
    const Status status = LoadOnOneRank(folder);
    EXPECT_FALSE(status.ok()) << file;
    EXPECT_THAT(std::string(status.message()), HasSubstr(file));
  }
}

TEST(Checkpoint, RefusesTruncatedFiles) {
  const TemporaryFolder run;
  const std::string folder = StepFolder(run.path(), 7);
  WEFT_CHECK_OK(Save(run.path(), {{.tp = 2}, false}));
  for (const std::string& file : FilesIn(folder)) {
    const std::string path = folder + "/" + file, whole = ReadFile(path).value();
    for (size_t size : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 1}) {
      Overwrite(path, whole.substr(0, size));
      const Status status = LoadOnOneRank(folder);
      EXPECT_FALSE(status.ok()) << file << " at " << size;
      EXPECT_THAT(std::string(status.message()), HasSubstr(file));
    }
    Overwrite(path, whole);
  }
  EXPECT_TRUE(LoadOnOneRank(folder).ok());
}

TEST(Checkpoint, RefusesEveryFlippedByte) {
  const TemporaryFolder run;
  const std::string folder = StepFolder(run.path(), 7);
  WEFT_CHECK_OK(Save(run.path(), {}));
  std::mt19937 random(1);
  for (const std::string& file : FilesIn(folder)) {
    const std::string path = folder + "/" + file, whole = ReadFile(path).value();
    for (int trial = 0; trial < 200; ++trial) {
      std::string damaged = whole;
      damaged[random() % whole.size()] ^= static_cast<char>(1u << (random() % 8));
      Overwrite(path, damaged);
      const Status status = LoadOnOneRank(folder);
      EXPECT_FALSE(status.ok()) << file;
      EXPECT_THAT(std::string(status.message()), HasSubstr(file));
    }
    Overwrite(path, whole);
  }
  EXPECT_TRUE(LoadOnOneRank(folder).ok());
}

TEST(Checkpoint, RefusesAShardOfAnotherCheckpoint) {
  const TemporaryFolder run, other;
  WEFT_CHECK_OK(Save(run.path(), {{.tp = 2}, false}));
  const std::string folder = StepFolder(run.path(), 7);
  std::filesystem::copy_file(folder + "/rank-1.h5", folder + "/rank-0.h5", std::filesystem::copy_options::overwrite_existing);
  const Status status = LoadOnOneRank(folder);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank-0.h5"));
}

TEST(Checkpoint, RefusesAForeignFileInPlaceOfTheIndex) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES names no folder of fixtures";
  const TemporaryFolder run;
  WEFT_CHECK_OK(Save(run.path(), {}));
  const std::string folder = StepFolder(run.path(), 7);
  int num_files = 0;
  for (const char* target : {"index.h5", "rank-0.h5", "complete"}) {
    const std::string path = folder + "/" + target, whole = ReadFile(path).value();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(StrCat(fixtures, "/suites/hdf5_corrupt"))) {
      if (!entry.is_regular_file()) continue;
      Overwrite(path, ReadFile(entry.path().string()).value());
      const Status status = LoadOnOneRank(folder);
      EXPECT_FALSE(status.ok()) << entry.path();
      EXPECT_THAT(std::string(status.message()), HasSubstr(target));
      ++num_files;
    }
    Overwrite(path, whole);
  }
  EXPECT_GT(num_files, 0);
}

// --- Folders ----------------------------------------------------------------------------------------------------------

TEST(Checkpoint, SavingFailsOnEveryRankAndLeavesNothing) {
  const TemporaryFolder run;
  Overwrite(run.path() + "/checkpoints", "a file where a folder must be");
  const Layout layout{{.dp = 3}, true};
  RunThreadRanks(layout.size(), [&](Communicator& world) {
    const RankState state = PiecesOfRank(layout, world.rank(), true);
    Fill(state);
    EXPECT_FALSE(SaveCheckpoint(run.path(), {.step = 7}, state.pieces, world).ok());
  });
  EXPECT_FALSE(FindCheckpoint(run.path()).ok());
}

// A limit on the size of files is a disk that is full for this process alone.
TEST(Checkpoint, AfterASaveThatFailedForWantOfRoomTheNextSucceeds) {
  const auto num_descriptors = [] { return FilesIn("/proc/self/fd").size(); };
  const TemporaryFolder run;
  WEFT_CHECK_OK(Save(run.path(), {}, 1));
  const size_t before = num_descriptors();
  struct rlimit unlimited;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t bytes : {0, 100, 2000, 3000}) {  // the shard; its structure; the index
    const struct rlimit small = {bytes, unlimited.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const Status status = Save(run.path(), {}, 2);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << bytes << " bytes: " << status;
    EXPECT_EQ(num_descriptors(), before) << "a file that is held open keeps its room on the disk";
    EXPECT_EQ(FilesIn(run.path() + "/checkpoints"), std::vector<std::string>{"step-1"});
    EXPECT_TRUE(LoadOnOneRank(StepFolder(run.path(), 1)).ok());
  }
  WEFT_CHECK_OK(Save(run.path(), {}, 2));
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(LoadOnOneRank(StepFolder(run.path(), 2)).ok());
}

TEST(Checkpoint, FindsTheNewestThatIsComplete) {
  const TemporaryFolder run;
  EXPECT_TRUE(absl::IsNotFound(FindCheckpoint(run.path()).status()));
  for (int64_t step : {9, 10, 100}) WEFT_CHECK_OK(Save(run.path(), {}, step));
  EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 100));
  EXPECT_EQ(FindCheckpoint(StepFolder(run.path(), 9)).value(), StepFolder(run.path(), 9));
  std::filesystem::remove(StepFolder(run.path(), 100) + "/complete");  // killed before the marker
  EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 10));
  EXPECT_TRUE(absl::IsNotFound(FindCheckpoint(StepFolder(run.path(), 100)).status()));
  std::filesystem::rename(StepFolder(run.path(), 10), PartialFolder(run.path(), 10));  // killed before the rename
  EXPECT_EQ(FindCheckpoint(run.path()).value(), StepFolder(run.path(), 9));
}

TEST(Checkpoint, SavesOverWhatAKilledSaveLeft) {
  const TemporaryFolder run;
  WEFT_CHECK_OK(MakeFolders(PartialFolder(run.path(), 7)));
  Overwrite(PartialFolder(run.path(), 7) + "/rank-9.h5", "half a shard");
  WEFT_CHECK_OK(MakeFolders(StepFolder(run.path(), 7)));
  Overwrite(StepFolder(run.path(), 7) + "/rank-8.h5", "renamed, not complete");
  WEFT_CHECK_OK(Save(run.path(), {}));
  EXPECT_EQ(FilesIn(StepFolder(run.path(), 7)).size(), 3u);
  EXPECT_TRUE(LoadOnOneRank(StepFolder(run.path(), 7)).ok());
  EXPECT_FALSE(std::filesystem::exists(PartialFolder(run.path(), 7)));
}

TEST(Checkpoint, ReplacingOneKeepsItUntilTheNewOneIsComplete) {
  const TemporaryFolder run;
  WEFT_CHECK_OK(Save(run.path(), {{.dp = 3}, true}));
  const std::string folder = StepFolder(run.path(), 7);
  // Killed between the two renames of a replacement.
  std::filesystem::rename(folder, folder + ".replaced");
  ASSERT_EQ(FindCheckpoint(run.path()).value(), folder + ".replaced");
  EXPECT_TRUE(LoadOnOneRank(folder + ".replaced").ok());
  WEFT_CHECK_OK(Save(run.path(), {}));
  EXPECT_EQ(FindCheckpoint(run.path()).value(), folder);
  EXPECT_EQ(FilesIn(run.path() + "/checkpoints"), std::vector<std::string>{"step-7"});
}

TEST(Checkpoint, IsSavedEvenIfWhatItReplacesCannotBeRemoved) {
  const TemporaryFolder run;
  const std::string folder = StepFolder(run.path(), 7);
  WEFT_CHECK_OK(MakeFolders(folder + ".replaced/complete/inside"));  // a marker that not even root can remove
  WEFT_CHECK_OK(Save(run.path(), {}));
  EXPECT_EQ(FindCheckpoint(run.path()).value(), folder);
  EXPECT_TRUE(LoadOnOneRank(folder).ok());
}

TEST(Checkpoint, PruneKeepsTheNewest) {
  const TemporaryFolder run;
  for (int64_t step : {1, 2, 10}) WEFT_CHECK_OK(Save(run.path(), {}, step));
  WEFT_CHECK_OK(MakeFolders(PartialFolder(run.path(), 11)));
  WEFT_CHECK_OK(MakeFolders(run.path() + "/checkpoints/best"));  // not ours
  WEFT_CHECK_OK(PruneCheckpoints(run.path(), {.newest = 0}));
  EXPECT_EQ(FilesIn(run.path() + "/checkpoints").size(), 4u);
  WEFT_CHECK_OK(PruneCheckpoints(run.path(), {.newest = 2}));
  EXPECT_THAT(FilesIn(run.path() + "/checkpoints"), ::testing::UnorderedElementsAre("step-2", "step-10", "best"));
}

TEST(Checkpoint, PruneKeepsTheBestBesides) {
  const TemporaryFolder run;
  for (int64_t step : {1, 2, 3, 4, 5}) WEFT_CHECK_OK(Save(run.path(), {}, step));
  // 6 has no checkpoint and counts for nothing, 4 no loss; of equal losses the earlier is the better.
  const KeepRule rule = {.newest = 1, .best = 2, .losses = {{1, 3.0}, {2, 2.0}, {3, 2.0}, {5, 2.5}, {6, 0.5}}};
  WEFT_CHECK_OK(PruneCheckpoints(run.path(), rule));
  EXPECT_THAT(FilesIn(run.path() + "/checkpoints"), ::testing::UnorderedElementsAre("step-2", "step-3", "step-5"));
  WEFT_CHECK_OK(PruneCheckpoints(run.path(), {.newest = 1}));
  EXPECT_EQ(FilesIn(run.path() + "/checkpoints"), std::vector<std::string>{"step-5"});
}

}  // namespace
}  // namespace weft
