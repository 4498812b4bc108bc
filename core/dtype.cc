// Names and sizes of element types.
#include "core/dtype.h"

#include "core/check.h"

namespace weft {
namespace {
struct Row {
  DType dtype;
  std::string_view name;
  size_t size;
};
constexpr Row kRows[] = {{DType::kF32, "f32", 4}, {DType::kBF16, "bf16", 2}, {DType::kF16, "f16", 2},
                         {DType::kI32, "i32", 4}, {DType::kI64, "i64", 8},   {DType::kU8, "u8", 1}};

const Row& Find(DType dtype) {
  const Row& row = kRows[static_cast<size_t>(dtype)];
  WEFT_CHECK(row.dtype == dtype) << "the dtype table is out of order";
  return row;
}
}  // namespace

size_t DTypeSize(DType dtype) { return Find(dtype).size; }
std::string_view DTypeName(DType dtype) { return Find(dtype).name; }

std::optional<DType> ParseDType(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace weft
