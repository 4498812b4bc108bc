// Checks for our own bugs: print rank, mesh coordinate, file:line and the values, then abort.
//
// Aborting beats going on: the peers of a rank that is wrong would wait for it, or train on its numbers.
// What a user can cause is a Status (core/status.h), never a check.
#pragma once

#include <sstream>
#include <string>

namespace weft {

namespace check_internal {

// Collects the message of a failed check and aborts the process when it is destroyed.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition);
  [[noreturn]] ~Failure();
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

struct Voidify {
  void operator&(std::ostream&) {}
};

}  // namespace check_internal

#define WEFT_CHECK(condition)                    \
  (condition) ? (void)0                          \
              : ::weft::check_internal::Voidify() & \
                    ::weft::check_internal::Failure(__FILE__, __LINE__, #condition).stream()

#define WEFT_CHECK_OP_(a, b, op) WEFT_CHECK((a)op(b)) << "(" << (a) << " vs " << (b) << ") "
#define WEFT_CHECK_EQ(a, b) WEFT_CHECK_OP_(a, b, ==)
#define WEFT_CHECK_NE(a, b) WEFT_CHECK_OP_(a, b, !=)
#define WEFT_CHECK_LE(a, b) WEFT_CHECK_OP_(a, b, <=)
#define WEFT_CHECK_LT(a, b) WEFT_CHECK_OP_(a, b, <)
#define WEFT_CHECK_GE(a, b) WEFT_CHECK_OP_(a, b, >=)
#define WEFT_CHECK_GT(a, b) WEFT_CHECK_OP_(a, b, >)
#define WEFT_CHECK_OK(expr)                                              \
  do {                                                                   \
    const auto& weft_checked_ = (expr);                                  \
    WEFT_CHECK(weft_checked_.ok()) << ::weft::status_internal::GetStatus(weft_checked_).ToString(); \
  } while (false)

}  // namespace weft
