// The failure side of core/check.h.
#include "core/check.h"

#include <cstdio>
#include <cstdlib>

#include "core/log.h"

namespace weft::check_internal {

Failure::Failure(const char* file, int line, const char* condition) {
  stream_ << file << ":" << line << ": check failed: " << condition << " ";
}

Failure::~Failure() {
  std::fprintf(stderr, "[%s] %s\n", CurrentRank().label.c_str(), stream_.str().c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace weft::check_internal
