// The tiny model on thread ranks with delayed queues: loss and gradients of the whole, put together from the ranks.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#include "parallel/thread_communicator.h"
#include "tests/model/tiny_model.h"

namespace weft {

struct Outcome {
  double loss = 0;                            // a token, of the training step
  double evaluated = 0;                       // a token, by the evaluation plan
  std::vector<std::vector<float>> gradients;  // by parameter, [global shape]
};

// ||a - b|| / ||b||
inline double RelativeDistance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

// Puts the pieces that this rank speaks for into the whole.
inline void AddGradients(TinyRig& rig, Outcome* whole) {
  for (int id = 0; id < rig.store.num_params(); ++id) {
    if (!rig.store.Holds(id) || !rig.store.Votes(id)) continue;
    const ParamSpec& spec = rig.store.spec(id);
    const std::vector<float> local = ValuesOf(*rig.stream, rig.store.OwnedGrad(id));
    std::vector<float>& global = whole->gradients[static_cast<size_t>(id)];
    global.resize(static_cast<size_t>(spec.shape.num_elements()), 0);
    const int64_t columns = NumColumns(spec.shape);
    for (const Slab& slab : rig.store.SlabsOf(id)) {
      const int64_t width = slab.col_end - slab.col_begin;
      for (int64_t i = 0; i < (slab.row_end - slab.row_begin) * width; ++i) {
        const int64_t row = slab.row_begin + i / width, column = slab.col_begin + i % width;
        global[static_cast<size_t>(row * columns + column)] += local[static_cast<size_t>(slab.local_row * width + i)];
      }
    }
  }
}

struct TinyJob {
  ModelConfig config;
  TinyPlace place;  // its mesh and schedule; world is filled in
  Recompute recompute = Recompute::kNone;
  DType dtype = DType::kF32;
};

// Loss and gradients of `batches`, one a micro-batch, computed by all ranks of job.place.mesh together. Each rank
// evaluates before and after as well, which must find all buffers returned and give the same number.
inline Outcome TrainOnRanks(const TinyJob& job, const std::vector<MicroBatch>& batches) {
  int64_t unmasked = 0;
  for (const MicroBatch& batch : batches) unmasked += batch.num_unmasked;
  std::vector<MicroBatchView> views;
  for (const MicroBatch& batch : batches) views.push_back(ViewOf(batch));
  Outcome whole;
  whole.gradients.resize(MakeDecoderParams(job.config).specs.size());
  std::mutex mutex;
  RunThreadRanks(job.place.mesh.size(), [&](Communicator& world) {
    TinyPlace place = job.place;
    place.world = &world;
    place.num_micro_batches = static_cast<int>(batches.size());
    TinyRig rig(job.config, batches[0].tokens.num_elements(), job.recompute, job.dtype,
                static_cast<uint64_t>(world.rank()) + 1, Device::Cpu(), place);
    const double before = rig.Evaluate(views, unmasked);
    const double loss = rig.Train(views, unmasked);
    const double after = rig.Evaluate(views, unmasked);
    const std::lock_guard<std::mutex> lock(mutex);
    EXPECT_EQ(before, after);
    EXPECT_TRUE(rig.decoder.peaks_were_reached()) << "more is allocated than the plans need, on rank " << world.rank();
    const int last = job.place.mesh.pp - 1;
    EXPECT_EQ(loss != 0, rig.mesh.coord.of(Axis::kPp) == last && rig.mesh.coord.of(Axis::kTp) == 0) << "counted once";
    whole.loss += loss;
    whole.evaluated += before;
    AddGradients(rig, &whole);
  });
  return whole;
}

// Every figure of `shared` is within `bound`, relative, of the same figure of `one`.
inline void ExpectSame(const TinyJob& job, const Outcome& shared, const Outcome& one, double bound) {
  EXPECT_NEAR(shared.loss, one.loss, bound * one.loss);
  EXPECT_NEAR(shared.evaluated, one.evaluated, bound * one.evaluated);
  const std::vector<ParamSpec> specs = MakeDecoderParams(job.config).specs;
  for (size_t id = 0; id < specs.size(); ++id) {
    EXPECT_LT(RelativeDistance(shared.gradients[id], one.gradients[id]), bound) << specs[id].name;
  }
}

}  // namespace weft
