// Cached attention against its definition in f64: what is appended where, and what one new token a sequence attends to.
#include "kernels/cached_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

constexpr int64_t kSlots = 4, kPad = 3;  // unused columns before and after the heads

struct Case {
  int64_t num_heads, num_kv_heads, head_dim, capacity;
  std::vector<double> slots, positions;  // of each new token
  DType dtype = DType::kF32;
  int64_t batch() const { return static_cast<int64_t>(slots.size()); }
  int64_t row() const { return num_kv_heads * head_dim; }
  Shape cache() const { return {kSlots, capacity, row()}; }
  Shape rows(int64_t heads) const { return {batch(), kPad + heads * head_dim + kPad}; }
  double scale() const { return 1 / std::sqrt(static_cast<double>(head_dim)); }
  std::string Name() const {
    return StrCat(num_heads, "/", num_kv_heads, "x", head_dim, " ", batch(), " of ", capacity, " ", DTypeName(dtype));
  }
};

ConstHeads HeadsOf(ConstTensorView rows, int64_t num_heads, int64_t head_dim) {
  return {rows, kPad, num_heads, head_dim};
}

Values Indices(const std::vector<double>& values) {
  return {{static_cast<int64_t>(values.size())}, DType::kI32, values};
}

size_t At(const Case& c, double slot, double position) {
  return static_cast<size_t>((static_cast<int64_t>(slot) * c.capacity + static_cast<int64_t>(position)) * c.row());
}

// NaN wherever no sequence has a token yet: reading it would show.
Values CacheValues(OpRun& run, const Case& c) {
  Values cache = run.Normal(c.cache(), c.dtype);
  for (double slot = 0; slot < kSlots; ++slot) {
    double length = 0;
    for (size_t b = 0; b < c.slots.size(); ++b) {
      if (c.slots[b] == slot) length = c.positions[b] + 1;
    }
    const size_t begin = At(c, slot, length), end = At(c, slot + 1, 0);
    for (size_t i = begin; i < end; ++i) cache.data[i] = std::numeric_limits<double>::quiet_NaN();
  }
  return cache;
}

std::vector<double> Reference(const Case& c, const Values& q, const Values& keys, const Values& values) {
  std::vector<double> out(static_cast<size_t>(c.batch() * q.shape[1]), 0.0);
  for (size_t b = 0; b < c.slots.size(); ++b) {
    for (int64_t h = 0; h < c.num_heads; ++h) {
      const size_t at = b * static_cast<size_t>(q.shape[1]) + static_cast<size_t>(kPad + h * c.head_dim);
      const size_t kv = static_cast<size_t>(h / (c.num_heads / c.num_kv_heads) * c.head_dim);
      double sum = 0;
      for (double s = 0; s <= c.positions[b]; ++s) {
        const size_t row = At(c, c.slots[b], s) + kv;
        double score = 0;
        for (size_t d = 0; d < static_cast<size_t>(c.head_dim); ++d) score += q.data[at + d] * keys.data[row + d];
        const double weight = std::exp(c.scale() * score);
        sum += weight;
        for (size_t d = 0; d < static_cast<size_t>(c.head_dim); ++d) out[at + d] += weight * values.data[row + d];
      }
      for (size_t d = 0; d < static_cast<size_t>(c.head_dim); ++d) out[at + d] /= sum;
    }
  }
  return out;
}

void TestAttention(Case c) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    c.dtype = dtype;
    RunOnTargets(c.Name(), [&](OpRun& run) {
      if (run.target().device.is_cuda()) return;  // CPU only so far
      const Values q = run.Normal(c.rows(c.num_heads), dtype), keys = CacheValues(run, c), values = CacheValues(run, c);
      const TensorView out =
          run.InOut({q.shape, dtype, std::vector<double>(static_cast<size_t>(q.shape.num_elements()), 0.0)});
      CachedAttention(run.stream(), {.q = HeadsOf(run.Input(q), c.num_heads, c.head_dim), .keys = run.Input(keys),
                                     .values = run.Input(values), .num_kv_heads = c.num_kv_heads,
                                     .slots = run.Input(Indices(c.slots)), .positions = run.Input(Indices(c.positions)),
                                     .out = {out, kPad, c.num_heads, c.head_dim},
                                     .scale = static_cast<float>(c.scale())});
      const double tolerance = dtype == DType::kF32 ? 2e-6 : Tolerance(dtype);
      run.Expect("out", out, tolerance, [&] { return Reference(c, q, keys, values); });
    });
  }
}

