// The offloaded update gives the bits of the update in place, whatever the chunks, the ring and the streams' delays
// (optim/offloaded_adamw.h).
#include "optim/offloaded_adamw.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/cuda_device.h"
#include "core/rng.h"
#include "core/str_cat.h"

namespace weft {
namespace {

constexpr double kLr = 0.01;

// Parameters of some sizes, with masters and moments on the host and all else on the 'device', which is the host too.
struct Model {
  Model(const std::vector<int64_t>& sizes, DType weight_dtype) {
    for (const int64_t size : sizes) {
      for (std::vector<Tensor>* state : {&masters, &m, &v, &grads}) state->emplace_back(Shape{size}, DType::kF32);
      weights.emplace_back(Shape{size}, weight_dtype);
    }
    for (size_t i = 0; i < sizes.size(); ++i) {
      Fill(masters[i], Rng(i, StreamKey("master")), 1);
      for (Tensor* zero : {&m[i], &v[i]}) std::memset(zero->data<float>(), 0, zero->num_bytes());
    }
  }

  static void Fill(TensorView tensor, const Rng& rng, double deviation) {
    for (int64_t i = 0; i < tensor.num_elements(); ++i) {
      tensor.data<float>()[i] = static_cast<float>(deviation * rng.Normal(static_cast<uint64_t>(i)));
    }
  }

  // What the backward pass and the clipping of a step leave behind, written by `compute`.
  void IssueGradients(Stream& compute, int64_t step) {
    compute.Run([this, step] {
      for (size_t i = 0; i < grads.size(); ++i) Fill(grads[i], Rng(static_cast<uint64_t>(step), StreamKey(StrCat("grad ", i))), 0.1);
      grad_scale.data<float>()[0] = 1.0f / static_cast<float>(step + 1);
    });
  }

  std::vector<AdamWArgs> Updates(int64_t step) {
    std::vector<AdamWArgs> updates;
    for (size_t i = 0; i < grads.size(); ++i) {
      updates.push_back({.param = masters[i], .grad = grads[i], .m = m[i], .v = v[i], .weight = weights[i],
                         .grad_scale = grad_scale, .lr = kLr, .beta2 = 0.95, .weight_decay = i % 2 == 0 ? 0.1 : 0.0,
                         .step = step});
    }
    return updates;
  }

  std::vector<Tensor> masters, m, v, grads;  // f32
  std::vector<Tensor> weights;               // f32 or bf16
  Tensor grad_scale{{1}, DType::kF32};
};

// The definition: every parameter at once, in place.
void UpdateInPlace(Model& model, int64_t step) {
  const auto stream = Stream::Create(Device::Cpu());
  for (AdamWArgs args : model.Updates(step)) {
    const TensorView weight = args.weight;
    const bool rounds = weight.dtype() == DType::kBF16;
    if (!rounds) args.weight = {};
    AdamW(*stream, args);
    if (!rounds) stream->Copy(weight, args.param);
  }
}

void ExpectSameBits(const char* what, const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::memcmp(a[i].view().raw(), b[i].view().raw(), a[i].num_bytes()), 0) << what << " of parameter " << i;
  }
}

const std::vector<int64_t> kSizes = {1, 63, 64, 65, 300, 7, 128, 3, 193};

// Some steps; what the compute stream does next (forward, then the next gradients) must come after all copies.
void ExpectEqualsUpdateInPlace(const std::string& label, const StreamOptions& streams, OffloadRing ring,
                               DType weight_dtype) {
  SCOPED_TRACE(StrCat(label, ", ", ring.num_slots, " slots of ", ring.chunk_elements, ", ", DTypeName(weight_dtype)));
  Model model(kSizes, weight_dtype), expected(kSizes, weight_dtype);
  StreamOptions compute_options = streams;
  compute_options.pool = nullptr;
  const auto compute = Stream::Create(Device::Cpu(), compute_options), inline_stream = Stream::Create(Device::Cpu());
  OffloadedAdamW offloaded(Device::Cpu(), weight_dtype, streams, ring);
  for (int64_t step = 1; step <= 3; ++step) {
    model.IssueGradients(*compute, step);
    offloaded.Step(*compute, model.Updates(step));
    std::vector<Tensor> seen;  // weights as the next forward pass reads them
    for (const Tensor& weight : model.weights) {
      seen.emplace_back(weight.shape(), weight_dtype);
      compute->Copy(seen.back(), weight);
    }
    for (Tensor& grad : model.grads) compute->Zero(grad);
    expected.IssueGradients(*inline_stream, step);
    UpdateInPlace(expected, step);
    compute->Synchronize();
    ExpectSameBits("weights", seen, expected.weights);
  }
  ExpectSameBits("masters", model.masters, expected.masters);
  ExpectSameBits("first moments", model.m, expected.m);
  ExpectSameBits("second moments", model.v, expected.v);
}

