// The tables of arrows and confinement, and the checks that read them (see include_rules.h).
#include "tests/structure/include_rules.h"

#include <map>
#include <regex>
#include <set>
#include <string>

namespace weft::structure {
namespace {

// Folder -> the folders it may include, besides itself.
const std::map<std::string, std::set<std::string>>& Arrows() {
  static const std::map<std::string, std::set<std::string>> kArrows = {
      {"core", {}},
      {"kernels", {"core"}},
      {"data", {"core"}},
      {"parallel", {"core", "kernels"}},
      {"model", {"core", "kernels", "parallel"}},
      {"optim", {"core", "kernels", "parallel"}},
      {"checkpoint", {"core", "parallel"}},
      {"inference", {"core", "kernels", "parallel", "model", "checkpoint", "data"}},
      {"trainer", {"core", "data", "parallel", "model", "optim", "checkpoint"}},
      {"launch",
       {"core", "kernels", "data", "parallel", "model", "optim", "checkpoint", "inference", "trainer"}},
  };
  return kArrows;
}

// May include everything, and are included by no folder but themselves.
const std::set<std::string> kOutside = {"tests", "examples", "bench"};

struct Confinement {
  std::string library;
  std::regex header;  // matches the start of the included path
  std::regex place;   // found in the path of a file that may include it
};

const std::vector<Confinement>& Confinements() {
  static const std::vector<Confinement> kConfinements = {
      {"CUDA", std::regex("(cuda|cublas|cudnn|nvrtc|curand|nvml|driver_types|device_launch)[^/]*\\.h|(cuda|cub|nvtx3|cooperative_groups)/"),
       std::regex("^kernels/cuda/|^core/cuda_device\\.cc$|^bench/cuda/|^tests/.*cuda")},
      {"NCCL", std::regex("nccl"), std::regex("^parallel/nccl_communicator\\.cc$")},
      {"MPI", std::regex("mpi\\.h"), std::regex("^parallel/mpi_communicator\\.cc$|^launch/")},
      {"yaml-cpp", std::regex("yaml-cpp/"), std::regex("^core/config_reader\\.cc$")},
      {"HDF5", std::regex("hdf5|H5"), std::regex("hdf5[^/]*$")},
      {"Boost", std::regex("boost/"), std::regex("^inference/server/|^tests/inference/")},
      {"BLAS and oneDNN", std::regex("cblas|openblas|dnnl|oneapi/"), std::regex("^kernels/cpu/|^bench/")},
      {"SentencePiece", std::regex("sentencepiece_"), std::regex("^data/sentencepiece_model\\.cc$")},
      {"CLI11", std::regex("CLI/"), std::regex("^launch/")},
      {"GoogleTest", std::regex("gtest|gmock"), std::regex("^tests/")},
  };
  return kConfinements;
}

std::string FirstPart(const std::string& header) { return header.substr(0, header.find('/')); }

}  // namespace

std::vector<Violation> ArrowViolations(const SourceTree& tree) {
  std::vector<Violation> violations;
  for (const SourceFile& file : tree) {
    if (!file.IsCpp()) continue;
    const std::string from = file.Folder();
    const auto row = Arrows().find(from);
    if (row == Arrows().end() && !kOutside.contains(from)) {
      violations.push_back({file.path, 0, "'" + from + "' is not a folder of the design"});
      continue;
    }
    for (const Include& include : IncludesOf(file)) {
      const std::string to = FirstPart(include.header);
      if (include.header.find('/') == std::string::npos || to == from) continue;
      const bool is_ours = Arrows().contains(to) || kOutside.contains(to);
      const bool may = kOutside.contains(from) ? !kOutside.contains(to) : row->second.contains(to);
      if (is_ours && !may) violations.push_back({file.path, include.line, from + " may not include " + include.header});
    }
  }
  return violations;
}

std::vector<Violation> ConfinementViolations(const SourceTree& tree) {
  std::vector<Violation> violations;
  for (const SourceFile& file : tree) {
    if (!file.IsCpp()) continue;
    for (const Include& include : IncludesOf(file)) {
      for (const Confinement& rule : Confinements()) {
        const bool is_this = std::regex_search(include.header, rule.header, std::regex_constants::match_continuous);
        if (is_this && !std::regex_search(file.path, rule.place)) {
          violations.push_back({file.path, include.line, include.header + ": " + rule.library + " is confined elsewhere"});
        }
      }
    }
  }
  return violations;
}

}  // namespace weft::structure
