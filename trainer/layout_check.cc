// Runs the tiny model twice and compares (see layout_check.h).
#include "trainer/layout_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "trainer/model_setup.h"
#include "trainer/schedule_setup.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 2;   // the second one works with what the first has updated
constexpr int64_t kBlocks = 8;  // of the tiny model, where its stages do not need more

// Rounding grows with the number of blocks that it goes through; the sums of a GPU have no fixed order.
double Bound(Device device, int64_t num_blocks) {
  return (device.is_cuda() ? 1e-4 : 1e-5) * std::max(1.0, static_cast<double>(num_blocks) / kBlocks);
}

// One thing that is compared, as one rank sees it.
struct Share {
  double voted = 0;    // relative distance on what this rank votes for; the whole distance is the L2 norm over ranks
  double replica = 0;  // relative distance on what it has besides
};

// A list of comparisons, the same on every rank.
struct Comparison {
  std::vector<std::string> names;
  std::vector<Share> mine;

  void Add(const std::string& name, double distance, double scale, bool votes) {
    double relative = distance == 0 ? 0 : distance / scale;
    if (std::isnan(relative)) relative = std::numeric_limits<double>::infinity();
    names.push_back(name);
    mine.push_back(votes ? Share{.voted = relative} : Share{.replica = relative});
  }
};

double SquaredDistance(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  return sum;
}

// Between the rows of `piece` and their places in `whole` [rows, columns].
double Distance(const std::vector<float>& piece, const std::vector<Slab>& slabs, const std::vector<float>& whole, int64_t columns) {
  double sum = 0;
  for (const Slab& slab : slabs) {
    const int64_t width = slab.col_end - slab.col_begin;
    for (int64_t row = slab.row_begin; row < slab.row_end; ++row) {
      const float* from = piece.data() + (slab.local_row + row - slab.row_begin) * width;
      sum += SquaredDistance(from, whole.data() + row * columns + slab.col_begin, width);
    }
  }
  return std::sqrt(sum);
}

double Distance(const std::vector<float>& a, const std::vector<float>& b) {
  return std::sqrt(SquaredDistance(a.data(), b.data(), static_cast<int64_t>(a.size())));
}

using TensorOf = TensorView (ParamStore::*)(int id) const;  // owned by this rank, f32

std::vector<std::vector<float>> ReadAll(const TinyTraining& training, TensorOf tensor) {
  std::vector<std::vector<float>> values;
  for (int id = 0; id < training.params().num_params(); ++id) values.push_back(training.Read((training.params().*tensor)(id)));
  return values;
}

// Every parameter's tensor of `shared` with that of `alone`, which owns all of it; distances count in those of `alone` from
// `origin`.
void AddTensors(const TinyTraining& shared, const TinyTraining& alone, TensorOf tensor, const std::string& what,
                const std::vector<std::vector<float>>& origin, Comparison* comparison) {
  const ParamStore& params = shared.params();
  const std::vector<std::vector<float>> expected = ReadAll(alone, tensor);
  for (int id = 0; id < params.num_params(); ++id) {
    const std::vector<float>& whole = expected[static_cast<size_t>(id)];
    double distance = 0;
    if (params.Holds(id)) {
      distance = Distance(shared.Read((params.*tensor)(id)), params.SlabsOf(id), whole, NumColumns(params.spec(id).shape));
    }
    comparison->Add(StrCat(what, " of ", params.spec(id).name), distance, Distance(whole, origin[static_cast<size_t>(id)]), params.Votes(id));
  }
}

std::vector<std::vector<float>> ZerosLike(const std::vector<std::vector<float>>& values) {
  std::vector<std::vector<float>> zeros;
  for (const std::vector<float>& each : values) zeros.emplace_back(each.size(), 0.0f);
  return zeros;
}

// The shares of every rank in each comparison, by rank.
std::vector<std::vector<Share>> GatherShares(Communicator& world, const std::vector<Share>& mine) {
  const std::vector<std::string> gathered =
      world.AllGatherBytes(std::string(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(Share)));
  std::vector<std::vector<Share>> shares;
  for (const std::string& bytes : gathered) {
    WEFT_CHECK_EQ(bytes.size(), mine.size() * sizeof(Share));
    shares.emplace_back(mine.size());
    std::memcpy(shares.back().data(), bytes.data(), bytes.size());
  }
  return shares;
}

// The ranks without whose shares the whole would be within `bound`: of n squares one is at least the n-th part of the sum.
std::string RanksThatDiffer(const std::vector<std::vector<Share>>& shares, size_t which, double bound) {
  constexpr int kMostNamed = 16;
  const double least = bound / std::sqrt(static_cast<double>(shares.size()));
  std::string ranks;
  int count = 0;
  for (size_t rank = 0; rank < shares.size(); ++rank) {
    if (std::max(shares[rank][which].voted, shares[rank][which].replica) <= least) continue;
    if (++count <= kMostNamed) StrAppend(&ranks, count == 1 ? "" : ", ", rank);
  }
  if (count > kMostNamed) StrAppend(&ranks, " and ", count - kMostNamed, " more");
  return StrCat(count == 1 ? "rank " : "ranks ", ranks);
}

