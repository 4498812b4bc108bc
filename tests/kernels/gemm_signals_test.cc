// Products under a hail of signals: whatever library makes them must neither notice nor corrupt memory.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>

#include <array>

#include "core/rng.h"
#include "kernels/gemm.h"

namespace weft {
namespace {

volatile sig_atomic_t signals_seen = 0;

// SIGALRM every 100 us of the test's life.
class Hail {
 public:
  Hail() {
    struct sigaction action = {};
    action.sa_handler = [](int) { signals_seen = signals_seen + 1; };
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, &before_);
    Every(100);
  }
  ~Hail() {
    Every(0);
    sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  static void Every(int microseconds) {
    const itimerval interval = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &interval, nullptr);
  }
  struct sigaction before_;
};

Tensor Random(uint64_t seed, const Shape& shape, DType dtype) {
  Tensor tensor(shape, dtype);
  const Rng rng(seed, StreamKey("hail"));
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    const auto value = static_cast<float>(rng.Normal(static_cast<uint64_t>(i)));
    if (dtype == DType::kF32) tensor.data<float>()[i] = value;
    if (dtype == DType::kBF16) tensor.data<bf16>()[i] = bf16(value);
  }
  return tensor;
}

// The shapes of a small model's projections and their gradients, again and again, against their first results.
void MultiplyUnderSignals(DType dtype) {
  ThreadPool pool(2);
  const auto stream = Stream::Create(Device::Cpu(), {.pool = &pool});
  struct Case {
    Tensor a, b, first, again;
    bool transpose_a, transpose_b;
  };
  std::vector<Case> cases;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{128, 172, 64}, {64, 64, 512}, {512, 272, 64}, {172, 64, 512}, {33, 7, 129}}) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      const bool ta = transposes & 1, tb = transposes & 2;
      cases.push_back({Random(1, ta ? Shape{k, m} : Shape{m, k}, dtype), Random(2, tb ? Shape{n, k} : Shape{k, n}, dtype),
                       Tensor({m, n}, DType::kF32), Tensor({m, n}, DType::kF32), ta, tb});
      Case& c = cases.back();
      Gemm(*stream, {.a = c.a, .b = c.b, .c = c.first, .transpose_a = ta, .transpose_b = tb});
    }
  }
  const Hail hail;
  const sig_atomic_t before = signals_seen;
  for (int round = 0; round < 100000 && signals_seen < before + 300; ++round) {
    for (Case& c : cases) {
      Gemm(*stream, {.a = c.a, .b = c.b, .c = c.again, .transpose_a = c.transpose_a, .transpose_b = c.transpose_b});
      for (int64_t i = 0; i < c.first.num_elements(); ++i) ASSERT_EQ(c.again.data<float>()[i], c.first.data<float>()[i]);
    }
  }
  EXPECT_GE(signals_seen, before + 300);
}

TEST(GemmUnderSignals, GivesTheSameProductsInF32) { MultiplyUnderSignals(DType::kF32); }
TEST(GemmUnderSignals, GivesTheSameProductsInBf16) { MultiplyUnderSignals(DType::kBF16); }

}  // namespace
}  // namespace weft
