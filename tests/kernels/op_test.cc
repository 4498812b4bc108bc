// The harness of kernel tests (see op_test.h).
#include "tests/kernels/op_test.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/cuda_device.h"

namespace weft {
namespace {

constexpr int64_t kGuardBytes = 256;
// Read beyond an input and the result is NaN; write beyond an output and the band shows it. The latter is a small
// finite number in f32 and bf16 (about 0.0115), because adding to a NaN would leave it as it was.
constexpr unsigned char kInputGuard = 0xff;
constexpr unsigned char kOutputGuard = 0x3c;
constexpr unsigned char kPoison = 0xff;  // NaN in f32 and bf16

template <typename T>
void Encode(const std::vector<double>& values, unsigned char* to) {
  for (size_t i = 0; i < values.size(); ++i) {
    T element;
    if constexpr (std::is_same_v<T, bf16>) {
      element = bf16(static_cast<float>(values[i]));
    } else {
      element = static_cast<T>(values[i]);
    }
    std::memcpy(to + i * sizeof(T), &element, sizeof(T));
  }
}

template <typename T>
std::vector<double> Decode(const std::vector<unsigned char>& bytes) {
  std::vector<double> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T element;
    std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
    if constexpr (std::is_same_v<T, bf16>) {
      values[i] = static_cast<double>(static_cast<float>(element));
    } else {
      values[i] = static_cast<double>(element);
    }
  }
  return values;
}

// How an output differs from its reference.
struct Difference {
  double relative = 0;  // ||out - reference|| / ||reference||; NaN when either holds one
  size_t worst = 0;     // the element that differs most
};

Difference Compare(const std::vector<double>& out, const std::vector<double>& reference) {
  double error = 0, norm = 0, largest = -1;
  Difference difference;
  for (size_t i = 0; i < out.size(); ++i) {
    const double d = std::abs(out[i] - reference[i]);
    if (std::isnan(d)) return {d, i};
    error += d * d;
    norm += reference[i] * reference[i];
    if (d > largest) {
      largest = d;
      difference.worst = i;
    }
  }
  difference.relative = error == 0 ? 0 : std::sqrt(error / norm);
  return difference;
}

}  // namespace

double RoundTo(DType dtype, double value) {
  switch (dtype) {
    case DType::kF32: return static_cast<float>(value);
    case DType::kBF16: return static_cast<double>(static_cast<float>(bf16(static_cast<float>(value))));
    default: return std::trunc(value);
  }
}

std::vector<Target> Targets() {
  std::vector<Target> targets;
  for (cpu::IsaLevel isa : {cpu::IsaLevel::kPortable, cpu::IsaLevel::kAvx2, cpu::IsaLevel::kAvx512,
                            cpu::IsaLevel::kAvx512Bf16}) {
    if (isa > cpu::HostIsa()) break;
    for (int num_threads : {1, 3}) {
      for (bool asynchronous : {false, true}) {
        targets.push_back({StrCat(cpu::IsaName(isa), ", ", num_threads, asynchronous ? " threads, queue" : " threads"),
                           Device::Cpu(), isa, num_threads, asynchronous});
      }
    }
  }
  if (cuda::DeviceCount() > 0) targets.push_back({.name = "cuda", .device = Device::Cuda()});
  return targets;
}

Values OpRun::Draw(const Shape& shape, DType dtype, const std::function<double(const Rng&, uint64_t)>& draw) {
  const size_t index = num_draws_++;
  if (index == case_.draws.size()) {
    const Rng rng(StreamKey(case_.name), index);
    Values values{shape, dtype, std::vector<double>(static_cast<size_t>(shape.num_elements()))};
    for (size_t i = 0; i < values.data.size(); ++i) values.data[i] = RoundTo(dtype, draw(rng, i));
    case_.draws.push_back(std::move(values));
  }
  WEFT_CHECK(case_.draws[index].shape == shape && case_.draws[index].dtype == dtype) << "a body that varies by target";
  return case_.draws[index];
}

Values OpRun::Normal(const Shape& shape, DType dtype, double deviation) {
  return Draw(shape, dtype, [=](const Rng& rng, uint64_t i) { return deviation * rng.Normal(i); });
}

Values OpRun::Uniform(const Shape& shape, DType dtype, double low, double high) {
  return Draw(shape, dtype, [=](const Rng& rng, uint64_t i) { return low + (high - low) * rng.Uniform(i); });
}

Values OpRun::Integers(const Shape& shape, int64_t low, int64_t high) {
  return Draw(shape, DType::kI32, [=](const Rng& rng, uint64_t i) {
    return static_cast<double>(low + static_cast<int64_t>(rng.Below(i, static_cast<uint64_t>(high - low))));
  });
}

ConstTensorView OpRun::Input(const Values& values) { return Place(values, /*input=*/true); }

TensorView OpRun::InOut(const Values& values) { return Place(values, /*input=*/false); }

TensorView OpRun::Output(const Shape& shape, DType dtype) {
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * DTypeSize(dtype);
  const std::vector<unsigned char> poison(bytes, kPoison);
  return Place(shape, dtype, poison.data(), /*input=*/false);
}

TensorView OpRun::Place(const Values& values, bool input) {
  std::vector<unsigned char> bytes(values.data.size() * DTypeSize(values.dtype));
  switch (values.dtype) {
    case DType::kF32: Encode<float>(values.data, bytes.data()); break;
    case DType::kBF16: Encode<bf16>(values.data, bytes.data()); break;
    case DType::kI32: Encode<int32_t>(values.data, bytes.data()); break;
    default: WEFT_CHECK(false) << "values of " << DTypeName(values.dtype);
  }
  return Place(values.shape, values.dtype, bytes.data(), input);
}

