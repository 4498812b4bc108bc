// The failure side of core/check.h.
#include "core/check.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "core/failure_handler.h"
#include "core/log.h"

namespace weft {
namespace {

std::mutex one_failure_at_a_time;
std::function<void()> failure_handler;  // under the mutex

}  // namespace

void SetFailureHandler(std::function<void()> handler) {
  const std::lock_guard<std::mutex> lock(one_failure_at_a_time);
  failure_handler = std::move(handler);
}

namespace check_internal {

Failure::Failure(const char* file, int line, const char* condition) {
  stream_ << file << ":" << line << ": check failed: " << condition << " ";
}

Failure::~Failure() {
  std::fprintf(stderr, "[%s] %s\n", CurrentRank().label.c_str(), stream_.str().c_str());
  std::fflush(stderr);
  const std::lock_guard<std::mutex> lock(one_failure_at_a_time);
  if (failure_handler) failure_handler();
  std::abort();
}

}  // namespace check_internal
}  // namespace weft
