// The gradient norm on the CPU (see grad_norm.h): sums of parts of fixed size, added in order.
#include "kernels/grad_norm.h"

#include <cmath>

#include "kernels/cpu/host_loops.h"

namespace weft::cpu {
namespace {
constexpr int64_t kPart = 65536;  // elements

int64_t NumParts(int64_t num_elements) { return (num_elements + kPart - 1) / kPart; }
}  // namespace

size_t SumSquaresScratchBytes(const SumSquaresArgs& args) {
  return static_cast<size_t>(NumParts(args.x.num_elements())) * sizeof(double);
}

void SumSquares(ThreadPool& pool, const SumSquaresArgs& args, TensorView scratch) {
  const int64_t n = args.x.num_elements();
  const int64_t num_parts = NumParts(n);
  const float* x = Elements<float>(args.x);
  double* sums = Elements<double>(scratch);  // [num_parts]
  pool.ParallelFor(num_parts, 1, [&](int64_t first, int64_t end) {
    for (int64_t part = first; part < end; ++part) {
      const int64_t begin = part * kPart;
      sums[part] = HostLoops().sum_squares(x + begin, std::min(kPart, n - begin));
    }
  });
  double sum = 0;
  for (int64_t part = 0; part < num_parts; ++part) sum += sums[part];
  *Elements<float>(args.out) = static_cast<float>(sum);
}

void ClipScale(ThreadPool&, const ClipScaleArgs& args) {
  const float* slots = Elements<float>(args.sum_squares);
  double sum = 0;
  for (int64_t i = 0; i < args.sum_squares.num_elements(); ++i) sum += static_cast<double>(slots[i]);
  const double norm = std::sqrt(sum);
  const double ratio = static_cast<double>(args.max_norm) / (norm + 1e-6);
  const bool clips = args.max_norm > 0 && !(ratio >= 1);  // NaN clips too: the step it would scale is lost anyway
  *Elements<float>(args.norm) = static_cast<float>(norm);
  *Elements<float>(args.scale) = clips ? static_cast<float>(ratio) : 1.0f;
}

}  // namespace weft::cpu
