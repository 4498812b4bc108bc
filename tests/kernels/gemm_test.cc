// Gemm against sums in f64: odd sizes, all transpositions, accumulation, all dtypes, on every target.
#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include "core/str_cat.h"
#include "kernels/cpu/gemm_block.h"
#include "tests/kernels/op_test.h"

namespace weft {
namespace {

struct Transposes {
  bool a, b;
};
constexpr Transposes kAllTransposes[] = {{false, false}, {false, true}, {true, false}, {true, true}};

// op(a) · op(b) + c in f64; c may be empty.
std::vector<double> Product(const Values& a, const Values& b, Transposes transpose, std::vector<double> c) {
  const int64_t m = a.shape[transpose.a ? 1 : 0], k = a.shape[transpose.a ? 0 : 1], n = b.shape[transpose.b ? 0 : 1];
  c.resize(static_cast<size_t>(m * n));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      const double x = a.data[static_cast<size_t>(transpose.a ? p * m + i : i * k + p)];
      for (int64_t j = 0; j < n; ++j) {
        c[static_cast<size_t>(i * n + j)] += x * b.data[static_cast<size_t>(transpose.b ? j * k + p : p * n + j)];
      }
    }
  }
  return c;
}

struct Size {
  int64_t m, n, k;
};

Shape Stored(int64_t rows, int64_t columns, bool transposed) {
  return transposed ? Shape{columns, rows} : Shape{rows, columns};
}

// A lone bf16 may be all of half a unit off.
double ToleranceOf(const Size& s, DType out) {
  return out == DType::kBF16 && s.m * s.n == 1 ? 1.0 / 256 : Tolerance(out);
}

void TestGemm(const Size& s, Transposes transpose, DType in, DType out, bool accumulate) {
  const std::string label = StrCat(s.m, "x", s.n, "x", s.k, " ", transpose.a ? "T" : "N", transpose.b ? "T" : "N", " ",
                                   DTypeName(in), " to ", DTypeName(out), accumulate ? " accumulated" : "");
  RunOnTargets(label, [&](OpRun& run) {
    const Values a = run.Normal(Stored(s.m, s.k, transpose.a), in);
    const Values b = run.Normal(Stored(s.k, s.n, transpose.b), in);
    const Values before = run.Normal({s.m, s.n}, out);
    const TensorView c = accumulate ? run.InOut(before) : run.Output({s.m, s.n}, out);
    Gemm(run.stream(), {.a = run.Input(a), .b = run.Input(b), .c = c, .transpose_a = transpose.a,
                        .transpose_b = transpose.b, .accumulate = accumulate});
    // How a library blocks its share of c decides the order of sums, so bits may change with the number of threads.
    run.Expect(StrCat("c by ", run.target().num_threads), c, ToleranceOf(s, out),
               [&] { return Product(a, b, transpose, accumulate ? before.data : std::vector<double>()); });
  });
}

// Every transposition, dtype and way to write c.
void TestGemm(const Size& size) {
  for (Transposes transpose : kAllTransposes) {
    for (DType in : {DType::kF32, DType::kBF16}) {
      TestGemm(size, transpose, in, DType::kF32, false);
      TestGemm(size, transpose, in, DType::kF32, true);
    }
    TestGemm(size, transpose, DType::kBF16, DType::kBF16, false);
  }
}

TEST(Gemm, OfOneElement) { TestGemm({1, 1, 1}); }
TEST(Gemm, OfOneRow) { TestGemm({1, 65, 130}); }
TEST(Gemm, OfThreeRows) { TestGemm({3, 17, 33}); }
TEST(Gemm, OfEightRows) { TestGemm({8, 33, 65}); }
TEST(Gemm, OfNineRows) { TestGemm({9, 130, 17}); }
TEST(Gemm, OfThreeColumns) { TestGemm({65, 3, 40}); }
TEST(Gemm, OfManyBlocks) { TestGemm({197, 129, 65}); }

