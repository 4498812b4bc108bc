// Tables: what each rule makes of a value, what is fitted and to which rows, and that training and use agree.
#include "data/table.h"

#include <algorithm>
#include <cmath>

#include "core/str_cat.h"
#include "data/jinja/json_value.h"
#include "data/prepare.h"
#include "data/table_fit.h"
#include "data/token_store_hdf5.h"
#include "data/tokenizer.h"
#include "data/validation_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/data/scratch_folder.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

jinja::Value Row(std::string_view json) { return *jinja::ParseJsonValue(json, "row"); }

// A table of one column `x` that is fitted to all of `rows` (JSON Lines).
StatusOr<TableFit> Fit(const std::string& column, const std::string& rows, double validation_fraction = 0) {
  const ScratchFolder folder;
  const std::string path = folder.Write("table.yaml", "columns:\n  x: " + column + "\ntext: \"{{ x }}\"\n");
  WEFT_ASSIGN_OR_RETURN(const InputFiles files, FindInputFiles({folder.Write("rows.jsonl", rows)}));
  return FitTable(path, files, validation_fraction);
}

std::string NumbersFrom(int first, int last) {
  std::string rows;
  for (int i = first; i <= last; ++i) rows += "{\"x\": " + std::to_string(i) + "}\n";
  return rows;
}

// What the column `x` makes of a row, or the error.
std::string Rendered(const StatusOr<TableFit>& fit, std::string_view row) {
  if (!fit.ok()) return std::string(fit.status().message());
  const auto text = fit->table->RenderPrompt(Row(row));
  return text.ok() ? *text : std::string(text.status().message());
}

TEST(TableTest, PrintsNumbersAlikeWhateverTheyWereWrittenAs) {
  const auto plain = Fit("{kind: number}", NumbersFrom(1, 9));
  for (const char* row : {R"({"x": 54})", R"({"x": 54.0})", R"({"x": "54"})", R"({"x": " 54.00 "})"}) EXPECT_EQ(Rendered(plain, row), "54");
  EXPECT_EQ(Rendered(plain, R"({"x": -0.1})"), "-0.1");
  const auto rounded = Fit("{kind: number, digits: 1}", NumbersFrom(1, 9));
  EXPECT_EQ(Rendered(rounded, R"({"x": 54})"), "54.0");
  EXPECT_EQ(Rendered(rounded, R"({"x": "-0.04"})"), "0.0");
  EXPECT_THAT(Rendered(plain, R"({"x": "tall"})"), HasSubstr("column x: expected a number, found 'tall'"));
  EXPECT_THAT(Rendered(plain, R"({"x": [1]})"), HasSubstr("column x: expected a number, found list"));
  EXPECT_THAT(Rendered(plain, R"({"x": true})"), HasSubstr("expected a number, found 'true'"));
  EXPECT_THAT(Rendered(plain, R"({"x": "nan"})"), HasSubstr("expected a number"));
}

TEST(TableTest, PutsWhatIsDeclaredInPlaceOfMissingValues) {
  const std::string rows = NumbersFrom(1, 8) + "{\"x\": \"NA\"}\n{\"x\": null}\n{}\n";
  const auto median = Fit("{kind: number, missing: {values: [NA, -1], instead: median}}", rows);
  for (const char* row : {R"({"x": "NA"})", R"({"x": null})", "{}", R"({"x": -1})", R"({"x": " -1 "})", R"({"x": -1.0})",
                          R"({"x": "-1.00"})"}) {
    EXPECT_EQ(Rendered(median, row), "4.5") << row;
  }
  EXPECT_EQ(Rendered(median, R"({"x": 1})"), "1");
  EXPECT_THAT(Rendered(median, R"({"x": ""})"), HasSubstr("expected a number, found ''"));  // `values` was given without it
  const auto word = Fit("{kind: number, missing: {values: [NA], instead: word, word: not known}}", rows);
  EXPECT_EQ(Rendered(word, R"({"x": "NA"})"), "not known");
  const auto refused = Fit("{kind: text}", NumbersFrom(1, 2));
  EXPECT_THAT(Rendered(refused, R"({"x": ""})"), HasSubstr("column x: it is missing; missing.instead says what to put"));
  EXPECT_THAT(Rendered(refused, R"({"y": 1})"), HasSubstr("column x: it is missing"));
  const auto drop = Fit("{kind: number, missing: {values: [NA], instead: drop_row}}", rows);
  ASSERT_TRUE(drop.ok()) << drop.status();
  EXPECT_EQ(drop->table->spec().fitted_rows, 8);
  EXPECT_FALSE(drop->table->Render(Row(R"({"x": "NA"})"))->has_value());
  EXPECT_TRUE(drop->table->Render(Row(R"({"x": "5"})"))->has_value());
  EXPECT_THAT(Rendered(drop, R"({"x": "NA"})"), HasSubstr("such rows are left out"));
}

