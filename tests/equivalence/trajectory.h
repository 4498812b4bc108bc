// Trajectory: all that a run of thread ranks computed, put together from the ranks' pieces and comparable with another.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/param_spec.h"
#include "trainer/trainer.h"

namespace weft {

// Whole tensors by parameter name, made of the pieces that ranks own.
class GlobalTensors {
 public:
  // `piece` [rows, columns] f32 on the CPU, whose rows lie in the tensor of `spec` where `slabs` say. Of all ranks that own
  // the same piece one `votes`. Thread-safe.
  void Add(const ParamSpec& spec, const std::vector<Slab>& slabs, ConstTensorView piece, bool votes);
  // The tensors. Adds a complaint for each that has an element of no voter or of several, or for which another rank's
  // piece differs from the voter's in a bit.
  std::map<std::string, std::vector<float>> Take(std::vector<std::string>* complaints);

 private:
  struct Tensor {
    std::vector<float> values;
    std::vector<int> num_voters;                                 // by element
    std::vector<std::pair<size_t, std::vector<float>>> replicas;  // runs of elements: where they begin, and their values
  };
  std::mutex mutex_;
  std::map<std::string, Tensor> tensors_;
};

struct Trajectory {
  std::vector<double> losses;      // by step
  std::vector<double> grad_norms;  // by step, before clipping
  std::vector<double> eval_losses;  // of the validation split, by evaluation
  std::map<std::string, std::vector<float>> first_gradients;  // summed over the batch, of step 1, by parameter
  std::map<std::string, std::vector<float>> start, end;       // masters before step 1 and after the last one
  std::vector<std::string> complaints;  // of GlobalTensors::Take
};

struct RunOptions {
  bool asynchronous = true;  // streams are queues with random delays
  int steps = 0;             // 0: as many as the configuration says
  // Stands between the trainer and a rank's communicator; the faults of tests. Empty: nothing does.
  std::function<std::unique_ptr<Communicator>(Communicator& inner)> decorate;
};

// Runs `config` on `num_ranks` thread ranks, with an evaluation every config.eval.every steps. A run that stops with an error fails the test and gives what it has.
Trajectory RunOnThreads(const RunConfig& config, int num_ranks, const RunOptions& options = {});

// Losses, norms, evaluations and last weights of a run of processes, from its folder.
Trajectory ReadTrajectory(const std::string& run_folder);

// How far a trajectory is from the reference, in the terms of the tolerances below.
struct Difference {
  double loss = 0;       // largest relative difference of a step
  double grad_norm = 0;  // the same of the gradient norm
  double evaluation = 0;  // the same of an evaluation's loss
  double gradient = 0;   // largest relative L2 difference of a tensor's gradient in step 1
  double weight = 0;     // largest L2 difference of a tensor's end, relative to the distance that it moved
  std::string worst_gradient, worst_weight;  // names of those tensors
  std::vector<std::string> complaints;       // of the other trajectory's own making

  // "loss 1e-7, norm 2e-7, evaluation 1e-7, gradient 3e-7 (layers.0.attn.wo), weight 1e-4 (embedding)".
  std::string ToString() const;
};
// What of two trajectories is compared besides losses, norms and evaluations. What is, the reference must have: nothing to compare is
// an infinite difference.
struct Compared {
  bool gradients = true, weights = true;
};
Difference Compare(const Trajectory& reference, const Trajectory& other, const Compared& compared = {});

struct Tolerances {
  double loss = 1e-5, grad_norm = 1e-5, evaluation = 1e-5, gradient = 1e-5, weight = 1e-3;
};
// The figures that exceed their tolerance or are no numbers, by name: "loss", "norm", "evaluation", "gradient", "weight"; and "pieces"
// where there are complaints.
std::vector<std::string> Exceeded(const Difference& difference, const Tolerances& tolerances = {});

}  // namespace weft
