// Arenas: the list of pieces is the allocation (core/arena.h).
#include "core/arena.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Arena, NamesItsPiecesInOrderAndAddsThemUp) {
  Arena arena(Device::Cpu());
  const TensorView x = arena.Allocate("x", {3, 4}, DType::kF32);
  const TensorView y = arena.Allocate("y", {5}, DType::kBF16);
  ASSERT_EQ(arena.pieces().size(), 2u);
  EXPECT_EQ(arena.pieces()[0].name, "x");
  EXPECT_EQ(arena.pieces()[0].bytes, 48u);
  EXPECT_EQ(arena.pieces()[1].name, "y");
  EXPECT_EQ(arena.pieces()[1].bytes, 10u);
  EXPECT_EQ(arena.bytes(), 58u);
  EXPECT_EQ(x.shape(), (Shape{3, 4}));
  EXPECT_EQ(y.dtype(), DType::kBF16);
}

TEST(Arena, ListsPageLockedPiecesToo) {
  Arena arena(Device::Cpu());
  const TensorView x = arena.AllocatePageLocked("x", {3, 4}, DType::kF32, Device::Cpu());
  EXPECT_EQ(x.device(), Device::Cpu());
  ASSERT_EQ(arena.pieces().size(), 1u);
  EXPECT_EQ(arena.bytes(), 48u);
}

TEST(Arena, PiecesStayWhereTheyAre) {
  Arena arena(Device::Cpu());
  const TensorView first = arena.Allocate("first", {16}, DType::kI32);
  for (int i = 0; i < 16; ++i) first.data<int32_t>()[i] = i;
  for (int i = 0; i < 100; ++i) {  // enough for the arena's own lists to grow
    const TensorView other = arena.Allocate("other", {16}, DType::kI32);
    for (int k = 0; k < 16; ++k) other.data<int32_t>()[k] = -1;
  }
  for (int i = 0; i < 16; ++i) EXPECT_EQ(first.data<int32_t>()[i], i);
}

}  // namespace
}  // namespace weft