TEST(TableTest, BinsNumbers) {
  const auto given = Fit("{kind: number, bins: {borders: [18, 65]}}", NumbersFrom(1, 3));
  for (const auto& [x, bin] : std::vector<std::pair<const char*, const char*>>{
           {"-1e9", "below 18"}, {"17.99", "below 18"}, {"18", "18 to below 65"}, {"65", "65 or more"}, {"1e9", "65 or more"}}) {
    EXPECT_EQ(Rendered(given, std::string("{\"x\": ") + x + "}"), bin) << x;
  }
  const auto labelled = Fit("{kind: number, bins: {borders: [18], labels: [child, adult]}, missing: {instead: median}}", NumbersFrom(1, 3));
  EXPECT_EQ(Rendered(labelled, R"({"x": 18})"), "adult");
  EXPECT_EQ(Rendered(labelled, R"({"x": null})"), "child");  // the median is 2
  const auto width = Fit("{kind: number, bins: {by: width, count: 4}}", NumbersFrom(0, 8));
  EXPECT_EQ(Rendered(width, R"({"x": 1.9})"), "below 2");
  EXPECT_EQ(Rendered(width, R"({"x": 2})"), "2 to below 4");
  EXPECT_EQ(Rendered(width, R"({"x": 100})"), "6 or more");  // outside of what was seen: the outer bins are open
  // numpy.quantile([0, 1, 2, 3, 100], [1/3, 2/3]) = [1.3333, 2.6667]
  const auto quantiles = Fit("{kind: number, bins: {by: quantiles, count: 3}, digits: 3}",
                             NumbersFrom(0, 3) + "{\"x\": 100}\n");
  EXPECT_EQ(Rendered(quantiles, R"({"x": 2})"), "1.333 to below 2.667");
  EXPECT_THAT(Rendered(Fit("{kind: number, bins: {by: quantiles, count: 4}}", NumbersFrom(1, 1) + NumbersFrom(1, 1) + NumbersFrom(1, 2)), "{}"),
              HasSubstr("columns.x: bins: the values are too much alike for 4 bins"));
}

TEST(TableTest, NormalisesNumbers) {
  const auto standard = Fit("{kind: number, normalise: standard, digits: 3}", NumbersFrom(1, 5));  // mean 3, deviation sqrt(2)
  EXPECT_EQ(Rendered(standard, R"({"x": 5})"), "1.414");
  EXPECT_EQ(Rendered(standard, R"({"x": 3})"), "0.000");
  const auto minmax = Fit("{kind: number, normalise: minmax}", NumbersFrom(1, 5));
  EXPECT_EQ(Rendered(minmax, R"({"x": 2})"), "0.25");
  EXPECT_EQ(Rendered(minmax, R"({"x": 9})"), "2.00");  // beyond what was seen: not cut
  EXPECT_THAT(Rendered(Fit("{kind: number, normalise: minmax}", NumbersFrom(3, 3)), "{}"), HasSubstr("normalise: all its values are 3"));
  EXPECT_THAT(Rendered(Fit("{kind: number, normalise: standard, missing: {values: [NA], instead: word}}", "{\"x\": \"NA\"}\n"), "{}"),
              HasSubstr("columns.x: no row of the training split has a value"));
}

