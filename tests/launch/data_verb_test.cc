// `weft data` as users run it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

using testing::HasSubstr;

TEST(DataVerb, TakesOptionsBeforeAndBehindTheInputs) {
  const ScratchFolder folder;
  const std::string rows = folder.path() + "/qa.jsonl", column = " --column text=question ", to = " --to " + folder.path() + "/qa.h5 ";
  ASSERT_TRUE(WriteFileAtomically(rows, R"({"question": "Why?"})" "\n").ok());
  for (const std::string& arguments : {column + rows + to, rows + column + to, to + column + rows}) {
    const JobResult job = RunWeft("data prepare " + arguments);
    EXPECT_EQ(job.exit_code, 0) << arguments << "\n" << job.err;
  }
}

TEST(DataVerb, LearnsATokenizerInPlaceOfNoOther) {
  const ScratchFolder folder;
  const std::string learn = "data tokenizer README.md --vocab-size 300 --to " + folder.path() + "/tokenizer";
  ASSERT_EQ(RunWeft(learn).exit_code, 0);
  const JobResult again = RunWeft(learn);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("has a tokenizer.json already"));
}

}  // namespace
}  // namespace weft
