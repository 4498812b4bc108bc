// Token embedding and the sum of its gradients (kernels/embedding.h).
#include "kernels/embedding.h"

#include <gtest/gtest.h>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

struct Case {
  int64_t num_tokens, num_rows, dim, vocab_begin, vocab_size;
  std::string ToString() const { return StrCat(num_tokens, " tokens, [", num_rows, ", ", dim, "] from ", vocab_begin); }
};

// Slices of the vocabulary, with tokens before and after them, and few rows, so that tokens repeat.
const std::vector<Case> kCases = {
    {1, 1, 1, 0, 1}, {3, 5, 17, 0, 5}, {65, 4, 33, 0, 4}, {130, 7, 130, 7, 21}, {33, 10, 64, 20, 30}};

TEST(Embedding, ForwardCopiesRowsAndZerosWhatIsElsewhere) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Case& c : kCases) {
      RunOnTargets(StrCat(c.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values tokens = run.Integers({c.num_tokens}, 0, c.vocab_size);
        const Values table = run.Normal({c.num_rows, c.dim}, dtype);
        const TensorView y = run.Output({c.num_tokens, c.dim}, dtype);
        EmbeddingForward(run.stream(), {.tokens = run.Input(tokens), .table = run.Input(table), .y = y,
                                        .vocab_begin = c.vocab_begin});
        run.Expect("y", y, 0, [&] {
          std::vector<double> rows;
          for (double token : tokens.data) {
            const int64_t row = static_cast<int64_t>(token) - c.vocab_begin;
            const bool is_here = row >= 0 && row < c.num_rows;
            for (int64_t i = 0; i < c.dim; ++i) {
              rows.push_back(is_here ? table.data[static_cast<size_t>(row * c.dim + i)] : 0);
            }
          }
          return rows;
        });
      });
    }
  }
}

TEST(Embedding, ForwardAddsRowsToWhatIsThere) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Case& c : kCases) {
      RunOnTargets(StrCat(c.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values tokens = run.Integers({c.num_tokens}, 0, c.vocab_size);
        const Values table = run.Normal({c.num_rows, c.dim}, dtype), before = run.Normal({c.num_tokens, c.dim}, dtype);
        const TensorView y = run.InOut(before);
        EmbeddingForward(run.stream(), {.tokens = run.Input(tokens), .table = run.Input(table), .y = y,
                                        .vocab_begin = c.vocab_begin, .accumulate = true});
        run.Expect("y", y, 0, [&] {  // one rounding
          std::vector<double> sums = before.data;
          for (size_t i = 0; i < sums.size(); ++i) {
            const size_t dim = static_cast<size_t>(c.dim);
            const int64_t row = static_cast<int64_t>(tokens.data[i / dim]) - c.vocab_begin;
            const bool is_here = row >= 0 && row < c.num_rows;
            if (is_here) sums[i] = RoundTo(dtype, sums[i] + table.data[static_cast<size_t>(row) * dim + i % dim]);
          }
          return sums;
        });
      });
    }
  }
}

TEST(Embedding, BackwardAddsEveryTokensGradientToItsRow) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    for (const Case& c : kCases) {
      RunOnTargets(StrCat(c.ToString(), DTypeName(dtype)), [&](OpRun& run) {
        const Values tokens = run.Integers({c.num_tokens}, 0, c.vocab_size);
        const Values dy = run.Normal({c.num_tokens, c.dim}, dtype);
        const Values before = run.Normal({c.num_rows, c.dim}, DType::kF32);
        const TensorView dtable = run.InOut(before);
        EmbeddingBackward(run.stream(), {.tokens = run.Input(tokens), .dy = run.Input(dy), .dtable = dtable,
                                         .vocab_begin = c.vocab_begin});
        run.Expect("dtable", dtable, Tolerance(DType::kF32), [&] {
          std::vector<double> sums = before.data;
          for (size_t i = 0; i < dy.data.size(); ++i) {
            const size_t dim = static_cast<size_t>(c.dim);
            const int64_t row = static_cast<int64_t>(tokens.data[i / dim]) - c.vocab_begin;
            if (row >= 0 && row < c.num_rows) sums[static_cast<size_t>(row) * dim + i % dim] += dy.data[i];
          }
          return sums;
        });
      });
    }
  }
}

}  // namespace
}  // namespace weft