TEST(CachedAttention, OfASequencesFirstToken) { TestAttention({1, 1, 16, 1, {0}, {0}}); }
TEST(CachedAttention, OfSequencesOfAnyLengthInAnySlots) { TestAttention({4, 2, 16, 70, {3, 0, 2}, {69, 0, 33}}); }
TEST(CachedAttention, WithoutGroups) { TestAttention({3, 3, 8, 20, {1}, {12}}); }
TEST(CachedAttention, WithOneKvHeadForManyHeads) { TestAttention({11, 1, 32, 20, {1, 2}, {12, 19}}); }
TEST(CachedAttention, OfOddHeadSizes) {
  for (int64_t head_dim : {1, 3, 10, 17, 80, 128}) TestAttention({2, 1, head_dim, 40, {0, 3}, {37, 5}});
}

TEST(CachedAttention, SurvivesLargeScores) {
  RunOnTargets("large", [&](OpRun& run) {
    if (run.target().device.is_cuda()) return;
    const Values q{{1, 1}, DType::kF32, {1000}};
    const Values keys{{1, 3, 1}, DType::kF32, {-1, 1, 1}}, values{{1, 3, 1}, DType::kF32, {5, 2, 4}};
    const TensorView out = run.Output({1, 1}, DType::kF32);
    CachedAttention(run.stream(), {.q = {run.Input(q), 0, 1, 1}, .keys = run.Input(keys), .values = run.Input(values),
                                   .num_kv_heads = 1, .slots = run.Input(Indices({0})),
                                   .positions = run.Input(Indices({2})),
                                   .out = {out, 0, 1, 1}, .scale = 1});
    run.Expect("out", out, 1e-6, [] { return std::vector<double>{3}; });
  });
}

TEST(CacheAppend, WritesEachTokenToItsPlaceAndNothingElse) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    const Case c = {2, 2, 5, 6, {2, 2, 0, 3}, {4, 5, 0, 1}, dtype};
    RunOnTargets(c.Name(), [&](OpRun& run) {
      if (run.target().device.is_cuda()) return;
      const Values k = run.Normal(c.rows(2), dtype), v = run.Normal(c.rows(2), dtype);
      const Values keys = run.Normal(c.cache(), dtype), values = run.Normal(c.cache(), dtype);
      const TensorView new_keys = run.InOut(keys), new_values = run.InOut(values);
      CacheAppend(run.stream(), {.k = HeadsOf(run.Input(k), 2, 5), .v = HeadsOf(run.Input(v), 2, 5),
                                 .slots = run.Input(Indices(c.slots)), .positions = run.Input(Indices(c.positions)),
                                 .keys = new_keys, .values = new_values});
      const auto appended = [&](const Values& cache, const Values& rows) {
        std::vector<double> after = cache.data;
        for (size_t t = 0; t < c.slots.size(); ++t) {
          const auto from = rows.data.begin() + static_cast<int64_t>(t) * rows.shape[1] + kPad;
          std::copy(from, from + c.row(), after.begin() + static_cast<int64_t>(At(c, c.slots[t], c.positions[t])));
        }
        return after;
      };
      run.Expect("keys", new_keys, 0, [&] { return appended(keys, k); });
      run.Expect("values", new_values, 0, [&] { return appended(values, v); });
    });
  }
}

TEST(CacheAppendDeathTest, RefusesAPlaceOutsideTheCache) {
  const auto stream = Stream::Create(Device::Cpu());
  Tensor rows({1, 4}, DType::kF32), keys({1, 2, 4}, DType::kF32), values({1, 2, 4}, DType::kF32);
  Tensor slots({1}, DType::kI32), positions({1}, DType::kI32);
  slots.data<int32_t>()[0] = 0;
  positions.data<int32_t>()[0] = 2;
  const ConstHeads heads(rows.view(), 0, 1, 4);
  EXPECT_DEATH(CacheAppend(*stream, {.k = heads, .v = heads, .slots = slots, .positions = positions, .keys = keys,
                                     .values = values}), "0, 2");
}

}  // namespace
}  // namespace weft
