// Matrix-product rates of cuBLASLt in bf16 and FP8: for each shape the best of the heuristics' algorithms by
// measurement, on random data in buffers that rotate past the L2 cache, and checked at sampled outputs against sums
// in double precision. Also the table of FP8 scaling modes the library really offers on this device.
//
// Shapes are those of a row-major layer y[T,N] = x[T,K] W[N,K]^T. cuBLASLt sees the transposes, column-major:
//   forward          D[N,T] = op_T(W) op_N(x)       "TN"   m = N, n = T, k = K
//   data gradient    D[K,T] = op_N(W) op_N(dy)      "NN"   m = K, n = T, k = N
//   weight gradient  D[K,N] = op_N(x) op_T(dy)      "NT"   m = K, n = N, k = T, f32, beta = 1
// FP8 products on this architecture want "TN" in every case: x, dy and W are then also kept transposed.
// Source: cuBLAS manual, chapter cublasLt (scaling modes and the layout of their scale factors).
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "bench/cuda/floor_measure.h"

namespace weft::floors {
namespace {

using nlohmann::ordered_json;
using ScaleMode = cublasLtMatmulMatrixScale_t;

constexpr size_t kWorkspaceBytes = size_t{64} << 20;
constexpr int64_t kRotationBytes = int64_t{240} << 20;  // four times the L2 cache
constexpr int kNumAlgorithms = 12;
constexpr int kNumChecks = 512;      // sampled outputs of a product
constexpr float kFp8DataScale = 64;  // fills E4M3 as a tensor scaled to its largest magnitude (448) would

void CheckLt(cublasStatus_t status, const char* expression, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, line, expression, cublasLtGetStatusString(status));
  std::exit(1);
}
#define FLOORS_LT(expression) CheckLt((expression), #expression, __LINE__)

// One product, column-major: D[m,n] = op(A)[m,k] op(B)[k,n] + beta C[m,n], with C in place of D and of D's type.
struct Gemm {
  int64_t m, n, k;
  bool transpose_a, transpose_b;
  cudaDataType_t type_a, type_b, type_d;
  float beta = 0;
  ScaleMode scale_a = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;  // read for FP8 only
  ScaleMode scale_b = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
  bool fast_accumulation = false;

  bool is_fp8() const { return type_a != CUDA_R_16BF; }
  int64_t a_bytes() const { return m * k * ElementBytes(type_a); }
  int64_t b_bytes() const { return k * n * ElementBytes(type_b); }
  int64_t d_bytes() const { return m * n * ElementBytes(type_d); }
  double flops() const { return 2.0 * m * n * k; }
};

// Where the scale factor of element (row, k) of op(A), or (column, k) of op(B), lies in the array of factors.
struct ScaleMap {
  int64_t row_block, k_block, row_stride, k_stride;
};

// The documented layouts: one factor; a vector over rows; vectors of 128 along k with the row index fastest; 128x128
// blocks with the k index fastest and its count rounded up to 4. `swapped` exchanges fastest and slowest, to find out.
ScaleMap MapOf(ScaleMode mode, int64_t rows, int64_t k, bool swapped) {
  const int64_t k_blocks = (k + 127) / 128, row_blocks = (rows + 127) / 128;
  switch (mode) {
    case CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F: return {1, 1, 1, 0};
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F:
      return swapped ? ScaleMap{1, 128, k_blocks, 1} : ScaleMap{1, 128, 1, rows};
    case CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F:
      return swapped ? ScaleMap{128, 128, 1, row_blocks} : ScaleMap{128, 128, (k_blocks + 3) / 4 * 4, 1};
    default: return {1, 1, 0, 0};
  }
}

const char* ModeName(ScaleMode mode) {
  switch (mode) {
    case CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F: return "outer_vector";
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F: return "vector128";
    case CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F: return "block128x128";
    default: return "tensor";
  }
}

struct LtDeleter {
  void operator()(cublasLtMatrixLayoutOpaque_t* layout) const { FLOORS_LT(cublasLtMatrixLayoutDestroy(layout)); }
  void operator()(cublasLtMatmulDescOpaque_t* desc) const { FLOORS_LT(cublasLtMatmulDescDestroy(desc)); }
  void operator()(cublasLtMatmulPreferenceOpaque_t* preference) const {
    FLOORS_LT(cublasLtMatmulPreferenceDestroy(preference));
  }
};
using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, LtDeleter>;
using MatmulDesc = std::unique_ptr<cublasLtMatmulDescOpaque_t, LtDeleter>;
using Preference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, LtDeleter>;

Layout MakeLayout(cudaDataType_t type, int64_t rows, int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  FLOORS_LT(cublasLtMatrixLayoutCreate(&layout, type, rows, columns, rows));
  return Layout(layout);
}

// The buffers every product of a section shares.
struct Pools {
  DeviceBuffer a{size_t{3} << 30}, b{size_t{3} << 30}, d{size_t{5} << 30};
  DeviceBuffer workspace{kWorkspaceBytes};
  DeviceBuffer scales_a{size_t{32} << 20}, scales_b{size_t{32} << 20};  // f32 factors, about 1 / kFp8DataScale
  DeviceBuffer references{kNumChecks * sizeof(double)}, outputs{kNumChecks * sizeof(double)};

