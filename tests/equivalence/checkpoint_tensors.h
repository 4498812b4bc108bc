// The tensors of a checkpoint as plain values, whichever ranks wrote them.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace weft {

// Every tensor of a run's newest checkpoint, by its name there ("weights/model.norm.weight"). A checkpoint that cannot be
// read fails the test.
std::map<std::string, std::vector<float>> ReadCheckpointTensors(const std::string& run_folder);
// The same names with the same bits. Says which is another, or lacks, where they are not.
testing::AssertionResult AreSameBits(const std::map<std::string, std::vector<float>>& a,
                                     const std::map<std::string, std::vector<float>>& b);
// The weights alone.
std::map<std::string, std::vector<float>> ReadCheckpointWeights(const std::string& run_folder);

}  // namespace weft
