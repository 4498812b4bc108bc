// Matrix product by cuBLASLt. Our matrices are row-major and cuBLASLt's column-major, where the same memory reads as
// the transpose: it computes c^T [N, M] = op(b)^T [N, K] · op(a)^T [K, M], so a and b change places and need no copy.
//
// f32 is multiplied in f32 (never TF32), bf16 accumulates in f32. The plan of a shape (descriptors and the algorithm
// that cuBLASLt's heuristic ranks first) is made at the shape's first use and kept with the stream.
#include <cublasLt.h>

#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "kernels/cuda/launch.h"
#include "kernels/gemm.h"

namespace weft::cuda {
namespace {

#define WEFT_CUBLAS_CALL(expr)                                                                   \
  do {                                                                                           \
    const cublasStatus_t weft_cublas_ = (expr);                                                  \
    WEFT_CHECK(weft_cublas_ == CUBLAS_STATUS_SUCCESS)                                            \
        << #expr << ": " << cublasLtGetStatusString(weft_cublas_);                               \
  } while (false)

constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // NVIDIA's advice for Hopper

// All that an algorithm depends on. Pointer alignment counts: fast kernels need 16 bytes.
struct GemmKey {
  int64_t m, n, k;
  DType input, output;
  bool transpose_a, transpose_b, accumulate;
  uint32_t align_a, align_b, align_c;

  bool operator==(const GemmKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const GemmKey& key) {
    return H::combine(std::move(h), key.m, key.n, key.k, key.input, key.output, key.transpose_a, key.transpose_b,
                      key.accumulate, key.align_a, key.align_b, key.align_c);
  }
};

struct GemmPlan {
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;  // ours, by our names
  cublasLtMatmulAlgo_t algorithm = {};
};

// The largest power of two up to 256 that divides the address.
uint32_t Alignment(const void* data) {
  const auto address = reinterpret_cast<uintptr_t>(data) | 256;
  return static_cast<uint32_t>(address & -address);
}

cudaDataType_t CudaType(DType dtype) {
  if (dtype == DType::kF32) return CUDA_R_32F;
  WEFT_CHECK(dtype == DType::kBF16) << "no CUDA GEMM for " << DTypeName(dtype);
  return CUDA_R_16BF;
}

// The cuBLASLt handle and plans of one stream.
class GemmPlans {
 public:
  GemmPlans() { WEFT_CUBLAS_CALL(cublasLtCreate(&handle_)); }
  ~GemmPlans() {
    for (auto& [key, plan] : plans_) Destroy(plan);
    cublasLtDestroy(handle_);
  }
  GemmPlans(const GemmPlans&) = delete;
  GemmPlans& operator=(const GemmPlans&) = delete;

  cublasLtHandle_t handle() const { return handle_; }

  const GemmPlan& For(const GemmKey& key) {
    auto [found, is_new] = plans_.try_emplace(key);
    if (is_new) found->second = Make(key);
    return found->second;
  }

 private:
  GemmPlan Make(const GemmKey& key) const;
  static void Destroy(GemmPlan& plan) {
    cublasLtMatmulDescDestroy(plan.operation);
    cublasLtMatrixLayoutDestroy(plan.a);
    cublasLtMatrixLayoutDestroy(plan.b);
    cublasLtMatrixLayoutDestroy(plan.c);
  }

  cublasLtHandle_t handle_ = nullptr;
  absl::flat_hash_map<GemmKey, GemmPlan> plans_;
};

template <typename Value>
void SetAttribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, Value value) {
  WEFT_CUBLAS_CALL(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof(value)));
}

template <typename Value>
void SetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
  WEFT_CUBLAS_CALL(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)));
}

// A row-major [rows, columns] matrix, as the column-major [columns, rows] that lies in the same memory.
cublasLtMatrixLayout_t MakeLayout(DType dtype, int64_t rows, int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  WEFT_CUBLAS_CALL(cublasLtMatrixLayoutCreate(&layout, CudaType(dtype), columns, rows, columns));
  return layout;
}

GemmPlan GemmPlans::Make(const GemmKey& key) const {
  GemmPlan plan;
  WEFT_CUBLAS_CALL(cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  // cuBLASLt's A is our b, its B our a.
  SetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, key.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  SetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, key.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  plan.a = key.transpose_a ? MakeLayout(key.input, key.k, key.m) : MakeLayout(key.input, key.m, key.k);
  plan.b = key.transpose_b ? MakeLayout(key.input, key.n, key.k) : MakeLayout(key.input, key.k, key.n);
  plan.c = MakeLayout(key.output, key.m, key.n);

  cublasLtMatmulPreference_t preference = nullptr;
  WEFT_CUBLAS_CALL(cublasLtMatmulPreferenceCreate(&preference));
  SetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kWorkspaceBytes});
  SetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.align_b);
  SetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.align_a);
  SetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.align_c);
  SetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.align_c);
  cublasLtMatmulHeuristicResult_t result = {};
  int num_found = 0;
  WEFT_CUBLAS_CALL(cublasLtMatmulAlgoGetHeuristic(handle_, plan.operation, plan.b, plan.a, plan.c, plan.c, preference,
                                                  1, &result, &num_found));
  WEFT_CHECK(num_found == 1) << "cuBLASLt has no algorithm for [" << key.m << ", " << key.n << ", " << key.k << "] "
                             << DTypeName(key.input) << " -> " << DTypeName(key.output);
  WEFT_CUBLAS_CALL(cublasLtMatmulPreferenceDestroy(preference));
  plan.algorithm = result.algo;
  return plan;
}

}  // namespace

void Gemm(Stream& stream, const GemmArgs& args) {
  const int64_t m = args.c.dim(0), n = args.c.dim(1), k = args.a.dim(args.transpose_a ? 0 : 1);
  if (m * n == 0) return;
  if (k == 0) {  // an empty sum
    if (!args.accumulate) stream.Zero(args.c);
    return;
  }
  const cudaStream_t native = Native(stream);
  auto& plans = stream.Attached<GemmPlans>();
  const GemmPlan& plan = plans.For({m, n, k, args.a.dtype(), args.c.dtype(), args.transpose_a, args.transpose_b,
                                    args.accumulate, Alignment(args.a.raw()), Alignment(args.b.raw()),
                                    Alignment(args.c.raw())});
  const float alpha = 1, beta = args.accumulate ? 1 : 0;
  WEFT_CUBLAS_CALL(cublasLtMatmul(plans.handle(), plan.operation, &alpha, args.b.raw(), plan.b, args.a.raw(), plan.a,
                                  &beta, args.c.raw(), plan.c, args.c.raw(), plan.c, &plan.algorithm,
                                  stream.Workspace(kWorkspaceBytes).raw(), kWorkspaceBytes, native));
}

}  // namespace weft::cuda