  Pools() {
    std::vector<float> host((size_t{32} << 20) / sizeof(float));
    for (size_t i = 0; i < host.size(); ++i) host[i] = (0.5f + (i * 2654435761u >> 16 & 0xffff) / 65536.0f) / 64;
    FLOORS_CUDA(cudaMemcpy(scales_a.data(), host.data(), scales_a.num_bytes(), cudaMemcpyHostToDevice));
    std::reverse(host.begin(), host.end());
    FLOORS_CUDA(cudaMemcpy(scales_b.data(), host.data(), scales_b.num_bytes(), cudaMemcpyHostToDevice));
  }

  void FillOperands(cudaDataType_t type_a, cudaDataType_t type_b) {
    FillNormal(a.data(), type_a, a.num_bytes() / ElementBytes(type_a), 1, type_a == CUDA_R_16BF ? 1 : kFp8DataScale);
    FillNormal(b.data(), type_b, b.num_bytes() / ElementBytes(type_b), 2, type_b == CUDA_R_16BF ? 1 : kFp8DataScale);
  }
};

// What the heuristics propose. (Not their own struct: it has no name, and nvcc 13.0 fails on a vector of it.)
struct Algorithm {
  cublasLtMatmulAlgo_t algo;
  size_t workspace_bytes;
};

// A product bound to its descriptors; Run takes one of the heuristics' algorithms.
class LtMatmul {
 public:
  LtMatmul(cublasLtHandle_t handle, const Gemm& gemm, const Pools& pools)
      : handle_(handle),
        gemm_(gemm),
        a_(MakeLayout(gemm.type_a, gemm.transpose_a ? gemm.k : gemm.m, gemm.transpose_a ? gemm.m : gemm.k)),
        b_(MakeLayout(gemm.type_b, gemm.transpose_b ? gemm.n : gemm.k, gemm.transpose_b ? gemm.k : gemm.n)),
        d_(MakeLayout(gemm.type_d, gemm.m, gemm.n)),
        workspace_(pools.workspace.data()) {
    cublasLtMatmulDesc_t desc = nullptr;
    FLOORS_LT(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    desc_.reset(desc);
    Set(CUBLASLT_MATMUL_DESC_TRANSA, gemm.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    Set(CUBLASLT_MATMUL_DESC_TRANSB, gemm.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (!gemm.is_fp8()) return;
    Set(CUBLASLT_MATMUL_DESC_FAST_ACCUM, static_cast<int8_t>(gemm.fast_accumulation));
    Set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, gemm.scale_a);
    Set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, gemm.scale_b);
    Set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, static_cast<const void*>(pools.scales_a.data()));
    Set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, static_cast<const void*>(pools.scales_b.data()));
  }