TEST(TableTest, KnowsCategories) {
  const std::string rows = "{\"x\": \"red\"}\n{\"x\": \" blue \"}\n{\"x\": 7}\n";
  const auto fitted = Fit("{kind: category}", rows);
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  EXPECT_THAT(fitted->table->spec().columns.list[0].second.fitted->categories, ElementsAre("7", "blue", "red"));
  EXPECT_EQ(Rendered(fitted, R"({"x": "blue"})"), "blue");
  EXPECT_THAT(Rendered(fitted, R"({"x": "green"})"), HasSubstr("'green' is none of the 3 categories (7, blue, red); `unknown`"));
  EXPECT_EQ(Rendered(Fit("{kind: category, unknown: other}", rows), R"({"x": "green"})"), "other");
  const auto given = Fit("{kind: category, categories: [red, green], unknown: other}", rows);
  EXPECT_EQ(Rendered(given, R"({"x": "green"})"), "green");
  EXPECT_EQ(Rendered(given, R"({"x": "blue"})"), "other");
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "{\"x\": \"" + std::to_string(i) + "\"}\n";
  EXPECT_THAT(Rendered(Fit("{kind: category}", many), "{}"), HasSubstr("rows.jsonl:1001: column x: more than 1000 categories"));
}

// The whole point of the split by the hash of rows: change the validation rows' values, and the fit stays.
TEST(TableTest, FitsToTheTrainingSplitAlone) {
  const double fraction = 0.3;
  const std::string column = "{kind: number, normalise: standard, missing: {instead: median}, digits: 6}";
  const auto fit = Fit(column, NumbersFrom(1, 200), fraction);
  ASSERT_TRUE(fit.ok()) << fit.status();
  const TableSpec& spec = fit->table->spec();
  double sum = 0;
  std::vector<double> training;
  for (int i = 1; i <= 200; ++i) {
    const jinja::Value row = Row("{\"x\": " + std::to_string(i) + "}");
    if (RowHash(spec, *row.AsDict()) >= *fit->validation_threshold) {
      training.push_back(i);
      sum += i;
    }
  }
  ASSERT_GT(training.size(), 100u);
  ASSERT_LT(training.size(), 180u);
  EXPECT_EQ(spec.fitted_rows, static_cast<int64_t>(training.size()));
  const FittedColumn& fitted = *spec.columns.list[0].second.fitted;
  EXPECT_NEAR(*fitted.mean, sum / static_cast<double>(training.size()), 1e-9);
  const size_t half = training.size() / 2;
  EXPECT_EQ(*fitted.median, training.size() % 2 == 1 ? training[half] : (training[half - 1] + training[half]) / 2);
}

// With two rows one is validation, by the bounds of the threshold, and is left out of the fit.
TEST(TableTest, FitsToTheTrainingSplitOfFewRows) {
  const auto fit = Fit("{kind: number, missing: {instead: median}}", NumbersFrom(1, 2), 0.02);
  ASSERT_TRUE(fit.ok()) << fit.status();
  EXPECT_EQ(fit->table->spec().fitted_rows, 1);
  const double median = *fit->table->spec().columns.list[0].second.fitted->median;
  EXPECT_TRUE(median == 1 || median == 2) << median;
  const auto hash_of = [&](int x) { return RowHash(fit->table->spec(), *Row("{\"x\": " + std::to_string(x) + "}").AsDict()); };
  EXPECT_EQ(median, hash_of(1) > hash_of(2) ? 1 : 2);
}

constexpr char kTriage[] =
    "columns:\n"
    "  age: {kind: number, missing: {instead: median}, bins: {by: quantiles, count: 2, labels: [young, old]}}\n"
    "  pulse: {from: heart rate, kind: number, normalise: standard}\n"
    "  notes: {missing: {instead: drop_row}}\n"
    "  level: {kind: category}\n"
    "target: [level]\n"
    "prompt: \"{{ age }}, {{ pulse }}: {{ notes }} ->\"\n"
    "completion: \" {{ level }}\"\n";

std::string TriageRows() {
  std::string rows = "id,age,heart rate,notes,level\n";
  for (int i = 0; i < 40; ++i) {
    rows += std::to_string(i) + "," + (i % 7 == 3 ? "" : std::to_string(20 + i)) + "," + std::to_string(60 + i * i % 50) +
            (i % 10 == 5 ? ",,low\n" : i % 2 == 0 ? ",\"says \"\"a, b\"\"\",high\n" : ",<|endoftext|>,low\n");
  }
  return rows;
}

