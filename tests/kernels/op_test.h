// The harness of kernel tests: a case is written once, as a body that draws values, passes tensors to an op and says
// what must come out; RunOnTargets runs it on every target (instruction set, number of threads, inline or asynchronous
// stream, CUDA device).
//
//   RunOnTargets("3x17 bf16", [&](OpRun& run) {
//     const Values x = run.Normal({3, 17}, DType::kBF16);
//     const TensorView y = run.Output({3, 17}, DType::kF32);
//     Cast(run.stream(), {.from = run.Input(x), .to = y});
//     run.Expect("y", y, Tolerance(DType::kF32), [&] { return x.data; });
//   });
//
// What it watches beside the numbers: every tensor stands between guard bands, which must be intact at the end, and
// inputs must be unchanged; outputs hold NaN before the call, and NaN never passes; each target runs the body twice,
// the second time with NaN in the stream's scratch; and an output must be equal bit by bit over all thread counts,
// kinds of stream and repetitions of one instruction set or device.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/rng.h"
#include "core/str_cat.h"
#include "core/stream.h"
#include "core/tensor.h"
#include "kernels/cpu/cpu_features.h"

namespace weft {

// A tensor as a test sees it: its elements as doubles, each exactly representable in `dtype`.
struct Values {
  Shape shape;
  DType dtype = DType::kF32;
  std::vector<double> data;
};

// The nearest value of `dtype`.
double RoundTo(DType dtype, double value);

// Where and how a case runs. CPU targets differ in instruction set, threads and stream.
struct Target {
  std::string name;
  Device device;
  cpu::IsaLevel isa = cpu::IsaLevel::kPortable;
  int num_threads = 1;
  bool asynchronous = false;
};

// All that this machine has.
std::vector<Target> Targets();

// What the runs of one case share: references are computed once, and outputs must agree.
struct OpCase {
  std::string name;                                          // seeds the random values
  std::vector<Values> draws;                                  // in the order of asking
  std::map<std::string, std::vector<double>> references;     // by the name given to Expect
  std::map<std::string, std::vector<unsigned char>> outputs;  // by that name and the target's arithmetic
};

// One run of a case's body on one target.
class OpRun {
 public:
  OpRun(OpCase* shared, const Target& target, Stream* stream) : case_(*shared), target_(target), stream_(*stream) {}

  // Random values, the same on every target and fresh for each call in a body.
  Values Normal(const Shape& shape, DType dtype, double deviation = 1);
  Values Uniform(const Shape& shape, DType dtype, double low, double high);
  Values Integers(const Shape& shape, int64_t low, int64_t high);  // i32, from [low, high)

  // Tensors on the target, valid until the run ends.
  ConstTensorView Input(const Values& values);         // must not be written
  TensorView InOut(const Values& values);              // holds `values` before the op
  TensorView Output(const Shape& shape, DType dtype);  // holds NaN before the op

  Stream& stream() { return stream_; }
  const Target& target() const { return target_; }

  // Waits for the stream and fails unless ||out - reference|| <= tolerance * ||reference||; elements in row-major
  // order. `name` is unique in the body. `reference` is called on the first target only.
  void Expect(const std::string& name, const ConstTensorView& out, double tolerance,
              const std::function<std::vector<double>()>& reference);
  // Waits for the stream; the tensor's elements.
  Values Read(const ConstTensorView& view);
  // Fails where a guard band or an input was written. RunOnTargets calls it after the body.
  void ExpectGuardsIntact();

 private:
  struct Piece {
    Tensor memory;  // guard band, tensor, guard band: [bytes] u8
    TensorView view;
    std::vector<unsigned char> before;  // all of `memory`, as it was before the op
    bool input = false;
  };

  TensorView Place(const Values& values, bool input);
  TensorView Place(const Shape& shape, DType dtype, const unsigned char* contents, bool input);
  // The next random tensor; draw(rng, index) gives its elements.
  Values Draw(const Shape& shape, DType dtype, const std::function<double(const Rng&, uint64_t)>& draw);
  std::vector<unsigned char> ReadBytes(const ConstTensorView& view);
  void ExpectSameBits(const std::string& name, const ConstTensorView& out);

  OpCase& case_;
  Target target_;
  Stream& stream_;
  size_t num_draws_ = 0;
  std::deque<Piece> pieces_;
};

// Runs `body` on every target. `label` tells this case from the others of the test.
void RunOnTargets(const std::string& label, const std::function<void(OpRun&)>& body);

// The relative error allowed to an op that rounds its result once, computing in f32: 1e-6 in f32 (sums of some thousand
// terms, exp, division); in bf16 half a unit in the last place, at most 2^-8, and a fiftieth more.
double Tolerance(DType dtype);

// The gradient of `loss` at x by central differences in f64; right to about 1e-8 of its size for smooth functions.
std::vector<double> NumericGradient(const std::function<double(const std::vector<double>&)>& loss,
                                    std::vector<double> x);

// sum of a[i] * b[i]: the loss whose gradient with respect to a is b.
double Dot(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace weft