  // The algorithms the library proposes, its first choice first; none where it does not support the product.
  std::vector<Algorithm> Algorithms(cublasStatus_t* status) const {
    cublasLtMatmulPreference_t preference = nullptr;
    FLOORS_LT(cublasLtMatmulPreferenceCreate(&preference));
    const Preference owner(preference);
    FLOORS_LT(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                   &kWorkspaceBytes, sizeof(kWorkspaceBytes)));
    cublasLtMatmulHeuristicResult_t results[kNumAlgorithms];
    int count = 0;
    *status = cublasLtMatmulAlgoGetHeuristic(handle_, desc_.get(), a_.get(), b_.get(), d_.get(), d_.get(), preference,
                                             kNumAlgorithms, results, &count);
    std::vector<Algorithm> algorithms;
    for (int i = 0; *status == CUBLAS_STATUS_SUCCESS && i < count; ++i) {
      if (results[i].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back({results[i].algo, results[i].workspaceSize});
    }
    return algorithms;
  }

  cublasStatus_t Run(const cublasLtMatmulAlgo_t& algorithm, const void* a, const void* b, void* d) const {
    const float alpha = 1;
    return cublasLtMatmul(handle_, desc_.get(), &alpha, a, a_.get(), b, b_.get(), &gemm_.beta, d, d_.get(), d, d_.get(),
                          &algorithm, workspace_, kWorkspaceBytes, nullptr);
  }

 private:
  template <typename T>
  void Set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    FLOORS_LT(cublasLtMatmulDescSetAttribute(desc_.get(), attribute, &value, sizeof(value)));
  }

  cublasLtHandle_t handle_;
  Gemm gemm_;
  Layout a_, b_, d_;
  MatmulDesc desc_;
  void* workspace_;
};

__device__ double LoadAs(const void* data, cudaDataType_t type, int64_t i) {
  switch (type) {
    case CUDA_R_16BF: return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
    case CUDA_R_8F_E4M3: return static_cast<float>(static_cast<const __nv_fp8_e4m3*>(data)[i]);
    case CUDA_R_8F_E5M2: return static_cast<float>(static_cast<const __nv_fp8_e5m2*>(data)[i]);
    default: return static_cast<const float*>(data)[i];
  }
}

// The i-th sampled output: spread over the whole of D by two odd multipliers.
__device__ void SamplePosition(const Gemm& gemm, int sample, int64_t* row, int64_t* column) {
  *row = (sample * 7919ll + 13) % gemm.m;
  *column = (sample * 104729ll + 7) % gemm.n;
}

// One block a sample: references[s] = sum over k of the scaled operands, in double, plus beta C.
__global__ void ReferenceKernel(Gemm gemm, const void* a, const void* b, const void* c, const float* scales_a,
                                const float* scales_b, ScaleMap map_a, ScaleMap map_b, double* references) {
  int64_t row, column;
  SamplePosition(gemm, blockIdx.x, &row, &column);
  double sum = 0;
  for (int64_t k = threadIdx.x; k < gemm.k; k += blockDim.x) {
    const double x = LoadAs(a, gemm.type_a, gemm.transpose_a ? row * gemm.k + k : k * gemm.m + row);
    const double y = LoadAs(b, gemm.type_b, gemm.transpose_b ? k * gemm.n + column : column * gemm.k + k);
    double scale = 1;
    if (scales_a != nullptr) {
      scale = double{scales_a[row / map_a.row_block * map_a.row_stride + k / map_a.k_block * map_a.k_stride]} *
              scales_b[column / map_b.row_block * map_b.row_stride + k / map_b.k_block * map_b.k_stride];
    }
    sum += scale * x * y;
  }
  __shared__ double partial[128];
  partial[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < blockDim.x; ++i) sum += partial[i];
  if (gemm.beta != 0) sum += gemm.beta * LoadAs(c, gemm.type_d, column * gemm.m + row);
  references[blockIdx.x] = sum;
}

