// The optimizer over what each rank owns: the norm is the whole model's, and the update is that of one rank, bit by bit,
// on every mesh, ZeRO stage and device of the state (optim/optimizer.h).
#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "core/str_cat.h"
#include "parallel/thread_communicator.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 3;
constexpr double kGradDeviation = 0.1;
const OptimizerParams kParams = {.lr = 0.01, .betas = {0.9, 0.95}, .eps = 1e-8, .weight_decay = 0.1};

// All kinds: split by rows, by fused rows and by columns; replicated; rows that no number of shards divides; vectors; one
// that is not trained; and one that the first and the last pipeline stage both hold.
std::vector<ParamSpec> Specs(int pp) {
  std::vector<ParamSpec> specs = {
      {.name = "embedding", .shape = {22, 6}, .group = 0, .splits = {{Axis::kTp, 0, {}}}, .stages = {0}},
      {.name = "norm", .shape = {6}, .group = 1, .stages = {0}, .grad_sum_axes = {Axis::kTp}, .persist = true, .weight_decay = false},
      {.name = "qkv", .shape = {12, 6}, .group = 1, .splits = {{Axis::kTp, 0, {8, 2, 2}}}, .stages = {0}},
      {.name = "bias", .shape = {12}, .group = 1, .splits = {{Axis::kTp, 0, {8, 2, 2}}}, .stages = {0}, .persist = true},
      {.name = "frozen", .shape = {5, 3}, .group = 2, .stages = {pp - 1}, .trainable = false},
      {.name = "out", .shape = {7, 10}, .group = 2, .splits = {{Axis::kTp, 1, {}}}, .stages = {pp - 1}}};
  if (pp > 1) specs[0].stages.push_back(pp - 1);
  return specs;
}

struct Case {
  MeshShape mesh;
  ParamStore::Options options;
  bool asynchronous = false;
  std::string ToString() const {
    return StrCat(mesh.ToString(), " zero ", options.zero_stage, options.offload_optimizer ? " offload " : " ",
                  DTypeName(options.compute_dtype), asynchronous ? " asynchronous" : "");
  }
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const MeshShape& mesh : {MeshShape{}, MeshShape{.dp = 2}, MeshShape{.dp = 3}, MeshShape{.tp = 2}, MeshShape{.pp = 2},
                                MeshShape{.pp = 2, .dp = 2, .tp = 2}}) {
    for (int zero_stage : {0, 1, 2, 3}) {
      if (zero_stage > 0 && mesh.dp == 1) continue;
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        for (const bool offload : {false, true}) {
          cases.push_back({mesh, {.compute_dtype = dtype, .zero_stage = zero_stage, .offload_optimizer = offload}, offload});
        }
      }
    }
  }
  return cases;
}

double GradOf(const ParamSpec& spec, int64_t step, int64_t element) {
  return static_cast<float>(kGradDeviation * Rng(static_cast<uint64_t>(step), StreamKey(spec.name)).Normal(static_cast<uint64_t>(element)));
}

// Calls visit(element of the owned piece, element of the global tensor) for all but padding.
template <typename Visit>
void ForEachOwned(const ParamStore& store, int id, const Visit& visit) {
  const int64_t columns = NumColumns(store.Master(id).shape()), global_columns = NumColumns(store.spec(id).shape);
  for (const Slab& slab : store.SlabsOf(id)) {
    for (int64_t row = slab.row_begin; row < slab.row_end; ++row) {
      for (int64_t column = slab.col_begin; column < slab.col_end; ++column) {
        visit((slab.local_row + row - slab.row_begin) * columns + column - slab.col_begin, row * global_columns + column);
      }
    }
  }
}

// What a plan leaves behind: reduced gradients, zeros in the padding.
void FillGrads(ParamStore& store, Stream& stream, int64_t step) {
  store.ZeroGrads(stream);
  stream.Run([&store, step] {
    for (int id = 0; id < store.num_params(); ++id) {
      if (!store.Holds(id)) continue;
      float* grad = store.OwnedGrad(id).data<float>();
      ForEachOwned(store, id, [&](int64_t owned, int64_t global) { grad[owned] = static_cast<float>(GradOf(store.spec(id), step, global)); });
    }
  });
}

// Runs kSteps on every rank of the case's mesh and calls check(store, norms) at the end of each rank.
void RunCase(const Case& c, double max_grad_norm,
             const std::function<void(const ParamStore&, const std::vector<float>&)>& check) {
  RunThreadRanks(c.mesh.size(), [&](Communicator& all) {
    ParamStore store(Specs(c.mesh.pp), c.mesh, c.mesh.CoordOf(all.rank()), Device::Cpu(), c.options);
    ThreadPool pool(1);
    const auto delay_seed = c.asynchronous ? static_cast<uint64_t>(all.rank() + 1) : 0;
    const StreamOptions streams = {.pool = &pool, .asynchronous = c.asynchronous, .delay_seed = delay_seed};
    const auto stream = Stream::Create(Device::Cpu(), streams);
    store.Initialize(*stream, 7);
    Optimizer optimizer(&store, kParams, max_grad_norm, streams);
    std::vector<float> norms(kSteps);
    for (int64_t step = 1; step <= kSteps; ++step) {
      FillGrads(store, *stream, step);
      optimizer.MeasureGradients(*stream, all);
      optimizer.Update(*stream, kParams.lr, step);
      float* norm = &norms[static_cast<size_t>(step - 1)];
      stream->Copy(TensorView(norm, {1}, DType::kF32, Device::Cpu()), optimizer.grad_norm());
    }
    stream->Synchronize();
    check(store, norms);
  });
}

