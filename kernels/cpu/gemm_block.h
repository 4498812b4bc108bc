// GemmBlock: one product that one thread computes, and the ways to compute it.
//
// A ThreadPool cuts a Gemm into blocks (gemm.cc); each is one call of a library that is told to use one thread. So thread
// ranks share no threads, and which thread computes a block changes nothing in it.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace weft::cpu {

// c [m, n] = op(a) [m, k] · op(b) [k, n], or c += with `accumulate`. Rows are lda, ldb, ldc elements apart; with
// transpose_a memory holds a as [k, m], with transpose_b b as [n, k]. m, n, k > 0.
template <typename In, typename Out>
struct GemmBlock {
  int64_t m = 0, n = 0, k = 0;
  const In* a = nullptr;
  int64_t lda = 0;
  bool transpose_a = false;
  const In* b = nullptr;
  int64_t ldb = 0;
  bool transpose_b = false;
  Out* c = nullptr;
  int64_t ldc = 0;
  bool accumulate = false;

  // The part that computes rows [m_begin, m_end) and columns [n_begin, n_end) of c.
  GemmBlock Part(int64_t m_begin, int64_t m_end, int64_t n_begin, int64_t n_end) const {
    GemmBlock part = *this;
    part.m = m_end - m_begin;
    part.n = n_end - n_begin;
    part.a += transpose_a ? m_begin : m_begin * lda;
    part.b += transpose_b ? n_begin * ldb : n_begin;
    part.c += m_begin * ldc + n_begin;
    return part;
  }
};

using F32GemmBlock = GemmBlock<float, float>;

// Plain loops: for the thread sanitizer, which cannot see into the libraries.
void PlainGemm(const F32GemmBlock& block);

// OpenBLAS.
void OpenblasGemm(const F32GemmBlock& block);

// oneDNN; in a build without it HasOnednn() is false, and the others must not be called. The bf16 ones are fast on CPUs
// with bf16 dot products only.
bool HasOnednn();
void OnednnGemm(const F32GemmBlock& block);
void OnednnGemm(const GemmBlock<bf16, float>& block);
void OnednnGemm(const GemmBlock<bf16, bf16>& block);

}  // namespace weft::cpu