TensorView OpRun::Place(const Shape& shape, DType dtype, const unsigned char* contents, bool input) {
  const int64_t bytes = shape.num_elements() * static_cast<int64_t>(DTypeSize(dtype));
  const int64_t total = bytes + 2 * kGuardBytes;
  Piece piece;
  piece.input = input;
  piece.before.assign(static_cast<size_t>(total), input ? kInputGuard : kOutputGuard);
  if (bytes > 0) std::memcpy(piece.before.data() + kGuardBytes, contents, static_cast<size_t>(bytes));
  piece.memory = Tensor({total}, DType::kU8, target_.device);
  piece.view = TensorView(piece.memory.data<uint8_t>() + kGuardBytes, shape, dtype, target_.device);
  stream_.Copy(piece.memory, ConstTensorView(piece.before.data(), {total}, DType::kU8, Device::Cpu()));
  stream_.Synchronize();
  pieces_.push_back(std::move(piece));
  return pieces_.back().view;
}

std::vector<unsigned char> OpRun::ReadBytes(const ConstTensorView& view) {
  std::vector<unsigned char> bytes(view.num_bytes());
  stream_.Copy(TensorView(bytes.data(), view.shape(), view.dtype(), Device::Cpu()), view);
  stream_.Synchronize();
  return bytes;
}

Values OpRun::Read(const ConstTensorView& view) {
  const std::vector<unsigned char> bytes = ReadBytes(view);
  switch (view.dtype()) {
    case DType::kF32: return {view.shape(), view.dtype(), Decode<float>(bytes)};
    case DType::kBF16: return {view.shape(), view.dtype(), Decode<bf16>(bytes)};
    default: WEFT_CHECK(view.dtype() == DType::kI32); return {view.shape(), view.dtype(), Decode<int32_t>(bytes)};
  }
}

void OpRun::Expect(const std::string& name, const ConstTensorView& out, double tolerance,
                   const std::function<std::vector<double>()>& reference) {
  auto found = case_.references.find(name);
  if (found == case_.references.end()) found = case_.references.emplace(name, reference()).first;
  const std::vector<double> values = Read(out).data;
  ASSERT_EQ(values.size(), found->second.size()) << name;
  const Difference difference = Compare(values, found->second);
  if (!(difference.relative <= tolerance)) {  // so that NaN fails
    ADD_FAILURE() << name << " is off by " << difference.relative << ", allowed are " << tolerance << "; worst at "
                  << difference.worst << " of " << out.shape() << ": " << values[difference.worst] << ", expected "
                  << found->second[difference.worst];
  }
  ExpectSameBits(name, out);
}

void OpRun::ExpectSameBits(const std::string& name, const ConstTensorView& out) {
  const std::string arithmetic =
      target_.device.is_cuda() ? target_.device.ToString() : std::string(cpu::IsaName(target_.isa));
  const std::vector<unsigned char> bytes = ReadBytes(out);
  const auto [first, is_first] = case_.outputs.emplace(StrCat(name, " on ", arithmetic), bytes);
  if (!is_first && first->second != bytes) ADD_FAILURE() << first->first << " differs between runs";
}

void OpRun::ExpectGuardsIntact() {
  for (size_t i = 0; i < pieces_.size(); ++i) {
    const Piece& piece = pieces_[i];
    const std::vector<unsigned char> after = ReadBytes(piece.memory);
    const size_t end = after.size() - kGuardBytes;
    for (size_t b = 0; b < after.size(); ++b) {
      const bool in_tensor = b >= kGuardBytes && b < end;
      if (after[b] == piece.before[b] || (in_tensor && !piece.input)) continue;
      ADD_FAILURE() << (in_tensor ? "an input was written: " : "a guard band was written: ") << "tensor " << i << " of "
                    << piece.view.shape() << ", byte " << static_cast<int64_t>(b) - kGuardBytes;
      break;
    }
  }
}

void RunOnTargets(const std::string& label, const std::function<void(OpRun&)>& body) {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  OpCase shared;
  shared.name = StrCat(test.test_suite_name(), ".", test.name(), " ", label);
  for (const Target& target : Targets()) {
    SCOPED_TRACE(StrCat(label, " on ", target.name));
    const cpu::ScopedIsaLimit limit(target.isa);
    ThreadPool pool(target.num_threads);
    const auto stream = Stream::Create(target.device, {.pool = &pool, .asynchronous = target.asynchronous,
                                                       .delay_seed = StreamKey(shared.name) | 1});
    for (int repetition = 0; repetition < 2; ++repetition) {
      stream->PoisonWorkspace();
      OpRun run(&shared, target, stream.get());
      body(run);
      run.ExpectGuardsIntact();
    }
  }
}

double Tolerance(DType dtype) { return dtype == DType::kBF16 ? 1.02 / 256 : 1e-6; }

std::vector<double> NumericGradient(const std::function<double(const std::vector<double>&)>& loss,
                                    std::vector<double> x) {
  constexpr double kStep = 1e-4;
  std::vector<double> gradient(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double before = x[i];
    x[i] = before + kStep;
    const double above = loss(x);
    x[i] = before - kStep;
    const double below = loss(x);
    x[i] = before;
    gradient[i] = (above - below) / (2 * kStep);
  }
  return gradient;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace weft