std::vector<double> WholeModelNorms() {
  std::vector<double> norms;
  for (int64_t step = 1; step <= kSteps; ++step) {
    double squares = 0;
    for (const ParamSpec& spec : Specs(1)) {
      if (!spec.trainable) continue;
      for (int64_t i = 0; i < spec.shape.num_elements(); ++i) squares += std::pow(GradOf(spec, step, i), 2);
    }
    norms.push_back(std::sqrt(squares));
  }
  return norms;
}

// Bits of a rank's state against those of one rank that owns everything, and zeros in the padding.
void ExpectPartOf(const ParamStore& whole, const ParamStore& part) {
  for (int id = 0; id < part.num_params(); ++id) {
    if (!part.Holds(id)) continue;
    for (const auto state : {&ParamStore::Master, &ParamStore::FirstMoment, &ParamStore::SecondMoment, &ParamStore::OwnedWeight}) {
      const TensorView ours = (part.*state)(id), theirs = (whole.*state)(id);
      const size_t size = DTypeSize(ours.dtype());
      std::vector<char> expected(ours.num_bytes(), 0);
      ForEachOwned(part, id, [&](int64_t owned, int64_t global) {
        std::memcpy(&expected[static_cast<size_t>(owned) * size],
                    static_cast<const char*>(theirs.raw()) + static_cast<size_t>(global) * size, size);
      });
      EXPECT_EQ(std::memcmp(expected.data(), ours.raw(), expected.size()), 0) << part.spec(id).name;
    }
  }
}

TEST(Optimizer, NormIsThatOfTheWholeModelOnEveryRank) {
  const std::vector<double> expected = WholeModelNorms();
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.ToString());
    RunCase(c, 0.5, [&](const ParamStore&, const std::vector<float>& norms) {
      for (size_t i = 0; i < norms.size(); ++i) EXPECT_NEAR(norms[i], expected[i], 1e-6 * expected[i]) << "step " << i + 1;
    });
  }
}

// Without clipping: the norm's last bit depends on the order of the sum, and so on the mesh.
TEST(Optimizer, UpdateIsThatOfOneRankBitByBit) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    RunCase({{}, {.compute_dtype = dtype}}, 0, [&](const ParamStore& whole, const std::vector<float>&) {
      for (const Case& c : Cases()) {
        if (c.options.compute_dtype != dtype) continue;
        SCOPED_TRACE(c.ToString());
        RunCase(c, 0, [&](const ParamStore& part, const std::vector<float>&) { ExpectPartOf(whole, part); });
      }
    });
  }
}

TEST(Optimizer, OffloadedUpdateClipsAsOnTheDevice) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    RunCase({{}, {.compute_dtype = dtype}}, 0.5, [&](const ParamStore& on_device, const std::vector<float>& norms) {
      EXPECT_GT(norms[0], 1) << "clipping is active";
      RunCase({{}, {.compute_dtype = dtype, .offload_optimizer = true}, true}, 0.5,
              [&](const ParamStore& offloaded, const std::vector<float>&) { ExpectPartOf(on_device, offloaded); });
    });
  }
}

// Without gradients nothing but decay moves a parameter.
TEST(Optimizer, DecaysWhatTheTableSays) {
  ParamStore store(Specs(1), {}, {}, Device::Cpu(), {}), before(Specs(1), {}, {}, Device::Cpu(), {});
  const auto stream = Stream::Create(Device::Cpu());
  store.Initialize(*stream, 7);
  before.Initialize(*stream, 7);
  const std::unique_ptr<Communicator> alone = MakeSelfCommunicator();
  Optimizer optimizer(&store, kParams, 0);
  optimizer.MeasureGradients(*stream, *alone);
  optimizer.Update(*stream, kParams.lr, 1);
  const auto decay = static_cast<float>(1 - kParams.lr * kParams.weight_decay);
  for (int id = 0; id < store.num_params(); ++id) {
    const ParamSpec& spec = store.spec(id);
    for (int64_t i = 0; i < spec.shape.num_elements(); ++i) {
      const float was = before.Master(id).data<float>()[i];
      EXPECT_EQ(store.Master(id).data<float>()[i], spec.trainable && spec.weight_decay ? was * decay : was) << spec.name;
    }
  }
}

TEST(Optimizer, LeavesWhatIsNotTrainedAlone) {
  RunCase({}, 0, [](const ParamStore& after, const std::vector<float>&) {
    ParamStore before(Specs(1), {}, {}, Device::Cpu(), {});
    const auto stream = Stream::Create(Device::Cpu());
    before.Initialize(*stream, 7);
    const auto same = [&](int id) {
      return std::memcmp(before.Master(id).raw(), after.Master(id).raw(), after.Master(id).num_bytes()) == 0;
    };
    for (int id = 0; id < after.num_params(); ++id) EXPECT_EQ(same(id), !after.spec(id).trainable) << after.spec(id).name;
  });
}

}  // namespace
}  // namespace weft
