// Running, putting together, comparing (see trajectory.h).
#include "tests/equivalence/trajectory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/str_cat.h"
#include "parallel/thread_communicator.h"
#include "tests/equivalence/checkpoint_tensors.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return std::sqrt(sum);
}

// difference / scale, where equal zeros do not differ and a NaN differs infinitely.
double Relative(double difference, double scale) {
  const double ratio = difference == 0 ? 0 : difference / scale;
  return std::isnan(ratio) ? kInfinity : ratio;
}

double WorstStep(const std::vector<double>& reference, const std::vector<double>& other) {
  if (reference.empty() || reference.size() != other.size()) return kInfinity;
  double worst = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    worst = std::max(worst, Relative(std::abs(other[i] - reference[i]), std::abs(reference[i])));
  }
  return worst;
}

using Tensors = std::map<std::string, std::vector<float>>;

// The largest figure(name) over the tensors of `reference`, all of which `other` must have, and no more. Of none: infinite.
double WorstTensor(const Tensors& reference, const Tensors& other, const std::function<double(const std::string&)>& figure,
                   std::string* worst_name) {
  double worst = reference.empty() ? kInfinity : 0;
  for (const auto& [name, values] : reference) {
    const auto found = other.find(name);
    const bool same_shape = found != other.end() && found->second.size() == values.size();
    const double mine = same_shape && other.size() == reference.size() ? figure(name) : kInfinity;
    if (mine > worst) {
      worst = mine;
      *worst_name = name;
    }
  }
  return worst;
}

// What the ranks of a run write to.
struct Collected {
  std::mutex mutex;
  Trajectory trajectory;
  GlobalTensors start, first_gradients, end;
};

void AddPieces(const ParamStore& params, const std::function<ConstTensorView(int)>& piece, GlobalTensors* tensors) {
  for (int id = 0; id < params.num_params(); ++id) {
    if (!params.Holds(id)) continue;
    tensors->Add(params.specs()[static_cast<size_t>(id)], params.SlabsOf(id), piece(id), params.Votes(id));
  }
}

void RunRank(const RunConfig& config, Communicator& world, const RunOptions& options, Collected* collected) {
  StatusOr<std::unique_ptr<Trainer>> trainer =
      Trainer::Create(config, {.world = world, .device = Device::Cpu(), .asynchronous_streams = options.asynchronous});
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const ParamStore& params = (*trainer)->params();
  const auto master = [&params](int id) { return params.Master(id); };
  AddPieces(params, master, &collected->start);
  const int64_t num_steps = options.steps > 0 ? options.steps : config.steps;
  for (int64_t step = 1; step <= num_steps; ++step) {
    const StatusOr<StepMetrics> metrics = (*trainer)->Step();
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    if (step == 1) AddPieces(params, [&params](int id) { return params.OwnedGrad(id); }, &collected->first_gradients);
    std::optional<double> eval_loss;
    if (step % config.eval.every == 0) {
      const StatusOr<std::optional<double>> evaluated = (*trainer)->Evaluate();
      ASSERT_TRUE(evaluated.ok()) << evaluated.status();
      eval_loss = *evaluated;
    }
    if (world.rank() != 0) continue;
    std::lock_guard<std::mutex> lock(collected->mutex);
    collected->trajectory.losses.push_back(metrics->loss);
    collected->trajectory.grad_norms.push_back(metrics->grad_norm);
    if (eval_loss.has_value()) collected->trajectory.eval_losses.push_back(*eval_loss);
  }
  AddPieces(params, master, &collected->end);
}

}  // namespace

void GlobalTensors::Add(const ParamSpec& spec, const std::vector<Slab>& slabs, ConstTensorView piece, bool votes) {
  std::lock_guard<std::mutex> lock(mutex_);
  Tensor& whole = tensors_[spec.name];
  whole.values.resize(static_cast<size_t>(spec.shape.num_elements()), 0);
  whole.num_voters.resize(whole.values.size(), 0);
  for (const Slab& slab : slabs) {
    const int64_t width = slab.col_end - slab.col_begin;
    for (int64_t row = slab.row_begin; row < slab.row_end; ++row) {
      const float* from = piece.data<float>() + (slab.local_row + row - slab.row_begin) * width;
      const auto at = static_cast<size_t>(row * NumColumns(spec.shape) + slab.col_begin);
      if (!votes) {
        whole.replicas.emplace_back(at, std::vector<float>(from, from + width));
        continue;
      }
      std::copy_n(from, width, &whole.values[at]);
      for (int64_t i = 0; i < width; ++i) ++whole.num_voters[at + static_cast<size_t>(i)];
    }
  }
}

