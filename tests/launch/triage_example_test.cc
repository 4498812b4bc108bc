// examples/triage, as its README tells it: a table to a model, and a row to the prompt that the model was trained on.
#include "core/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/launch/job.h"

namespace weft {
namespace {

using testing::HasSubstr;

TEST(TriageExample, TrainsExportsAndRendersARow) {
  const ScratchFolder folder;
  const std::string data = folder.path() + "/triage.h5", run = folder.path() + "/run", model = folder.path() + "/model";
  const JobResult prepared =
      RunWeft("data prepare examples/triage/triage.csv --table examples/triage/table.yaml --validation-fraction 0.2 --to " + data);
  ASSERT_EQ(prepared.exit_code, 0) << prepared.err;
  const JobResult trained = RunWeft("train examples/triage/train.yaml --set steps=3 --set data.path=" + data + " --set output=" + run);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const JobResult exported = RunWeft("export " + run + " --to " + model);
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const JobResult rendered = RunWeft("data render examples/triage/row.json --table " + model);
  ASSERT_EQ(rendered.exit_code, 0) << rendered.err;
  EXPECT_THAT(rendered.out, HasSubstr("Patient: an elderly person. Arrival: ambulance.\nHeart rate: high."));
  EXPECT_TRUE(rendered.out.ends_with("\nTriage:")) << rendered.out;
  EXPECT_EQ(RunWeft("data render examples/triage/row.json --table " + data).out, rendered.out);
  // The first row of the table, as JSON, is the store's first sample.
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/first.json", R"({"age": "20", "arrival": "referral", "heart rate": 88,
      "temperature": 36.8, "complaint": "broken wrist suspected"})").ok());
  const JobResult first = RunWeft("data render " + folder.path() + "/first.json --table " + model);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  const JobResult inspected = RunWeft("inspect data " + data + " --samples 1");
  EXPECT_THAT(inspected.out, HasSubstr("table        6 columns, fitted to 48 rows"));
  EXPECT_THAT(inspected.out, HasSubstr("<|begin_of_text|>" + first.out + "» urgent<|endoftext|>«"));
}

TEST(TriageExample, RenderSaysWhereAPromptStandsInsideAChat) {
  const ScratchFolder folder;
  const std::string prepare = "data prepare examples/triage/triage.csv --table ", to = " --to " + folder.path();
  const std::string chat = folder.path() + "/chat.h5", chat_template = " --template " + folder.path() + "/t.jinja";
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/t.jinja", "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}").ok());
  ASSERT_EQ(RunWeft(prepare + "examples/triage/table.yaml" + to + "/bare.h5").exit_code, 0);
  const JobResult prepared = RunWeft(prepare + "examples/triage/table.yaml" + chat_template + to + "/chat.h5");
  ASSERT_EQ(prepared.exit_code, 0) << prepared.err;
  const std::string render = "data render examples/triage/row.json --table ";
  const JobResult bare = RunWeft(render + folder.path() + "/bare.h5"), inside = RunWeft(render + chat);
  EXPECT_EQ(inside.out, bare.out);
  EXPECT_THAT(inside.err, HasSubstr("/v1/chat/completions"));
  EXPECT_THAT(bare.err, testing::Not(HasSubstr("/v1/chat/completions")));
  // More rows for the same model are chats, too.
  const JobResult lacking = RunWeft(prepare + chat + to + "/more.h5");
  EXPECT_EQ(lacking.exit_code, 2);
  EXPECT_THAT(lacking.err, HasSubstr("its rows became chats; name the chat template again with --template"));
  EXPECT_EQ(RunWeft(prepare + chat + chat_template + to + "/more.h5").exit_code, 0);
}

TEST(TriageExample, RenderRefusesByName) {
  const JobResult unfitted = RunWeft("data render examples/triage/row.json --table examples/triage/table.yaml");
  EXPECT_EQ(unfitted.exit_code, 2);
  EXPECT_THAT(unfitted.err, HasSubstr("is not fitted to data yet"));
  const ScratchFolder folder;
  const std::string data = folder.path() + "/triage.h5";
  ASSERT_EQ(RunWeft("data prepare examples/triage/triage.csv --table examples/triage/table.yaml --to " + data).exit_code, 0);
  const JobResult many = RunWeft("data render examples/triage/triage.csv --table " + data);
  EXPECT_EQ(many.exit_code, 2);
  EXPECT_THAT(many.err, HasSubstr("triage.csv:3: a second row"));
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/row.json", R"({"age": 1, "arrival": "boat", "heart rate": 90, "temperature": 37})").ok());
  const JobResult incomplete = RunWeft("data render " + folder.path() + "/row.json --table " + data);
  EXPECT_EQ(incomplete.exit_code, 2);
  EXPECT_THAT(incomplete.err, HasSubstr("column complaint: it is missing"));
}

}  // namespace
}  // namespace weft