// The largest difference, over all ranks; an error for the first beyond `bound`.
StatusOr<double> Judge(Communicator& world, const Comparison& comparison, double bound, int64_t step) {
  const std::vector<std::vector<Share>> shares = GatherShares(world, comparison.mine);
  double largest = 0;
  for (size_t which = 0; which < comparison.names.size(); ++which) {
    double squares = 0, replica = 0;
    for (const std::vector<Share>& rank : shares) {
      squares += rank[which].voted * rank[which].voted;
      replica = std::max(replica, rank[which].replica);
    }
    const double difference = std::max(std::sqrt(squares), replica);
    if (difference > bound) {
      return absl::InternalError(StrCat(
          "these ranks, laid out like this, do not compute what one rank does: in step ", step, " of a tiny model the ",
          comparison.names[which], " is off by ", difference, " (relative; at most ", bound, " is rounding), on ",
          RanksThatDiffer(shares, which, bound), ". Training would go wrong, so it is not begun. The fault is in weft or in what carries data "
          "between these ranks, not in the settings; another layout (parallel, zero_optimization) may be sound, and "
          "verify_parallel: never trains unchecked"));
    }
    largest = std::max(largest, difference);
  }
  return largest;
}

// The stages of `stages`, each with fewer blocks where there are many; a stage without blocks stays so.
StatusOr<StageLayout> Shorten(const StageLayout& stages) {
  const int64_t most = std::max<int64_t>(1, kBlocks / stages.num_virtual_stages());
  int64_t sum = 0;
  std::vector<int64_t> blocks;
  for (const auto& [begin, end] : stages.virtual_stages) {
    const int64_t count = std::min(end, stages.head_group()) - std::max(begin, 1);
    blocks.push_back(std::min(count, most));
    sum += blocks.back();
  }
  return MakeStageLayout(sum, stages.pp, stages.num_virtual_stages() / stages.pp, blocks, stages.tied);
}

// The run's, with few blocks and in f32.
StatusOr<TrainingLayout> LayoutOf(const RunConfig& config, const ModelConfig& model, const MeshShape& mesh) {
  WEFT_ASSIGN_OR_RETURN(TrainingLayout layout, TrainingLayoutOf(config, model, mesh.dp));
  WEFT_ASSIGN_OR_RETURN(layout.stages, Shorten(layout.stages));
  layout.params.compute_dtype = DType::kF32;
  return layout;
}

}  // namespace

int CheckedMicroBatches(const RunConfig& config) {
  return static_cast<int>(std::min(*config.gradient_accumulation_steps, 2 * config.parallel.pp * config.parallel.interleave));
}

StatusOr<LayoutAgreement> CheckLayout(const RunConfig& config, const ModelConfig& model, const ProcessMesh& mesh,
                                      const TrainingStreams& streams) {
  WEFT_ASSIGN_OR_RETURN(const TrainingLayout layout, LayoutOf(config, model, mesh.shape));
  const ModelConfig tiny = TinyModel(model, layout.stages.head_group() - 1, mesh.shape.tp);
  WEFT_ASSIGN_OR_RETURN(StageLayout one_stage, MakeStageLayout(tiny.num_hidden_layers, 1, 1, {}, tiny.tie_word_embeddings));
  const TinySamples samples = {.num_replicas = mesh.shape.dp, .num_micro_batches = CheckedMicroBatches(config),
                               .tp = mesh.shape.tp, .vocab_size = tiny.vocab_size};
  const std::unique_ptr<Communicator> self = MakeSelfCommunicator();
  const ProcessMesh one = MakeProcessMesh({}, *self, *self);
  TinyTraining shared(tiny, layout, samples, mesh, streams);
  TinyTraining alone(tiny, {.stages = one_stage}, samples, one, {streams.compute, streams.compute, streams.compute, {}});
  const std::vector<std::vector<float>> start = ReadAll(alone, &ParamStore::Master);
  const std::vector<std::vector<float>> zeros = ZerosLike(start);
  const double bound = Bound(streams.compute.device(), tiny.num_hidden_layers);
  LayoutAgreement agreement;
  for (int64_t step = 1; step <= kSteps; ++step) {
    shared.Step(step);
    alone.Step(step);
    Comparison gradients, loss;
    AddTensors(shared, alone, &ParamStore::OwnedGrad, "gradient", zeros, &gradients);
    gradients.Add("gradient norm", std::abs(shared.grad_norm() - alone.grad_norm()), alone.grad_norm(), false);
    loss.Add("loss", std::abs(shared.loss() - alone.loss()), alone.loss(), false);
    WEFT_ASSIGN_OR_RETURN(const double gradient_difference, Judge(*mesh.world, gradients, bound, step));
    WEFT_ASSIGN_OR_RETURN(const double loss_difference, Judge(*mesh.world, loss, bound, step));
    agreement.gradient = std::max(agreement.gradient, gradient_difference);
    agreement.loss = std::max(agreement.loss, loss_difference);
  }
  Comparison weights;
  AddTensors(shared, alone, &ParamStore::Master, "update", start, &weights);
  WEFT_ASSIGN_OR_RETURN(agreement.weight, Judge(*mesh.world, weights, 10 * bound, kSteps));
  return agreement;
}

}  // namespace weft
