// Whole tensors out of checkpoints (see checkpoint_tensors.h).
#include "tests/equivalence/checkpoint_tensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "checkpoint/checkpoint.h"
#include "parallel/param_spec.h"

namespace weft {

std::map<std::string, std::vector<float>> ReadCheckpointTensors(const std::string& run_folder) {
  std::map<std::string, std::vector<float>> values;
  const StatusOr<std::string> checkpoint = FindCheckpoint(run_folder);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  if (!checkpoint.ok()) return values;
  const StatusOr<std::vector<CheckpointTensor>> tensors = ListCheckpointTensors(*checkpoint);
  EXPECT_TRUE(tensors.ok()) << tensors.status();
  if (!tensors.ok()) return values;
  std::vector<TensorPiece> pieces;
  for (const CheckpointTensor& tensor : *tensors) {
    std::vector<float>& whole = values[tensor.name];
    whole.resize(static_cast<size_t>(tensor.shape.num_elements()));
    pieces.push_back({.name = tensor.name, .global_shape = tensor.shape, .row_begin = 0, .row_end = NumRows(tensor.shape),
                      .col_begin = 0, .col_end = NumColumns(tensor.shape),
                      .data = TensorView(whole.data(), tensor.shape, DType::kF32, Device::Cpu())});
  }
  const Status loaded = LoadCheckpointPieces(*checkpoint, pieces);
  EXPECT_TRUE(loaded.ok()) << loaded;
  return values;
}

testing::AssertionResult AreSameBits(const std::map<std::string, std::vector<float>>& a,
                                     const std::map<std::string, std::vector<float>>& b) {
  if (a.empty()) return testing::AssertionFailure() << "no tensors";
  if (a.size() != b.size()) return testing::AssertionFailure() << a.size() << " tensors and " << b.size();
  for (const auto& [name, values] : a) {
    const auto found = b.find(name);
    if (found == b.end()) return testing::AssertionFailure() << name << " is in one alone";
    const bool same = values.size() == found->second.size() &&
                      std::memcmp(values.data(), found->second.data(), values.size() * sizeof(float)) == 0;
    if (!same) return testing::AssertionFailure() << name << " differs";
  }
  return testing::AssertionSuccess();
}

std::map<std::string, std::vector<float>> ReadCheckpointWeights(const std::string& run_folder) {
  std::map<std::string, std::vector<float>> weights = ReadCheckpointTensors(run_folder);
  std::erase_if(weights, [](const auto& tensor) { return !tensor.first.starts_with("weights/"); });
  return weights;
}

}  // namespace weft
