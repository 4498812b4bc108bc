// Budget: what one rendering may cost, so that a template from elsewhere cannot run forever or take all memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/status.h"

namespace weft::jinja {

inline constexpr size_t kMaxTemplateBytes = size_t{1} << 20;
inline constexpr int kMaxNesting = 200;       // of expressions, of statements, and of lists and dicts in each other
inline constexpr int kMaxTagTokens = 4000;    // of one {{ }} or {% %}: no tree of an expression is deeper
inline constexpr int kMaxCallDepth = 600;     // statements and expressions inside one another as they run
inline constexpr int64_t kMaxRange = 100000;  // as Jinja's sandbox

class Budget {
 public:
  // `input_bytes`: of the conversation; long ones may cost more.
  explicit Budget(size_t input_bytes) : bytes_left_((int64_t{256} << 20) + 64 * static_cast<int64_t>(input_bytes)) {}

  // Work done: a node evaluated, two values compared.
  Status Step(int64_t num_steps = 1) {
    steps_left_ -= num_steps;
    if (steps_left_ >= 0) return absl::OkStatus();
    return UserError("the template takes more than ", kMaxSteps, " steps: does it loop over too much?");
  }
  // Text and values made, whether or not they are kept.
  Status Allocate(size_t num_bytes) {
    bytes_left_ -= static_cast<int64_t>(num_bytes);
    if (bytes_left_ >= 0) return absl::OkStatus();
    return UserError("the template makes more text than fits in its budget of memory: does it grow a text in a loop?");
  }

 private:
  static constexpr int64_t kMaxSteps = 5'000'000;
  int64_t steps_left_ = kMaxSteps;
  int64_t bytes_left_;
};

}  // namespace weft::jinja
