// AdamW against its equations in f64 (kernels/adamw.h).
#include "kernels/adamw.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/op_test.h"

namespace weft {
namespace {

struct State {
  std::vector<double> param, m, v;
};

State Step(const AdamWArgs& args, double grad_scale, State s, const std::vector<double>& grad) {
  const double beta1 = args.beta1, beta2 = args.beta2, lr = args.lr, step = static_cast<double>(args.step);
  for (size_t i = 0; i < grad.size(); ++i) {
    const double g = grad[i] * grad_scale;
    s.param[i] -= lr * args.weight_decay * s.param[i];
    s.m[i] = beta1 * s.m[i] + (1 - beta1) * g;
    s.v[i] = beta2 * s.v[i] + (1 - beta2) * g * g;
    const double m_hat = s.m[i] / (1 - std::pow(beta1, step)), v_hat = s.v[i] / (1 - std::pow(beta2, step));
    s.param[i] -= lr * m_hat / (std::sqrt(v_hat) + args.eps);
  }
  return s;
}

struct Case {
  int64_t n;
  int64_t step;
  bool with_weight;
};

TEST(AdamW, OneStep) {
  for (const Case& c : {Case{1, 1, true}, Case{3, 2, false}, Case{17, 1, true}, Case{130, 1000, false},
                        Case{33, 7, true}, Case{40000, 3, true}}) {
    RunOnTargets(StrCat(c.n, " at ", c.step), [&](OpRun& run) {
      const Values param = run.Normal({c.n}, DType::kF32), grad = run.Normal({c.n}, DType::kF32, 0.1);
      const Values m = run.Normal({c.n}, DType::kF32, 0.05), v = run.Uniform({c.n}, DType::kF32, 1e-4, 0.02);
      const double grad_scale = 0.5;
      AdamWArgs args{.param = run.InOut(param), .grad = run.Input(grad), .m = run.InOut(m), .v = run.InOut(v),
                     .weight = c.with_weight ? run.Output({c.n}, DType::kBF16) : TensorView(),
                     .grad_scale = run.Input({{1}, DType::kF32, {grad_scale}}),
                     .lr = 0.03, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1, .step = c.step};
      AdamW(run.stream(), args);
      const State after = Step(args, grad_scale, {param.data, m.data, v.data}, grad.data);
      run.Expect("param", args.param, Tolerance(DType::kF32), [&] { return after.param; });
      run.Expect("m", args.m, Tolerance(DType::kF32), [&] { return after.m; });
      run.Expect("v", args.v, Tolerance(DType::kF32), [&] { return after.v; });
      if (!c.with_weight) return;
      std::vector<double> rounded = run.Read(args.param).data;
      for (double& value : rounded) value = RoundTo(DType::kBF16, value);
      EXPECT_EQ(run.Read(args.weight).data, rounded);
    });
  }
}

// Without decay the first step moves every parameter by lr against its gradient's sign, whatever the gradient's size.
TEST(AdamW, FirstStepMovesByTheLearningRate) {
  RunOnTargets("first", [&](OpRun& run) {
    const Values zero{{3}, DType::kF32, {0, 0, 0}};
    AdamWArgs args{.param = run.InOut(zero), .grad = run.Input({{3}, DType::kF32, {1e-4, -2, 300}}),
                   .m = run.InOut(zero), .v = run.InOut(zero), .weight = {}, .grad_scale = run.Input({{1}, DType::kF32, {1}}), .lr = 0.01};
    AdamW(run.stream(), args);
    run.Expect("param", args.param, 1e-4, [] { return std::vector<double>{-0.01, 0.01, -0.01}; });
  });
}

// 1 - beta2 is 0.001 as written, not 1 - 0.999f, which is off by 1.3e-5 of itself.
TEST(AdamW, TakesItsSettingsInDouble) {
  RunOnTargets("settings", [&](OpRun& run) {
    const Values zero{{3}, DType::kF32, {0, 0, 0}};
    AdamWArgs args{.param = run.InOut(zero), .grad = run.Input({{3}, DType::kF32, {1, -2, 300}}), .m = run.InOut(zero),
                   .v = run.InOut(zero), .weight = {}, .grad_scale = run.Input({{1}, DType::kF32, {1}}), .lr = 0.01};
    AdamW(run.stream(), args);
    run.Expect("m", args.m, Tolerance(DType::kF32), [] { return std::vector<double>{0.1, -0.2, 30}; });
    run.Expect("v", args.v, Tolerance(DType::kF32), [] { return std::vector<double>{0.001, 0.004, 90}; });
  });
}

}  // namespace
}  // namespace weft
