// Products by oneDNN, held to the calling thread: f32 by its BLAS call, bf16 by its matmul primitive.
//
// A primitive is code made for one shape, some tenths of a millisecond to make, so each thread keeps those it used. They
// are the thread's own: no locks, and they go when the thread goes.
#include <omp.h>
#include <signal.h>

#include <array>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "absl/hash/hash.h"
#include "core/check.h"
#include "kernels/cpu/gemm_block.h"

namespace weft::cpu {
namespace {

using dnnl::matmul;
using dnnl::memory;

// m, n, k, lda, ldb, ldc; transpose_a | transpose_b | accumulate | f32 output.
using MatmulKey = std::array<int64_t, 7>;

template <typename Out>
constexpr memory::data_type kOutType = std::is_same_v<Out, float> ? memory::data_type::f32 : memory::data_type::bf16;

template <typename Out>
MatmulKey KeyOf(const GemmBlock<bf16, Out>& block) {
  const int64_t flags = block.transpose_a | block.transpose_b << 1 | block.accumulate << 2 |
                        (kOutType<Out> == memory::data_type::f32) << 3;
  return {block.m, block.n, block.k, block.lda, block.ldb, block.ldc, flags};
}

memory::desc Matrix(int64_t rows, int64_t columns, memory::data_type type, int64_t row_stride, bool transposed) {
  return memory::desc({rows, columns}, type, transposed ? memory::dims{1, row_stride} : memory::dims{row_stride, 1});
}

class MatmulCache {
 public:
  MatmulCache() { omp_set_num_threads(1); }  // of this thread; nothing else in weft uses OpenMP

  template <typename Out>
  void Run(const GemmBlock<bf16, Out>& block) {
    const Entry& entry = Find(block);
    const memory a(entry.description.src_desc(), engine_, const_cast<bf16*>(block.a));
    const memory b(entry.description.weights_desc(), engine_, const_cast<bf16*>(block.b));
    const memory c(entry.description.dst_desc(), engine_, block.c);
    entry.primitive.execute(stream_, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream_.wait();
  }

 private:
  struct Entry {
    matmul::primitive_desc description;
    matmul primitive;
  };
  static constexpr size_t kMaxEntries = 512;  // prompts of all lengths would gather code without end

  template <typename Out>
  const Entry& Find(const GemmBlock<bf16, Out>& block) {
    const MatmulKey key = KeyOf(block);
    const auto found = entries_.find(key);
    if (found != entries_.end()) return found->second;
    if (entries_.size() == kMaxEntries) entries_.clear();
    matmul::primitive_desc description = Describe(block);
    return entries_.emplace(key, Entry{description, matmul(description)}).first->second;
  }

  template <typename Out>
  matmul::primitive_desc Describe(const GemmBlock<bf16, Out>& block) const {
    const memory::desc a = Matrix(block.m, block.k, memory::data_type::bf16, block.lda, block.transpose_a);
    const memory::desc b = Matrix(block.k, block.n, memory::data_type::bf16, block.ldb, block.transpose_b);
    const memory::desc c = Matrix(block.m, block.n, kOutType<Out>, block.ldc, false);
    dnnl::primitive_attr attributes;
    if (block.accumulate) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      attributes.set_post_ops(sum);
    }
#if DNNL_VERSION_MAJOR >= 3
    return matmul::primitive_desc(engine_, a, b, c, attributes);
#else
    return matmul::primitive_desc(matmul::desc(a, b, c), attributes, engine_);
#endif
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::unordered_map<MatmulKey, Entry, absl::Hash<MatmulKey>> entries_;
};

MatmulCache& CacheOfThisThread() {
  static thread_local MatmulCache cache;
  return cache;
}

// Holds signals back while it lives. oneDNN's generated GEMM kernels (seen in 2.6.3's sgemm) cannot be interrupted by a
// signal handler on their stack: the handler's frame lands in memory of theirs, and the heap or the product is corrupted.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_;
};

template <typename Out>
void RunMatmul(const GemmBlock<bf16, Out>& block) {
  const SignalsHeld held;
  try {
    CacheOfThisThread().Run(block);
  } catch (const dnnl::error& error) {
    WEFT_CHECK(false) << "oneDNN matmul m=" << block.m << " n=" << block.n << " k=" << block.k << ": " << error.what();
  }
}

}  // namespace

bool HasOnednn() { return true; }

void OnednnGemm(const F32GemmBlock& block) {
  CacheOfThisThread();  // holds OpenMP to one thread
  const SignalsHeld held;
  const dnnl::status status =
      dnnl::sgemm(block.transpose_a ? 'T' : 'N', block.transpose_b ? 'T' : 'N', block.m, block.n, block.k, 1.0f, block.a,
                  block.lda, block.b, block.ldb, block.accumulate ? 1.0f : 0.0f, block.c, block.ldc);
  WEFT_CHECK(status == dnnl::status::success) << "oneDNN sgemm: status " << static_cast<int>(status);
}

void OnednnGemm(const GemmBlock<bf16, float>& block) { RunMatmul(block); }
void OnednnGemm(const GemmBlock<bf16, bf16>& block) { RunMatmul(block); }

}  // namespace weft::cpu
