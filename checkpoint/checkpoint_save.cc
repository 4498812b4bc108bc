// Shards by every rank, then index, rename and marker by the first (see checkpoint_save.h).
#include "checkpoint/checkpoint_save.h"

#include <chrono>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "checkpoint/checkpoint_folders.h"
#include "checkpoint/index_hdf5.h"
#include "core/file.h"
#include "core/log.h"

namespace weft {
namespace {

Status MakeEmptyFolder(const std::string& folder) {
  WEFT_RETURN_IF_ERROR(RemoveUnfinished(folder));
  return MakeFolders(folder);
}

Status WriteIndexAndPublish(const std::string& run_folder, const CheckpointInfo& info, const std::vector<std::string>& parts) {
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

CheckpointSave::CheckpointSave(const std::string& run_folder, const CheckpointInfo& info, std::vector<TensorPiece> pieces,
                               Communicator& world)
    : run_folder_(run_folder), info_(info), pieces_(std::move(pieces)), world_(world) {}

StatusOr<std::unique_ptr<CheckpointSave>> CheckpointSave::Start(const std::string& run_folder, const CheckpointInfo& info,
                                                                std::vector<TensorPiece> pieces, Communicator& world) {
  Status status = world.rank() == 0 ? MakeEmptyFolder(PartialFolder(run_folder, info.step)) : absl::OkStatus();
  WEFT_RETURN_IF_ERROR(AgreeOnStatus(world, status));
  std::unique_ptr<CheckpointSave> save(new CheckpointSave(run_folder, info, std::move(pieces), world));
  save->StartWriting();
  return save;
}

// The shard's structure at once, its values in the thread. What fails here fails the save in Finish, like a disk that is full
// later. A rank without pieces writes no file.
void CheckpointSave::StartWriting() {
  if (pieces_.empty()) return;
  StatusOr<ShardWriter> shard = ShardWriter::Create(PartialFolder(run_folder_, info_.step), StrCat("rank-", world_.rank(), ".h5"), pieces_);
  if (!shard.ok()) {
    mine_ = shard.status();
    return;
  }
  shard_.emplace(*std::move(shard));
  is_written_ = false;
  StartThread();
}

void CheckpointSave::StartThread() {
  const RankLabel label = CurrentRank();
  try {
    thread_ = std::thread([this, label] {
      SetCurrentRank(label);
      SetCurrentRecord(&thread_record_);
      Write();
    });
  } catch (const std::system_error& error) {
    mine_ = absl::UnavailableError(StrCat("cannot start the thread that writes: ", error.what()));
    is_written_ = true;
  }
}

CheckpointSave::~CheckpointSave() {
  if (thread_.joinable()) thread_.join();
}

// Too little memory fails the save and not the run, which has all that it needs.
void CheckpointSave::Write() {
  StatusOr<CheckpointIndex> written = CheckpointIndex{};
  try {
    written = shard_->WriteValues();
  } catch (const std::exception& error) {
    written = absl::UnavailableError(StrCat("cannot write rank-", world_.rank(), ".h5: ", error.what()));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  mine_ = std::move(written);
  is_written_ = true;
  written_.notify_one();
}

void CheckpointSave::AwaitThread() {
  constexpr std::chrono::milliseconds kLook{100};
  uint64_t seen = thread_record_.num_changes();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!written_.wait_for(lock, kLook, [this] { return is_written_.load(); })) {
    const uint64_t now = thread_record_.num_changes();
    if (now != std::exchange(seen, now)) CurrentRecord().CountProgress();
  }
}

Status CheckpointSave::Finish() {
  AwaitThread();
  const bool is_first = world_.rank() == 0;
  Status status = AgreeOnStatus(world_, mine_.status());
  if (status.ok()) {
    const std::vector<std::string> parts = world_.AllGatherBytes(mine_->ToJson());
    status = AgreeOnStatus(world_, is_first ? WriteIndexAndPublish(run_folder_, info_, parts) : absl::OkStatus());
  }
  if (status.ok()) return status;
  std::error_code ignored;  // the first error says more
  if (is_first) std::filesystem::remove_all(PartialFolder(run_folder_, info_.step), ignored);
  world_.Barrier();
  return status;
}

Status SaveCheckpoint(const std::string& run_folder, const CheckpointInfo& info, const std::vector<TensorPiece>& pieces,
                      Communicator& world) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<CheckpointSave> save, CheckpointSave::Start(run_folder, info, pieces, world));
  return save->Finish();
}

}  // namespace weft
