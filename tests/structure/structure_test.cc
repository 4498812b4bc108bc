// Holds the repository to its own rules, and shows of each rule that it can fail, on a planted tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/structure/function_lengths.h"
#include "tests/structure/include_rules.h"
#include "tests/structure/shape_rules.h"
#include "tests/structure/source_tree.h"

namespace weft::structure {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

const Budget kFileBudget = {.max_lines = 600, .allowances = {}};
const Budget kFunctionBudget = {.max_lines = 80, .allowances = {}};

// Tests run in the repository's root.
const SourceTree& Repository() {
  static const SourceTree kTree = ReadTree(".");
  return kTree;
}

void ExpectNone(const std::vector<Violation>& violations) {
  for (const Violation& violation : violations) ADD_FAILURE() << violation;
}

auto At(const std::string& path, int line) {
  return AllOf(Field("path", &Violation::path, path), Field("line", &Violation::line, line));
}

std::string Repeat(const std::string& line, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += line;
  return text;
}

TEST(Repository, IsReadWhole) {
  std::vector<std::string> paths;
  for (const SourceFile& file : Repository()) paths.push_back(file.path);
  EXPECT_THAT(paths, IsSupersetOf({"CMakeLists.txt", "test", ".ci/run", "core/tensor.h", "tests/structure/structure_test.cc"}));
}

TEST(Arrows, HoldInTheRepository) { ExpectNone(ArrowViolations(Repository())); }

TEST(Arrows, FailOnAForbiddenInclude) {
  const SourceTree planted = {
      {"core/a.h", "#include \"kernels/gemm.h\"\n"},
      {"trainer/b.cc", "// x\n#include \"trainer/b.h\"\n  #  include \"inference/engine.h\"\n"},
      {"checkpoint/c.cc", "#include \"model/config.h\"\n"},
      {"launch/d.cc", "#include \"tests/core/a.h\"\n"},
      {"bench/e.cc", "#include \"tests/core/a.h\"\n#include \"model/config.h\"\n"},
      {"stuff/f.cc", ""},
      {"model/g.cc", "#include <vector>\n#include \"absl/strings/str_cat.h\"\n#include \"kernels/gemm.h\"\n"},
  };
  EXPECT_THAT(ArrowViolations(planted),
              ElementsAre(At("core/a.h", 1), At("trainer/b.cc", 3), At("checkpoint/c.cc", 1), At("launch/d.cc", 1),
                          At("bench/e.cc", 1), At("stuff/f.cc", 0)));
}

TEST(Confinement, HoldsInTheRepository) { ExpectNone(ConfinementViolations(Repository())); }

TEST(Confinement, FailsOutsideTheLibrarysPlace) {
  const SourceTree planted = {
      {"kernels/gemm.cc", "#include <cublasLt.h>\n#include <cuda_bf16.h>\n#include <cudnn_frontend.h>\n"},
      {"parallel/mesh.cc", "#include <nccl.h>\n#include <mpi.h>\n#include <vector>\n"},
      {"trainer/run.cc", "#include <yaml-cpp/yaml.h>\n"},
      {"data/store.cc", "#include <hdf5.h>\n"},
      {"inference/engine.cc", "#include <boost/beast.hpp>\n"},
      {"model/linear.cc", "#include <cblas.h>\n#include <dnnl.hpp>\n"},
      {"data/verb.cc", "#include <CLI/CLI.hpp>\n"},
      {"core/check.cc", "#include <gtest/gtest.h>\n"},
  };
  EXPECT_THAT(ConfinementViolations(planted),
              ElementsAre(At("kernels/gemm.cc", 1), At("kernels/gemm.cc", 2), At("kernels/gemm.cc", 3),
                          At("parallel/mesh.cc", 1), At("parallel/mesh.cc", 2), At("trainer/run.cc", 1),
                          At("data/store.cc", 1), At("inference/engine.cc", 1), At("model/linear.cc", 1),
                          At("model/linear.cc", 2), At("data/verb.cc", 1), At("core/check.cc", 1)));
}

TEST(Confinement, LetsTheLibrarysPlaceBe) {
  const SourceTree planted = {
      {"kernels/cuda/gemm.cc", "#include <cublasLt.h>\n#include \"kernels/cuda/handles.h\"\n"},
      {"core/cuda_device.cc", "#include <cuda_runtime.h>\n#include \"core/cuda_device.h\"\n"},
      {"parallel/nccl_communicator.cc", "#include <nccl.h>\n#include \"parallel/nccl_communicator.h\"\n"},
      {"parallel/mpi_communicator.cc", "#include <mpi.h>\n"},
      {"data/token_store_hdf5.cc", "#include <hdf5.h>\n#include \"data/token_store_hdf5.h\"\n"},
      {"inference/server/http.cc", "#include <boost/beast.hpp>\n"},
  };
  EXPECT_THAT(ConfinementViolations(planted), IsEmpty());
}

TEST(Opening, HoldsInTheRepository) { ExpectNone(OpeningViolations(Repository())); }

TEST(Opening, FailsWithoutAComment) {
  const SourceTree planted = {
      {"core/a.h", "#pragma once\n"},
      {"core/b.cc", "//\n#include <vector>\n"},
      {"core/c.cc", "\n// A file that opens with an empty line.\n"},
      {"core/d.cc", "// A file that says what it is.\n"},
      {"test", "#!/usr/bin/env bash\nset -e\n"},
      {"quickstart", "#!/usr/bin/env bash\n# A script that says what it is.\n"},
      {"cmake/e.cmake", "set(x 1)\n"},
      {"README.md", "weft\n"},
  };
  EXPECT_THAT(OpeningViolations(planted), ElementsAre(At("core/a.h", 1), At("core/b.cc", 1), At("core/c.cc", 1),
                                                      At("test", 1), At("cmake/e.cmake", 1)));
}

TEST(Names, HoldInTheRepository) { ExpectNone(NameViolations(Repository())); }

TEST(Names, FailWithoutAConcept) {
  const SourceTree planted = {{"core/utils.h", ""},       {"core/string_util.cc", ""}, {"model/common/a.h", ""},
                              {"tests/test_helpers.h", ""}, {"core/misc.cc", ""},        {"core/communicator.h", ""},
                              {"core/utilization.cc", ""}};
  EXPECT_THAT(NameViolations(planted),
              ElementsAre(At("core/utils.h", 0), At("core/string_util.cc", 0), At("model/common/a.h", 0),
                          At("tests/test_helpers.h", 0), At("core/misc.cc", 0)));
}

TEST(FileLength, HoldsInTheRepository) { ExpectNone(FileLengthViolations(Repository(), kFileBudget)); }

TEST(FileLength, FailsOverBudgetAndOnStaleAllowances) {
  const SourceTree planted = {{"core/long.cc", Repeat("\n", 101)},
                              {"core/grown.cc", Repeat("\n", 201)},
                              {"core/shrunk.cc", Repeat("\n", 150)},
                              {"core/short.cc", Repeat("\n", 100)},
                              {"core/debt.cc", Repeat("\n", 120)},
                              {"docs/long.md", Repeat("\n", 101)}};
  const Budget budget = {.max_lines = 100,
                         .allowances = {{"core/grown.cc", 200}, {"core/shrunk.cc", 200}, {"core/short.cc", 150}, {"core/debt.cc", 120}}};
  EXPECT_THAT(FileLengthViolations(planted, budget), ElementsAre(At("core/long.cc", 0), At("core/grown.cc", 0),
                                                                 At("core/shrunk.cc", 0), At("core/short.cc", 0)));
}

TEST(FunctionLength, HoldsInTheRepository) {
  ExpectNone(FunctionLengthViolations(Repository(), kFunctionBudget));
}

TEST(FunctionLength, FailsOverBudget) {
  const SourceTree planted = {{"core/a.cc", "namespace weft {\nvoid Short() {\n}\nvoid Long() {\n" + Repeat("  x();\n", 4) + "}\n}\n"}};
  EXPECT_THAT(FunctionLengthViolations(planted, {.max_lines = 5, .allowances = {}}), ElementsAre(At("core/a.cc", 4)));
  EXPECT_THAT(FunctionLengthViolations(planted, {.max_lines = 5, .allowances = {{"core/a.cc:Long", 6}}}), IsEmpty());
}

TEST(FunctionLength, FindsFunctionsAmongTypesTablesAndLiterals) {
  const SourceFile file = {"core/a.cc", R"__(// A comment with a brace {
namespace weft {
const std::map<int, std::string> kTable = {{1, "}"}, {2, R"(})"}};
struct Point {
  int x = 0, y{1'000};
  int Sum() const { return x + y; }
};
Store::Store(int n)
    : n_{n}, name_("{") {
#ifdef FAST
  for (int i = 0; i < n; ++i) {
#else
  for (int i = n; i > 0; --i) {
#endif
    const char c = '{';
  }
}
template <typename T>
T Twice(T x) {
  return [&] { return x + x; }();
}
}  // namespace weft
)__"};
  const auto is = [](const std::string& name, int line, int num_lines) {
    return AllOf(Field(&Function::name, name), Field(&Function::line, line), Field(&Function::num_lines, num_lines));
  };
  EXPECT_THAT(FunctionsOf(file), ElementsAre(is("Sum", 6, 1), is("Store::Store", 8, 10), is("Twice", 18, 4)));
}

TEST(Targets, HoldEveryTestOfTheRepository) { ExpectNone(UntargetedTestViolations(Repository())); }

TEST(Targets, FailForATestOutsideThem) {
  const SourceTree planted = {{"tests/CMakeLists.txt", "weft_test(core DEPS core)\n# weft_test(model)\n"},
                              {"tests/core/a_test.cc", ""},
                              {"tests/core/deep/b_test.cc", ""},
                              {"tests/model/c_test.cc", ""},
                              {"core/d_test.cc", ""}};
  EXPECT_THAT(UntargetedTestViolations(planted), ElementsAre(At("tests/model/c_test.cc", 0), At("core/d_test.cc", 0)));
}

TEST(MachinePaths, AreNotInTheRepository) { ExpectNone(MachinePathViolations(Repository())); }

TEST(MachinePaths, FailWhereNamed) {
  const std::string home = std::string("/") + "home/someone/weft";
  const SourceTree planted = {{"README.md", "Run it.\ncd " + home + "\n"}, {"docs/a.md", "see docs/home/page and a/work/b\n"}};
  EXPECT_THAT(MachinePathViolations(planted), ElementsAre(At("README.md", 2)));
}

}  // namespace
}  // namespace weft::structure