TEST(TableTest, TrainingAndUseShowTheSame) {
  const ScratchFolder folder;
  const PrepareOptions options{.inputs = {folder.Write("rows.csv", TriageRows())}, .to = folder.Path("data.h5"), .tokenizer = "",
                               .validation_fraction = 0.2, .table = folder.Write("table.yaml", kTriage)};
  const Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  const auto store = TokenStore::Open(options.to);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->num_documents(), 36);  // four rows have no notes
  EXPECT_THAT((*store)->provenance_json(), HasSubstr("\"table_rows_dropped\": 4"));
  // What travels with the model renders the same rows to the same prompts.
  const auto table = Table::Open(folder.Write("model/table.yaml", (*store)->table_yaml()));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->spec().ToYaml(), (*store)->table_yaml());
  EXPECT_TRUE(Table::Open(folder.Path("model")).ok());
  EXPECT_TRUE(Table::Open(options.to).ok());
  const auto tokenizer = Tokenizer::Parse((*store)->tokenizer_json(), (*store)->tokenizer_config_json(), "store");
  int64_t document = 0, num_training = 0;
  for (int i = 0; i < 40; ++i) {
    if (i % 10 == 5) continue;
    const std::string age = i % 7 == 3 ? "null" : std::to_string(20 + i) + ".0";  // as another program writes it
    const std::string notes = i % 2 == 0 ? "says \\\"a, b\\\"" : "<|endoftext|>";
    const auto prompt = (*table)->RenderPrompt(Row("{\"age\": " + age + ", \"heart rate\": " + std::to_string(60 + i * i % 50) +
                                                   ", \"notes\": \"" + notes + "\"}"));
    ASSERT_TRUE(prompt.ok()) << prompt.status();
    const TokenRange range = (*store)->Document(document);
    std::vector<int32_t> tokens(range.length);
    std::vector<uint8_t> mask(range.length);
    ASSERT_TRUE((*store)->Read(range, absl::MakeSpan(tokens), absl::MakeSpan(mask)).ok());
    const auto answer = static_cast<size_t>(std::find(mask.begin(), mask.end(), 1) - mask.begin());
    const absl::Span<const int32_t> all(tokens);
    EXPECT_EQ((*tokenizer)->Decode(all.first(answer)), *prompt);
    EXPECT_EQ((*tokenizer)->Decode(all.subspan(answer)), i % 2 == 0 ? " high" : " low");
    num_training += (*store)->SplitOf(document) == DataSplit::kTrain;
    ++document;
  }
  EXPECT_EQ(num_training, (*table)->spec().fitted_rows);  // the split of the store is that of the fit
  EXPECT_LT(num_training, 36);
}