__global__ void GatherKernel(Gemm gemm, const void* d, double* outputs) {
  int64_t row, column;
  SamplePosition(gemm, blockIdx.x * blockDim.x + threadIdx.x, &row, &column);
  outputs[blockIdx.x * blockDim.x + threadIdx.x] = LoadAs(d, gemm.type_d, column * gemm.m + row);
}

std::vector<double> ToHost(const DeviceBuffer& buffer) {
  std::vector<double> host(kNumChecks);
  FLOORS_CUDA(cudaMemcpy(host.data(), buffer.data(), buffer.num_bytes(), cudaMemcpyDeviceToHost));
  return host;
}

// ||output - reference|| / ||reference|| over the samples of one fresh run; not-a-number where any output is one.
// D is poisoned (or, for beta = 1, random) before the run. `swapped` as in MapOf.
struct CheckedRun {
  cublasStatus_t status;
  double error;  // with the documented layout of scale factors
  double error_swapped;
};

CheckedRun RunAndCheck(const LtMatmul& matmul, const cublasLtMatmulAlgo_t& algorithm, const Gemm& gemm, Pools& pools) {
  if (gemm.beta == 0) {
    FLOORS_CUDA(cudaMemset(pools.d.data(), 0xff, gemm.d_bytes()));
  } else {
    FillNormal(pools.d.data(), gemm.type_d, gemm.m * gemm.n, 3, std::sqrt(static_cast<float>(gemm.k)));
  }
  std::vector<std::vector<double>> references;
  for (const bool swapped : {false, true}) {
    ReferenceKernel<<<kNumChecks, 128>>>(
        gemm, pools.a.data(), pools.b.data(), pools.d.data(),
        gemm.is_fp8() ? reinterpret_cast<float*>(pools.scales_a.data()) : nullptr,
        reinterpret_cast<float*>(pools.scales_b.data()), MapOf(gemm.scale_a, gemm.m, gemm.k, swapped),
        MapOf(gemm.scale_b, gemm.n, gemm.k, swapped), reinterpret_cast<double*>(pools.references.data()));
    FLOORS_CUDA(cudaGetLastError());
    references.push_back(ToHost(pools.references));
  }
  const cublasStatus_t status = matmul.Run(algorithm, pools.a.data(), pools.b.data(), pools.d.data());
  GatherKernel<<<kNumChecks / 64, 64>>>(gemm, pools.d.data(), reinterpret_cast<double*>(pools.outputs.data()));
  FLOORS_CUDA(cudaGetLastError());
  const std::vector<double> outputs = ToHost(pools.outputs);
  double errors[2];
  for (int layout = 0; layout < 2; ++layout) {
    double error = 0, norm = 0;
    for (int s = 0; s < kNumChecks; ++s) {
      error += std::pow(outputs[s] - references[layout][s], 2);
      norm += std::pow(references[layout][s], 2);
    }
    errors[layout] = std::sqrt(error / norm);
  }
  return {status, errors[0], errors[1]};
}

// One run of `algorithm`, its operands and output rotating through the pools by a running number.
std::function<void(int)> Rotating(const LtMatmul& matmul, const Algorithm& algorithm, const Gemm& gemm,
                                  const Pools& pools) {
  const int64_t set_bytes = gemm.a_bytes() + gemm.b_bytes() + gemm.d_bytes();
  const int64_t num_sets = std::clamp<int64_t>(kRotationBytes / set_bytes + 1, 2, 16);
  return [=, &matmul, &algorithm, &pools](int turn) {
    const int64_t set = turn % num_sets;
    FLOORS_LT(matmul.Run(algorithm.algo, pools.a.data() + set * gemm.a_bytes(), pools.b.data() + set * gemm.b_bytes(),
                         pools.d.data() + set * gemm.d_bytes()));
  };
}

