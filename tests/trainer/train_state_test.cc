// A snapshot is what the state was when it was taken, whatever becomes of the state afterwards: on the CPU, with an
// offloaded optimizer, and on CUDA where there is a device.
#include "trainer/train_state.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/cuda_device.h"
#include "tests/model/tiny_model.h"

namespace weft {
namespace {

struct Placement {
  std::string name;
  Device device;
  ParamStore::Options options;
};
void PrintTo(const Placement& placement, std::ostream* out) { *out << placement.name; }

// The state of one of two replicas; every element a number of its own, that `first` begins.
void Fill(const ParamStore& params, Stream& stream, float first) {
  float next = first;
  for (int id = 0; id < params.num_params(); ++id) {
    for (const TensorView& state : {params.Master(id), params.FirstMoment(id), params.SecondMoment(id)}) {
      Tensor values(state.shape(), DType::kF32);
      for (int64_t i = 0; i < values.num_elements(); ++i) values.data<float>()[i] = next++;
      stream.Copy(state, values.view());
      stream.Synchronize();
    }
  }
}

std::vector<std::vector<float>> ValuesOf(const std::vector<TensorPiece>& pieces) {
  std::vector<std::vector<float>> values;
  for (const TensorPiece& piece : pieces) {
    EXPECT_FALSE(piece.data.device().is_cuda()) << piece.name;
    const float* data = piece.data.data<float>();
    values.emplace_back(data, data + piece.data.num_elements());
  }
  return values;
}

class Snapshot : public testing::TestWithParam<Placement> {};

TEST_P(Snapshot, IsNotTouchedByWhatComesAfterIt) {
  const auto& [name, device, options] = GetParam();
  if (device.is_cuda() && cuda::DeviceCount() == 0) GTEST_SKIP() << "no CUDA device";
  const std::unique_ptr<Stream> stream = Stream::Create(device), host = Stream::Create(Device::Cpu());
  const std::vector<ParamSpec> specs = MakeDecoderParams(TinyConfig()).specs;
  const MeshShape mesh = {.dp = 2};
  const ParamStore params(specs, mesh, mesh.CoordOf(0), device, options);
  const ParamStore reference(specs, mesh, mesh.CoordOf(0), Device::Cpu(), options);  // same layout, never changed
  Fill(params, *stream, 1);
  Fill(reference, *host, 1);
  TrainStateSnapshot snapshot(params), of_reference(reference);
  const std::vector<TensorPiece> pieces = snapshot.Take(*stream);
  ASSERT_FALSE(pieces.empty());
  Fill(params, *stream, -1e6f);
  EXPECT_EQ(ValuesOf(pieces), ValuesOf(of_reference.Take(*host)));
  Fill(reference, *host, -1e6f);
  EXPECT_NE(ValuesOf(pieces), ValuesOf(of_reference.Take(*host)));
  EXPECT_EQ(ValuesOf(snapshot.Take(*stream)), ValuesOf(of_reference.Take(*host)));
}

INSTANTIATE_TEST_SUITE_P(
    All, Snapshot,
    testing::Values(Placement{"Cpu", Device::Cpu(), {}}, Placement{"CpuZero3", Device::Cpu(), {.zero_stage = 3}},
                    Placement{"CpuOffloaded", Device::Cpu(), {.zero_stage = 3, .offload_optimizer = true}},
                    Placement{"Cuda", Device::Cuda(0), {.zero_stage = 3}},
                    Placement{"CudaOffloaded", Device::Cuda(0), {.zero_stage = 3, .offload_optimizer = true}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace weft