TEST(OffloadedAdamW, EqualsTheUpdateInPlace) {
  ThreadPool pool(2);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int64_t chunk : {1, 5, 64, 4096}) {
      ExpectEqualsUpdateInPlace("inline", {.pool = &pool}, {.chunk_elements = chunk, .num_slots = 3}, dtype);
    }
  }
}

TEST(OffloadedAdamW, HoldsItsOrderUnderDelays) {
  ThreadPool pool(2);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int num_slots : {1, 2, 3, 7}) {
      for (uint64_t seed = 1; seed <= 2; ++seed) {
        ExpectEqualsUpdateInPlace(StrCat("seed ", seed), {.pool = &pool, .asynchronous = true, .delay_seed = seed},
                                  {.chunk_elements = 50, .num_slots = num_slots}, dtype);
      }
    }
  }
}

// The host's loops cut a parameter at multiples of 16384 elements for its threads: chunks that do not.
TEST(OffloadedAdamW, EqualsTheUpdateInPlaceOverThreads) {
  ThreadPool pool(3);
  Model model({100003}, DType::kBF16), expected({100003}, DType::kBF16);
  const auto stream = Stream::Create(Device::Cpu());
  OffloadedAdamW offloaded(Device::Cpu(), DType::kBF16, {.pool = &pool}, {.chunk_elements = 33333, .num_slots = 2});
  model.IssueGradients(*stream, 1);
  expected.IssueGradients(*stream, 1);
  offloaded.Step(*stream, model.Updates(1));
  UpdateInPlace(expected, 1);
  ExpectSameBits("weights", model.weights, expected.weights);
  ExpectSameBits("masters", model.masters, expected.masters);
}

// Only the copies are the GPU's: the update is the host's, to the bit.
TEST(OffloadedAdamW, EqualsTheHostsUpdateForAGpu) {
  if (cuda::DeviceCount() == 0) GTEST_SKIP() << "no CUDA device here";
  const Device gpu = Device::Cuda();
  ThreadPool pool(2);
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const std::vector<int64_t> sizes = {1, 100003, 65, 300000};
    Model model(sizes, dtype), expected(sizes, dtype);
    const auto compute = Stream::Create(gpu), host = Stream::Create(Device::Cpu());
    OffloadedAdamW offloaded(gpu, dtype, {.pool = &pool}, {.chunk_elements = 33000, .num_slots = 3});
    std::vector<Tensor> grads, weights;  // on the GPU
    for (const int64_t size : sizes) {
      grads.emplace_back(Shape{size}, DType::kF32, gpu);
      weights.emplace_back(Shape{size}, dtype, gpu);
    }
    Tensor grad_scale({1}, DType::kF32, gpu);
    for (int64_t step = 1; step <= 3; ++step) {
      for (Model* both : {&model, &expected}) both->IssueGradients(*host, step);
      std::vector<AdamWArgs> updates = model.Updates(step);
      for (size_t i = 0; i < updates.size(); ++i) {
        compute->Copy(grads[i], model.grads[i]);
        updates[i].grad = grads[i];
        updates[i].weight = weights[i];
        updates[i].grad_scale = grad_scale;
      }
      compute->Copy(grad_scale, model.grad_scale);
      offloaded.Step(*compute, updates);
      for (size_t i = 0; i < updates.size(); ++i) {
        compute->Copy(model.weights[i], weights[i]);
        compute->Zero(grads[i]);
      }
      compute->Synchronize();
      UpdateInPlace(expected, step);
      ExpectSameBits("weights", model.weights, expected.weights);
    }
    ExpectSameBits("masters", model.masters, expected.masters);
    ExpectSameBits("second moments", model.v, expected.v);
  }
}

TEST(OffloadedAdamW, TakesItsRingAndNoMore) {
  const OffloadRing ring{.chunk_elements = 1000, .num_slots = 3};
  const OffloadedAdamW offloaded(Device::Cpu(), DType::kBF16, {}, ring);
  EXPECT_EQ(offloaded.arena().bytes(), 3u * 1000 * (4 + 2) + 4);
  EXPECT_EQ(offloaded.arena().bytes(), ring.bytes(DType::kBF16));
  EXPECT_EQ(OffloadedAdamW(Device::Cpu(), DType::kF32, {}, ring).arena().bytes(), ring.bytes(DType::kF32));
}

TEST(OffloadedAdamW, OfNothingDoesNothing) {
  const auto stream = Stream::Create(Device::Cpu());
  OffloadedAdamW offloaded(Device::Cpu(), DType::kF32, {}, {.chunk_elements = 8, .num_slots = 1});
  offloaded.Step(*stream, {});
}

}  // namespace
}  // namespace weft