struct Choice {
  size_t index;
  double first_over_best;  // the time of the library's first choice over the time of this one
};

// The proposal that runs fastest. Rounds over all of them: the clock drifts, and so drifts for all alike.
Choice Fastest(const LtMatmul& matmul, const std::vector<Algorithm>& algorithms, const Gemm& gemm, const Pools& pools) {
  std::vector<double> seconds(algorithms.size(), 0);
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 0; i < algorithms.size(); ++i) {
      seconds[i] += MedianSeconds(Rotating(matmul, algorithms[i], gemm, pools), round == 0, 1, 2);
    }
  }
  const auto best = std::min_element(seconds.begin(), seconds.end());
  return {static_cast<size_t>(best - seconds.begin()), seconds[0] / *best};
}

ordered_json Describe(const Gemm& gemm) {
  ordered_json line = {{"m", gemm.m}, {"n", gemm.n}, {"k", gemm.k}};
  line["layout"] = std::string(gemm.transpose_a ? "T" : "N") + (gemm.transpose_b ? "T" : "N");
  line["a"] = TypeName(gemm.type_a);
  line["b"] = TypeName(gemm.type_b);
  line["d"] = TypeName(gemm.type_d);
  line["beta"] = gemm.beta;
  if (gemm.is_fp8()) {
    line["scale_a"] = ModeName(gemm.scale_a);
    line["scale_b"] = ModeName(gemm.scale_b);
    line["fast_accumulation"] = gemm.fast_accumulation;
  }
  return line;
}

// Chooses among the proposed algorithms by time, measures the choice, checks it, and adds the figures to `line`.
void MeasureInto(ordered_json& line, cublasLtHandle_t handle, const Gemm& gemm, Pools& pools) {
  line.update(Describe(gemm));
  const LtMatmul matmul(handle, gemm, pools);
  cublasStatus_t status;
  auto algorithms = matmul.Algorithms(&status);
  std::erase_if(algorithms, [&](const auto& candidate) {
    status = matmul.Run(candidate.algo, pools.a.data(), pools.b.data(), pools.d.data());
    return status != CUBLAS_STATUS_SUCCESS;
  });
  if (algorithms.empty()) {
    line["unsupported"] = cublasLtGetStatusString(status);
    return;
  }
  const auto [best, first_over_best] = Fastest(matmul, algorithms, gemm, pools);
  const RunSeconds seconds = MeasureRun(Rotating(matmul, algorithms[best], gemm, pools));
  const CheckedRun run = RunAndCheck(matmul, algorithms[best].algo, gemm, pools);
  FLOORS_LT(run.status);
  line["us"] = seconds.sustained * 1e6;
  line["tflops"] = gemm.flops() / seconds.sustained / 1e12;
  line["burst_us"] = seconds.burst * 1e6;
  line["burst_tflops"] = gemm.flops() / seconds.burst / 1e12;
  line["first_choice_over_best"] = first_over_best;
  line["algorithms"] = algorithms.size();
  line["best_algorithm"] = best;
  line["workspace_bytes"] = algorithms[best].workspace_bytes;
  line["error"] = run.error;
  // Rounding to bf16 costs 2e-3 and FP8's narrow accumulators up to about 1e-2; a wrong product is off by about 1.
  line["correct"] = run.error < 0.03;
}

struct ModelShape {
  const char* name;
  int64_t model_dim, ffn_dim, heads, kv_heads, head_dim;
};
constexpr ModelShape kModels[] = {
    {"llama-1b", 2048, 8192, 32, 8, 64}, {"llama-3b", 3072, 8192, 24, 8, 128}, {"llama-8b", 4096, 14336, 32, 8, 128}};
constexpr int64_t kTokens = 8192, kVocab = 128256;