std::map<std::string, std::vector<float>> GlobalTensors::Take(std::vector<std::string>* complaints) {
  Tensors taken;
  for (auto& [name, tensor] : tensors_) {
    const auto [fewest, most] = std::minmax_element(tensor.num_voters.begin(), tensor.num_voters.end());
    if (*fewest != 1 || *most != 1) complaints->push_back(StrCat(name, ": elements have ", *fewest, " to ", *most, " voters"));
    const auto differs = [&values = tensor.values](const auto& replica) {
      return !std::equal(replica.second.begin(), replica.second.end(), &values[replica.first]);
    };
    if (std::any_of(tensor.replicas.begin(), tensor.replicas.end(), differs)) {
      complaints->push_back(StrCat(name, ": ranks that own the same piece disagree"));
    }
    taken.emplace(name, std::move(tensor.values));
  }
  return taken;
}

Trajectory RunOnThreads(const RunConfig& config, int num_ranks, const RunOptions& options) {
  Collected collected;
  RunThreadRanks(num_ranks, [&](Communicator& world) {
    const std::unique_ptr<Communicator> decorated = options.decorate ? options.decorate(world) : nullptr;
    RunRank(config, decorated != nullptr ? *decorated : world, options, &collected);
  });
  Trajectory trajectory = std::move(collected.trajectory);
  trajectory.start = collected.start.Take(&trajectory.complaints);
  trajectory.first_gradients = collected.first_gradients.Take(&trajectory.complaints);
  trajectory.end = collected.end.Take(&trajectory.complaints);
  return trajectory;
}

Difference Compare(const Trajectory& reference, const Trajectory& other, const Compared& compared) {
  Difference d;
  d.complaints = other.complaints;
  d.loss = WorstStep(reference.losses, other.losses);
  d.grad_norm = WorstStep(reference.grad_norms, other.grad_norms);
  d.evaluation = WorstStep(reference.eval_losses, other.eval_losses);
  const auto gradient = [&](const std::string& name) {
    const std::vector<float>& expected = reference.first_gradients.at(name);
    return Relative(Distance(other.first_gradients.at(name), expected), Distance(expected, std::vector<float>(expected.size(), 0)));
  };
  const auto weight = [&](const std::string& name) {
    const std::vector<float>& expected = reference.end.at(name);
    return Relative(Distance(other.end.at(name), expected), Distance(expected, reference.start.at(name)));
  };
  if (compared.gradients) d.gradient = WorstTensor(reference.first_gradients, other.first_gradients, gradient, &d.worst_gradient);
  if (compared.weights) d.weight = WorstTensor(reference.end, other.end, weight, &d.worst_weight);
  return d;
}

std::string Difference::ToString() const {
  const auto named = [](double value, const std::string& name) { return StrCat(value, name.empty() ? "" : " (" + name + ")"); };
  std::string text = StrCat("loss ", loss, ", norm ", grad_norm, ", evaluation ", evaluation, ", gradient ", named(gradient, worst_gradient), ", weight ",
                            named(weight, worst_weight));
  for (const std::string& complaint : complaints) StrAppend(&text, "\n  ", complaint);
  return text;
}

std::vector<std::string> Exceeded(const Difference& d, const Tolerances& tolerances) {
  std::vector<std::string> exceeded;
  if (!(d.loss <= tolerances.loss)) exceeded.push_back("loss");
  if (!(d.grad_norm <= tolerances.grad_norm)) exceeded.push_back("norm");
  if (!(d.evaluation <= tolerances.evaluation)) exceeded.push_back("evaluation");
  if (!(d.gradient <= tolerances.gradient)) exceeded.push_back("gradient");
  if (!(d.weight <= tolerances.weight)) exceeded.push_back("weight");
  if (!d.complaints.empty()) exceeded.push_back("pieces");
  return exceeded;
}

Trajectory ReadTrajectory(const std::string& run_folder) {
  Trajectory trajectory;
  trajectory.losses = MetricOf(run_folder, "loss");
  trajectory.grad_norms = MetricOf(run_folder, "grad_norm");
  trajectory.eval_losses = MetricOf(run_folder, "eval_loss");
  trajectory.end = ReadCheckpointWeights(run_folder);
  return trajectory;
}

}  // namespace weft
