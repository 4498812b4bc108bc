// DeepSpeed's table of given and derived batch keys (see batch_size.h).
#include "trainer/batch_size.h"

#include <string>

namespace weft {
namespace {

constexpr char kTrain[] = "train_batch_size";
constexpr char kMicro[] = "train_micro_batch_size_per_gpu";
constexpr char kAccumulation[] = "gradient_accumulation_steps";

Status CheckPositive(const char* key, const std::optional<int64_t>& value) {
  if (!value.has_value() || *value > 0) return absl::OkStatus();
  return UserError(key, ": expected a positive number, got ", *value);
}

// Divisions round down, as DeepSpeed's do: what does not divide fails the check of the product.
BatchSize Derive(BatchSize b, int64_t dp) {
  auto& [train, micro, accumulation] = b;
  if (train && micro && !accumulation) {
    accumulation = *train / *micro / dp;
  } else if (train && !micro) {
    if (!accumulation) accumulation = 1;
    micro = *train / dp / *accumulation;
  } else if (micro && !train) {
    if (!accumulation) accumulation = 1;
    int64_t replica, all;
    if (!__builtin_mul_overflow(*micro, *accumulation, &replica) && !__builtin_mul_overflow(replica, dp, &all))
      train = all;
  }
  return b;
}

bool IsWhole(const BatchSize& b, int64_t dp) {
  int64_t replica, all;
  return *b.train_micro_batch_size_per_gpu > 0 && *b.gradient_accumulation_steps > 0 &&
         !__builtin_mul_overflow(*b.train_micro_batch_size_per_gpu, *b.gradient_accumulation_steps, &replica) &&
         !__builtin_mul_overflow(replica, dp, &all) && all == *b.train_batch_size;
}

}  // namespace

StatusOr<BatchSize> ResolveBatchSize(const BatchSize& given, int64_t dp) {
  WEFT_RETURN_IF_ERROR(CheckPositive(kTrain, given.train_batch_size));
  WEFT_RETURN_IF_ERROR(CheckPositive(kMicro, given.train_micro_batch_size_per_gpu));
  WEFT_RETURN_IF_ERROR(CheckPositive(kAccumulation, given.gradient_accumulation_steps));
  if (!given.train_batch_size && !given.train_micro_batch_size_per_gpu) {
    return UserError(kTrain, ": not given, nor is ", kMicro, "; one of them is needed");
  }
  const BatchSize whole = Derive(given, dp);
  if (!whole.train_batch_size) return UserError(kTrain, ": ", kMicro, " * ", kAccumulation, " * ", dp, " is too large");
  if (IsWhole(whole, dp)) return whole;
  const auto shown = [](const std::optional<int64_t>& value, const std::optional<int64_t>& as_given) {
    return StrCat(*value, as_given ? "" : " (derived)");
  };
  return UserError(kTrain, ": ", *whole.train_batch_size, " is not ", kMicro, " ",
                   shown(whole.train_micro_batch_size_per_gpu, given.train_micro_batch_size_per_gpu), " * ",
                   kAccumulation, " ", shown(whole.gradient_accumulation_steps, given.gradient_accumulation_steps),
                   " * ", dp, " data-parallel replicas");
}

}  // namespace weft