struct LinearShape {
  std::string name;
  int64_t out_features, in_features, tokens;
};

std::vector<LinearShape> BlockLinears(const ModelShape& model) {
  const int64_t q_dim = model.heads * model.head_dim, kv_dim = model.kv_heads * model.head_dim;
  return {{"qkv", q_dim + 2 * kv_dim, model.model_dim, kTokens},
          {"attention_out", model.model_dim, q_dim, kTokens},
          {"gate_up", 2 * model.ffn_dim, model.model_dim, kTokens},
          {"down", model.model_dim, model.ffn_dim, kTokens}};
}

enum class Pass { kForward, kDataGradient, kWeightGradient };
constexpr Pass kPasses[] = {Pass::kForward, Pass::kDataGradient, Pass::kWeightGradient};
constexpr const char* kPassNames[] = {"forward", "data_gradient", "weight_gradient"};

Gemm Bf16Gemm(const LinearShape& linear, Pass pass) {
  const int64_t n = linear.out_features, k = linear.in_features, t = linear.tokens;
  switch (pass) {
    case Pass::kForward: return {n, t, k, true, false, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF};
    case Pass::kDataGradient: return {k, t, n, false, false, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_16BF};
    case Pass::kWeightGradient: return {k, n, t, false, true, CUDA_R_16BF, CUDA_R_16BF, CUDA_R_32F, 1};
  }
  return {};
}

// The same products in FP8, all "TN": A is W, W^T or x^T, B is x, dy or dy^T (of type `gradient`).
Gemm Fp8Gemm(const LinearShape& linear, Pass pass, cudaDataType_t gradient, ScaleMode scale_a, ScaleMode scale_b,
             bool fast_accumulation) {
  Gemm gemm = Bf16Gemm(linear, pass);
  gemm.transpose_a = true;
  gemm.transpose_b = false;
  gemm.type_a = CUDA_R_8F_E4M3;
  gemm.type_b = pass == Pass::kForward ? CUDA_R_8F_E4M3 : gradient;
  gemm.scale_a = scale_a;
  gemm.scale_b = scale_b;
  gemm.fast_accumulation = fast_accumulation;
  return gemm;
}

ordered_json Header(const char* what, const char* model, const LinearShape& linear, Pass pass) {
  return {{"what", what}, {"model", model}, {"linear", linear.name}, {"pass", kPassNames[static_cast<int>(pass)]}};
}

cublasLtHandle_t CreateHandle() {
  cublasLtHandle_t handle = nullptr;
  FLOORS_LT(cublasLtCreate(&handle));
  return handle;
}

constexpr ScaleMode kTensor = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F;
constexpr ScaleMode kOuter = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
constexpr ScaleMode kVector = CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F;
constexpr ScaleMode kBlock = CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F;
constexpr ScaleMode kScalePairs[][2] = {{kTensor, kTensor}, {kOuter, kOuter},  {kVector, kVector},
                                        {kBlock, kVector},  {kVector, kBlock}, {kBlock, kBlock}};

// Gradients in E5M2 where one factor spans a tensor or a row; in E4M3 where every 128 elements have their own.
cudaDataType_t GradientType(ScaleMode mode) {
  return mode == kTensor || mode == kOuter ? CUDA_R_8F_E5M2 : CUDA_R_8F_E4M3;
}

void MeasureLinearFp8(Report& report, cublasLtHandle_t handle, const ModelShape& model, const LinearShape& linear,
                      cudaDataType_t type_b, bool every_mode, Pools& pools) {
  for (const Pass pass : kPasses) {
    for (const auto& scales : kScalePairs) {
      if (scales[0] != kTensor && !every_mode) continue;
      const Gemm gemm = Fp8Gemm(linear, pass, GradientType(scales[0]), scales[0], scales[1], false);
      if (gemm.type_b != type_b) continue;
      for (const bool fast : {false, true}) {
        Gemm chosen = gemm;
        chosen.fast_accumulation = fast;
        ordered_json line = Header("gemm_fp8", model.name, linear, pass);
        MeasureInto(line, handle, chosen, pools);
        report.Line(line);
      }
    }
  }
}

}  // namespace