// More rows for the same model: rendered by what was fitted before.
TEST(TableTest, AFittedTableIsNotFittedAgain) {
  const ScratchFolder folder;
  PrepareOptions options{.inputs = {folder.Write("rows.csv", TriageRows())}, .to = folder.Path("a.h5"), .tokenizer = "",
                         .table = folder.Write("table.yaml", kTriage)};
  ASSERT_TRUE(PrepareData(options).ok());
  const std::string fitted = (*TokenStore::Open(options.to))->table_yaml();
  options.inputs = {folder.Write("more.jsonl", R"({"age": 99, "heart rate": 200, "notes": "n", "level": "high"})")};
  options.table = options.to;
  options.to = folder.Path("b.h5");
  const Status status = PrepareData(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ((*TokenStore::Open(options.to))->table_yaml(), fitted);
}

TEST(TableTest, TemplatesAreStrict) {
  const ScratchFolder folder;
  struct Case {
    std::string templates, error;
  };
  const Case cases[] = {
      {"text: \"{{ agee }}\"", "text:1: 'agee' is undefined"},
      {"text: \"{{ x.y }}\"", "text:1:"},
      {"prompt: \"{{ y }}\"\ncompletion: \"{{ y }}\"\ntarget: [y]", "prompt:1: 'y' is undefined"},  // a prompt sees no target
      {"text: \"{{ x\"", "text:1:"},
      {"text: \"{{ id }}\"", "text:1: 'id' is undefined"},  // a column of the row that is not declared
  };
  for (const Case& c : cases) {
    const PrepareOptions options{.inputs = {folder.Write("rows.csv", "id,x,y\n1,2,3\n")}, .to = folder.Path("data.h5"), .tokenizer = "",
                                 .table = folder.Write("table.yaml", "columns: {x: {}, y: {}}\n" + c.templates)};
    const Status status = PrepareData(options);
    EXPECT_EQ(ExitCode(status), 2);
    EXPECT_THAT(std::string(status.message()), HasSubstr(StrCat(options.table, ": ", c.error))) << c.templates;
    EXPECT_FALSE(std::filesystem::exists(options.to));
  }
}

TEST(TableTest, MistakesInTheSpecificationAreNamedAtOnce) {
  const ScratchFolder folder;
  const std::string path = folder.Write("table.yaml",
                                        "delimiter: \"|\"\n"
                                        "columns:\n"
                                        "  a b: {kind: numbr}\n"
                                        "  c: {bins: {borders: [1]}, digits: 2, missing: {instead: median}}\n"
                                        "  d: {kind: number, bins: {by: width, borders: [2, 1], labels: [x]}, normalise: minmax}\n"
                                        "  e: {kind: text, unknown: x, lable: 5}\n"
                                        "target: [f]\n"
                                        "prompt: x\n");
  const Status status = TableSpec::Read(path).status();
  EXPECT_EQ(ExitCode(status), 2);
  for (const char* part : {"table.yaml:3: columns.a b.kind: ", "table.yaml:6: columns.e.lable: unknown key"}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
  std::string fixed = "delimiter: \"|\"\ncolumns:\n  a b: {}\n  c: {bins: {borders: [1]}, digits: 2, missing: {instead: median}}\n"
                      "  d: {kind: number, bins: {by: width, borders: [2, 1], labels: [x]}, normalise: minmax}\n"
                      "  e: {kind: text, unknown: x}\ntarget: [f]\nprompt: x\n";
  const std::string message(TableSpec::Read(folder.Write("table.yaml", fixed)).status().message());
  for (const char* part :
       {"table.yaml:1: delimiter: expected", "table.yaml:3: columns.a b: a name here is letters", "table.yaml:4: columns.c.bins: only",
        "columns.c.digits: only for kind: number", "columns.c.missing.instead: only a column of kind: number has a median",
        "table.yaml:5: columns.d.bins.borders: these are fitted", "columns.d.bins.borders: expected ascending", "columns.d.bins.count: expected 2",
        "columns.d.bins.labels: 1 labels for 0 bins", "columns.d.normalise: a column has bins or is normalised",
        "columns.e.unknown: only for kind: category", "table.yaml:7: target: there is no column 'f'", "completion: expected templates"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST(TableTest, ErrorsOfRowsNameThePlace) {
  const ScratchFolder folder;
  PrepareOptions options{.inputs = {}, .to = folder.Path("data.h5"), .tokenizer = "", .table = folder.Write("table.yaml", kTriage)};
  const auto error_of = [&](const std::string& name, const std::string& contents) {
    options.inputs = {folder.Write(name, contents)};
    const Status status = PrepareData(options);
    EXPECT_EQ(ExitCode(status), 2);
    return std::string(status.message());
  };
  EXPECT_THAT(error_of("r.csv", "age,heart rate,notes,level\n1,2,n,l\nx,2,n,l\n"), HasSubstr("r.csv:3: column age: expected a number, found 'x'"));
  EXPECT_THAT(error_of("r.csv", "age,pulse,notes,level\n1,2,n,l\n3,4,n,l\n"),
              HasSubstr("columns.pulse: no row has a column 'heart rate'; the first row has: age, pulse, notes, level"));
  EXPECT_THAT(error_of("r.csv", "age;heart rate;notes;level\n1;2;n;l\n"), HasSubstr("or the delimiter"));
  EXPECT_THAT(error_of("r.txt", "age"), HasSubstr("no row of a table"));
  EXPECT_THAT(error_of("r.csv", "age,heart rate,notes,level\n"), HasSubstr("hold no rows"));
  EXPECT_THAT(std::string(Table::Open(options.table).status().message()), HasSubstr("is not fitted to data yet"));
  EXPECT_THAT(std::string(Table::Open(std::filesystem::path(folder.Write("model/x", "")).parent_path().string()).status().message()), HasSubstr("holds no table.yaml"));
  options.columns = {"text=notes"};
  EXPECT_THAT(error_of("r.csv", "a\n1\n"), HasSubstr("column: rows of a table"));
}

}  // namespace
}  // namespace weft