// Deeper, higher and wider than the tiles that bf16 is converted in where the CPU cannot multiply it.
TEST(Gemm, OfMoreThanATileEachWay) {
  TestGemm({260, 530, 520}, {false, true}, DType::kBF16, DType::kF32, true);
  TestGemm({260, 530, 520}, {true, false}, DType::kBF16, DType::kBF16, false);
}

TEST(Gemm, OfNoRowsOrNoDepth) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    TestGemm({0, 5, 3}, {false, true}, dtype, dtype, false);
    TestGemm({5, 0, 3}, {false, true}, dtype, dtype, false);
    TestGemm({5, 4, 0}, {false, true}, dtype, dtype, false);
    TestGemm({5, 4, 0}, {true, false}, dtype, DType::kF32, true);
  }
}

// In decoding: a token's result must not depend on the others of its batch.
TEST(Gemm, GivesARowTheSameAloneAndAmongEight) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    RunOnTargets(std::string(DTypeName(dtype)), [&](OpRun& run) {
      if (run.target().device.is_cuda()) return;  // promised of the CPU
      const ConstTensorView x = run.Input(run.Normal({8, 77}, dtype));
      const ConstTensorView w = run.Input(run.Normal({131, 77}, dtype));
      const TensorView together = run.Output({8, 131}, DType::kF32);
      const TensorView alone = run.Output({1, 131}, DType::kF32);
      Gemm(run.stream(), {.a = x, .b = w, .c = together, .transpose_b = true});
      for (int64_t i = 0; i < 8; ++i) {
        Gemm(run.stream(), {.a = x.Rows(i, i + 1), .b = w, .c = alone, .transpose_b = true});
        EXPECT_EQ(run.Read(alone).data, run.Read(together.Rows(i, i + 1)).data) << "row " << i;
      }
    });
  }
}

TEST(GemmDeathTest, RefusesWhatDoesNotFit) {
  const auto stream = Stream::Create(Device::Cpu());
  Tensor a({2, 3}, DType::kF32), b({4, 3}, DType::kF32), c({2, 4}, DType::kF32), half({2, 4}, DType::kBF16);
  EXPECT_DEATH(Gemm(*stream, {.a = a, .b = b, .c = c}), "3");
  EXPECT_DEATH(Gemm(*stream, {.a = a, .b = b, .c = half, .transpose_b = true}), "bf16");
}

// --- The libraries behind it, each by itself -------------------------------------------------------------------------

// Every library computes part of a larger matrix: rows further apart than they are long.
TEST(GemmBlock, IsTheSameByEveryLibrary) {
  std::vector<void (*)(const cpu::F32GemmBlock&)> libraries = {cpu::PlainGemm, cpu::OpenblasGemm};
  if (cpu::HasOnednn()) libraries.push_back(cpu::OnednnGemm);
  for (auto library : libraries) {
    for (Transposes transpose : kAllTransposes) {
      RunOnTargets(StrCat(transpose.a, transpose.b), [&](OpRun& run) {
        if (run.target().num_threads != 1 || run.target().asynchronous || run.target().device.is_cuda()) return;
        const Size s = {33, 17, 65};
        const Values a = run.Normal(Stored(s.m, s.k, transpose.a), DType::kF32);
        const Values b = run.Normal(Stored(s.k, s.n, transpose.b), DType::kF32);
        const Values before = run.Normal({s.m, s.n}, DType::kF32);
        const TensorView c = run.InOut(before);
        cpu::F32GemmBlock whole = {.m = s.m, .n = s.n, .k = s.k, .a = run.Input(a).data<float>(), .lda = a.shape[1],
                                   .transpose_a = transpose.a, .b = run.Input(b).data<float>(), .ldb = b.shape[1],
                                   .transpose_b = transpose.b, .c = c.data<float>(), .ldc = s.n, .accumulate = true};
        library(whole.Part(0, 20, 0, 16));
        library(whole.Part(0, 20, 16, 17));
        library(whole.Part(20, 33, 0, 17));
        run.Expect("c", c, Tolerance(DType::kF32), [&] { return Product(a, b, transpose, before.data); });
      });
    }
  }
}

}  // namespace
}  // namespace weft