void MeasureGemmBf16(Report& report) {
  const cublasLtHandle_t handle = CreateHandle();
  Pools pools;
  pools.FillOperands(CUDA_R_16BF, CUDA_R_16BF);
  const LinearShape square{"square_8192", 8192, 8192, 8192};
  for (const ModelShape& model : kModels) {
    std::vector<LinearShape> linears = BlockLinears(model);
    linears.push_back({"head_1024", kVocab, model.model_dim, 1024});
    linears.push_back({"head_2048", kVocab, model.model_dim, 2048});
    for (const LinearShape& linear : linears) {
      for (const Pass pass : kPasses) {
        ordered_json line = Header("gemm_bf16", model.name, linear, pass);
        MeasureInto(line, handle, Bf16Gemm(linear, pass), pools);
        report.Line(line);
      }
    }
  }
  ordered_json line = Header("gemm_bf16", "none", square, Pass::kForward);
  MeasureInto(line, handle, Bf16Gemm(square, Pass::kForward), pools);
  report.Line(line);
  FLOORS_LT(cublasLtDestroy(handle));
}

void ProbeFp8Support(Report& report) {
  const cublasLtHandle_t handle = CreateHandle();
  Pools pools;
  for (const cudaDataType_t type_a : {CUDA_R_8F_E4M3, CUDA_R_8F_E5M2}) {
    for (const cudaDataType_t type_b : {CUDA_R_8F_E4M3, CUDA_R_8F_E5M2}) {
      pools.FillOperands(type_a, type_b);
      for (int index = 0; index < 4 * 6 * 2 * 2 * 2; ++index) {
        const ScaleMode* scales = kScalePairs[index / 8 % 6];
        Gemm gemm{512, 768, 1024, index / 48 % 2 == 0, index / 96 == 1, type_a, type_b,
                  index / 4 % 2 == 0 ? CUDA_R_16BF : CUDA_R_32F};
        gemm.beta = index / 2 % 2;
        gemm.fast_accumulation = index % 2;
        gemm.scale_a = scales[0];
        gemm.scale_b = scales[1];
        ordered_json line = {{"what", "fp8_support"}};
        line.update(Describe(gemm));
        const LtMatmul matmul(handle, gemm, pools);
        cublasStatus_t status;
        const auto algorithms = matmul.Algorithms(&status);
        line["heuristic"] = algorithms.empty() && status == CUBLAS_STATUS_SUCCESS ? "no algorithm"
                                                                                  : cublasLtGetStatusString(status);
        if (!algorithms.empty()) {
          const CheckedRun run = RunAndCheck(matmul, algorithms[0].algo, gemm, pools);
          line["run"] = cublasLtGetStatusString(run.status);
          line["error"] = run.error;
          line["error_swapped_scales"] = run.error_swapped;
        }
        report.Line(line);
      }
    }
  }
  FLOORS_LT(cublasLtDestroy(handle));
}

void MeasureGemmFp8(Report& report) {
  const cublasLtHandle_t handle = CreateHandle();
  Pools pools;
  for (const cudaDataType_t type_b : {CUDA_R_8F_E4M3, CUDA_R_8F_E5M2}) {
    pools.FillOperands(CUDA_R_8F_E4M3, type_b);
    for (const ModelShape& model : kModels) {
      for (const LinearShape& linear : BlockLinears(model)) {
        const bool every_mode = model.model_dim == 4096 && (linear.name == "gate_up" || linear.name == "down");
        MeasureLinearFp8(report, handle, model, linear, type_b, every_mode, pools);
      }
    }
  }
  FLOORS_LT(cublasLtDestroy(handle));
}

}  // namespace weft::floors
