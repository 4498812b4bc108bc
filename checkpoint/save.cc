// SaveCheckpoint: shards by every rank, then index, rename and marker by the first.
#include "checkpoint/checkpoint.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "checkpoint/checkpoint_folders.h"
#include "checkpoint/index_hdf5.h"
#include "checkpoint/shard_hdf5.h"
#include "core/file.h"

namespace weft {
namespace {

Status MakeEmptyFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return absl::UnavailableError(StrCat("cannot remove ", folder, ": ", error.message()));
  return MakeFolders(folder);
}

// A rank without pieces writes no file.
StatusOr<CheckpointIndex> WriteMyShard(const std::string& folder, int rank, const std::vector<TensorPiece>& pieces) {
  if (pieces.empty()) return CheckpointIndex{};
  return WriteShard(folder, StrCat("rank-", rank, ".h5"), pieces);
}

Status FinishCheckpoint(const std::string& run_folder, const CheckpointInfo& info, const std::vector<std::string>& parts) {
  CheckpointIndex index;
  for (const std::string& part : parts) {
    WEFT_ASSIGN_OR_RETURN(CheckpointIndex of_rank, CheckpointIndex::FromJson(part));
    WEFT_RETURN_IF_ERROR(index.Merge(std::move(of_rank)));
  }
  WEFT_RETURN_IF_ERROR(index.SortAndCheckTiling());
  const std::string folder = PartialFolder(run_folder, info.step);
  WEFT_RETURN_IF_ERROR(WriteIndexFile(IndexPath(folder), info, index));
  WEFT_RETURN_IF_ERROR(SyncFile(IndexPath(folder)));
  WEFT_RETURN_IF_ERROR(SyncFile(folder));
  return PublishCheckpoint(run_folder, info.step);
}

}  // namespace

Status SaveCheckpoint(const std::string& run_folder, const CheckpointInfo& info, const std::vector<TensorPiece>& pieces,
                      Communicator& world) {
  const std::string folder = PartialFolder(run_folder, info.step);
  const bool is_first = world.rank() == 0;
  Status status = AgreeOnStatus(world, is_first ? MakeEmptyFolder(folder) : absl::OkStatus());
  if (!status.ok()) return status;
  const StatusOr<CheckpointIndex> mine = WriteMyShard(folder, world.rank(), pieces);
  status = AgreeOnStatus(world, mine.status());
  if (status.ok()) {
    const std::vector<std::string> parts = world.AllGatherBytes(mine->ToJson());
    status = AgreeOnStatus(world, is_first ? FinishCheckpoint(run_folder, info, parts) : absl::OkStatus());
  }
  if (status.ok()) return status;
  std::error_code ignored;  // the first error says more
  if (is_first) std::filesystem::remove_all(folder, ignored);
  world.Barrier();
  return status;
}

}  // namespace weft
