// Checkpoints: what a run needs to go on exactly, independent of the layout that wrote it.
//
// A checkpoint is a folder `step-N`: one HDF5 file a writing rank (`rank-R.h5`) and `index.h5`, whose rows say in which
// file and dataset each box of each global tensor lies, with its checksum. Tensors bear Hugging Face names below their
// kind: "weights/model.norm.weight" (f32 masters), "first_moment/...", "second_moment/...". Virtual datasets in the
// index show each tensor whole to h5py and h5dump; weft itself reads the shards, only the boxes it needs.
//
// Written aside (`step-N.partial`), flushed to disk, renamed; the file `complete` comes last, and a folder without it is
// no checkpoint. docs/formats.md describes the format.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/tensor_piece.h"
#include "core/status.h"
#include "parallel/communicator.h"

namespace weft {

// What is not a tensor. All texts may be empty.
struct CheckpointInfo {
  int64_t step = 0;                   // steps done
  int64_t samples = 0;                // sequences consumed
  std::string config_yaml;            // the run's resolved configuration
  std::string model_config_json;      // Hugging Face's config.json
  std::string generation_config_json{};  // that of the model whose weights the run began with; older checkpoints lack it
  std::string tokenizer_json;         // Hugging Face's tokenizer.json
  std::string tokenizer_config_json;  // Hugging Face's tokenizer_config.json
  std::string table_yaml{};           // how rows of a table became text: data/table_spec.h
  std::string data_digest;            // of the token store; which data the samples were of
  std::string mesh;                   // "pp1 dp2 tp1": for people
  std::string step_history_json;      // what the steps so far mean for the judgement of later ones (trainer/bad_step.h)
  std::string verified{};             // what the check of the layout found before the run trained under it: for people
};

// Writes the union of all ranks' pieces as RUN/checkpoints/step-N. Collective: every rank returns the same status, and
// on an error nothing that looks like a checkpoint is left. Pieces of different ranks must not overlap and must cover
// every tensor they name.
Status SaveCheckpoint(const std::string& run_folder, const CheckpointInfo& info, const std::vector<TensorPiece>& pieces,
                      Communicator& world);

// Refuses, by name, a folder that is incomplete, or whose index is damaged.
StatusOr<CheckpointInfo> ReadCheckpointInfo(const std::string& checkpoint);

// A tensor of a checkpoint, whole.
struct CheckpointTensor {
  std::string name;  // with its kind: "weights/model.norm.weight"
  Shape shape;
  bool transposed = false;  // Hugging Face's tensor of that name is the transpose
};
StatusOr<std::vector<CheckpointTensor>> ListCheckpointTensors(const std::string& checkpoint);

// Fills every piece's data from whatever boxes overlap it, verifying the checksum of each box it reads. An absent,
// truncated or altered file or dataset, and a part that no box covers, are errors that name it. Not collective.
Status LoadCheckpointPieces(const std::string& checkpoint, const std::vector<TensorPiece>& pieces);

// Reads all of a checkpoint and verifies it, every byte of every file; the first that is absent, truncated or altered is named.
// Memory stays small; a progress bar.
Status VerifyCheckpoint(const std::string& checkpoint);

// `path` may be a checkpoint or a run; a run means its newest complete checkpoint. NotFound when there is none.
StatusOr<std::string> FindCheckpoint(const std::string& path);

// Whether a run has checkpoints in their places that are not marked complete: a copy may have lost the marks.
bool HasUnfinished(const std::string& run_folder);

// The complete checkpoints of a run, the newest first.
StatusOr<std::vector<std::string>> ListCheckpoints(const std::string& run_folder);

// Which complete checkpoints of a run stay: the newest, and the best besides.
struct KeepRule {
  int64_t newest = 0;                // 0: all of them
  int64_t best = 0;                  // so many of least validation loss, newest or not
  std::map<int64_t, double> losses;  // validation loss by step; a checkpoint of another step is not among the best
};

// Removes the other complete checkpoints, and what unfinished saves left. For one rank to call.
Status PruneCheckpoints(const std::string& run_folder, const KeepRule& rule);

}  // namespace weft
