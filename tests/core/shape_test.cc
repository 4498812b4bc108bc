// Shapes (core/shape.h).
#include "core/shape.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Shape, CountsElements) {
  const Shape shape{4, 3, 2};
  EXPECT_EQ(shape.num_dims(), 3);
  EXPECT_EQ(shape[1], 3);
  EXPECT_EQ(shape.num_elements(), 24);
  EXPECT_EQ(shape.row_elements(), 6);
  EXPECT_EQ(shape.ToString(), "[4, 3, 2]");
  EXPECT_EQ((Shape{5, 0}).num_elements(), 0);
}

TEST(Shape, AScalarHasOneElement) {
  EXPECT_EQ(Shape().num_elements(), 1);
  EXPECT_EQ(Shape().ToString(), "[]");
}

TEST(Shape, ComparesExtentsAndTheirNumber) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  Shape built;
  built.Append(2);
  built.Append(7);
  built.set(1, 3);
  EXPECT_EQ(built, (Shape{2, 3}));
}

TEST(Shape, IteratesOutermostFirst) {
  std::string extents;
  for (int64_t extent : Shape{4, 3, 2}) extents += std::to_string(extent);
  EXPECT_EQ(extents, "432");
}

TEST(ShapeDeathTest, RefusesADimItLacksAndTooMany) {
  const Shape shape{4, 3};
  EXPECT_DEATH(shape[2], "dim 2 of \\[4, 3\\]");
  EXPECT_DEATH(shape[-1], "dim -1");
  EXPECT_DEATH((Shape{1, 1, 1, 1, 1, 1, 1}), "check failed");
}

}  // namespace
}  // namespace weft
