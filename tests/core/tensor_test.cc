// Tensors and views, and the buffers below them (core/tensor.h, core/buffer.h).
#include "core/tensor.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "core/cuda_device.h"
#include "core/stream.h"

namespace weft {
namespace {

std::vector<Device> DevicesHere() {
  std::vector<Device> devices = {Device::Cpu()};
  if (cuda::DeviceCount() > 0) devices.push_back(Device::Cuda());
  return devices;
}

TEST(Tensor, OwnsAlignedMemory) {
  Tensor tensor({3, 5}, DType::kBF16);
  EXPECT_EQ(tensor.num_elements(), 15);
  EXPECT_EQ(tensor.num_bytes(), 30u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.view().raw()) % 64, 0u);
  EXPECT_EQ(tensor.device(), Device::Cpu());
}

TEST(Tensor, MovesWithItsViews) {
  Tensor first({4}, DType::kF32);
  float* data = first.data<float>();
  data[3] = 7;
  Tensor second = std::move(first);
  EXPECT_EQ(second.data<float>(), data);
  Tensor third;
  third = std::move(second);
  EXPECT_EQ(third.data<float>()[3], 7);
}

TEST(Tensor, PageLockedIsHostMemory) {
  for (const Device peer : DevicesHere()) {
    Tensor tensor = Tensor::PageLocked({1000}, DType::kF32, peer);
    EXPECT_EQ(tensor.device(), Device::Cpu());
    EXPECT_EQ(tensor.num_bytes(), 4000u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.view().raw()) % 64, 0u);
    for (int i = 0; i < 1000; ++i) tensor.data<float>()[i] = static_cast<float>(i);
    Tensor there({1000}, DType::kF32, peer), back = Tensor::PageLocked({1000}, DType::kF32, peer);
    const auto stream = Stream::Create(peer);
    stream->Copy(there, tensor);
    stream->Copy(back, there);
    stream->Synchronize();
    const Tensor moved = std::move(back);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(moved.data<float>()[i], static_cast<float>(i));
    EXPECT_TRUE(Tensor::PageLocked({0}, DType::kF32, peer).view().empty());
  }
}

TEST(Tensor, OfNoElementsIsNull) {
  Tensor tensor({0, 8}, DType::kF32);
  EXPECT_EQ(tensor.num_bytes(), 0u);
  EXPECT_TRUE(tensor.view().empty());
}

TEST(TensorView, RowsAndReshapedLookAtTheSameMemory) {
  Tensor tensor({4, 3}, DType::kI32);
  for (int i = 0; i < 12; ++i) tensor.data<int32_t>()[i] = i;
  const TensorView rows = tensor.view().Rows(1, 3);
  EXPECT_EQ(rows.shape(), (Shape{2, 3}));
  EXPECT_EQ(rows.data<int32_t>()[0], 3);
  const ConstTensorView flat = ConstTensorView(rows).Reshaped({6});
  EXPECT_EQ(flat.data<int32_t>()[5], 8);
  rows.data<int32_t>()[0] = -1;
  EXPECT_EQ(tensor.data<int32_t>()[3], -1);
  EXPECT_EQ(tensor.view().Rows(4, 4).num_elements(), 0);
}

TEST(TensorView, IsEmptyUntilGiven) {
  EXPECT_TRUE(TensorView().empty());
  EXPECT_TRUE(ConstTensorView().empty());
  Tensor tensor({1}, DType::kU8);
  EXPECT_FALSE(tensor.view().empty());
}

TEST(TensorDeathTest, RefusesAnotherTypeAndRowsOutside) {
  Tensor tensor({4, 3}, DType::kBF16);
  EXPECT_DEATH(tensor.data<float>(), "another type than bf16");
  EXPECT_DEATH(tensor.view().Rows(2, 5), "2..5 of \\[4, 3\\]");
  EXPECT_DEATH(tensor.view().Rows(3, 2), "3..2");
  EXPECT_DEATH(tensor.view().Reshaped({5}), "5 vs 12");
}

TEST(BufferDeathTest, SaysHowMuchCouldNotBeAllocated) {
  // A sanitizer says it in its own words.
  EXPECT_DEATH(Buffer(Device::Cpu(), size_t{1} << 60),
               "could not allocate 1152921504606846976 bytes on cpu|requested allocation size");
}

}  // namespace
}  // namespace weft
