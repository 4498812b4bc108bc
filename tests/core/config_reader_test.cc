// The reader on a small struct with a field of every kind: values, every class of mistake with its exact line, merging,
// overrides, hostile files; and that what the writer writes reads back the same.
#include "core/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>

#include "core/config_number.h"
#include "core/config_writer.h"
#include "core/utf8.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

enum class Color { kRed, kGreen };

struct Inner {
  int64_t count = 7;
  std::optional<double> rate;
  void VisitFields(FieldVisitor& v) {
    v.Alias("number", "count");
    v.Field("count", count, "how many");
    v.Field("rate", rate, "how fast");
    v.Ignored("shade", "there is no sun");
    v.Refused("magic", "write tricks");
    v.Fixed("wheels", "4", "it is a car");
  }
};

struct Empty {
  void VisitFields(FieldVisitor& v) { v.Ignored("anything", "it is empty"); }
};

struct Sample {
  bool flag = false;
  int64_t size = 1;
  double weight = 0.5;
  std::string title = "none";
  std::vector<double> betas = {0.9, 0.999};
  std::vector<std::string> names;
  std::optional<int64_t> limit = 3;
  std::optional<bool> maybe;
  std::optional<std::string> word;
  Color color = Color::kRed;
  Inner inner;
  std::optional<Inner> extra;
  std::optional<Empty> marker;
  std::vector<Inner> parts;

  void VisitFields(FieldVisitor& v) {
    v.Field("flag", flag, "a flag");
    v.Field("size", size, "a size");
    v.Field("weight", weight, "a weight in grams");
    v.Field("title", title, "a title");
    v.Field("betas", betas, "decay rates");
    v.Field("names", names, "names");
    v.Field("limit", limit, "a limit");
    v.Field("maybe", maybe, "perhaps");
    v.Field("word", word, "a word");
    v.Choice("color", color, {"red", "green"}, "a color");
    v.Section("inner", inner, "inside");
    v.Section("extra", extra, "more");
    v.Section("marker", marker, "present or not");
    v.Sections("parts", parts, "several of a kind");
  }
};

// A file of its own test; shown as FILE in the messages below.
std::string FileWith(const std::string& text, const std::string& name = "a.yaml") {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder = StrCat(::testing::TempDir(), "/weft_config_reader_", test->name());
  std::filesystem::create_directories(folder);
  const std::string path = StrCat(folder, "/", name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

std::string Short(std::string message) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder = StrCat(::testing::TempDir(), "/weft_config_reader_", test->name(), "/");
  for (size_t at; (at = message.find(folder)) != std::string::npos;) message.erase(at, folder.size());
  return message;
}

struct Outcome {
  Sample sample;
  ConfigReport report;
  std::string error;
};

Outcome ReadSources(const ConfigSources& sources) {
  Outcome outcome;
  StatusOr<ConfigReport> report = ReadConfig(sources, outcome.sample);
  if (report.ok()) {
    outcome.report = *std::move(report);
  } else {
    EXPECT_EQ(ExitCode(report.status()), 2);
    outcome.error = Short(std::string(report.status().message()));
  }
  return outcome;
}

Outcome ReadText(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return ReadSources({.path = FileWith(text), .deepspeed_path = "", .overrides = overrides});
}

// --- Values ----------------------------------------------------------------------------------------------------------

TEST(ConfigReader, ReadsEveryKindOfField) {
  const Outcome o = ReadText(R"(
flag: True
size: 1_000_000
weight: -2.5e-3  # grams
title: a text of words
betas: [0.9, 1]
names: [a, "b c"]
limit: 5e8
maybe: false
word: "7"
color: GREEN
inner: {count: 2, rate: 1}
extra:
  count: 9
)");
  ASSERT_EQ(o.error, "");
  EXPECT_TRUE(o.sample.flag);
  EXPECT_EQ(o.sample.size, 1000000);
  EXPECT_EQ(o.sample.weight, -2.5e-3);
  EXPECT_EQ(o.sample.title, "a text of words");
  EXPECT_THAT(o.sample.betas, ElementsAre(0.9, 1.0));
  EXPECT_THAT(o.sample.names, ElementsAre("a", "b c"));
  EXPECT_EQ(o.sample.limit, 500000000);
  EXPECT_EQ(o.sample.maybe, false);
  EXPECT_EQ(o.sample.word, "7");
  EXPECT_EQ(o.sample.color, Color::kGreen);
  EXPECT_EQ(o.sample.inner.count, 2);
  EXPECT_EQ(o.sample.inner.rate, 1.0);
  ASSERT_TRUE(o.sample.extra.has_value());
  EXPECT_EQ(o.sample.extra->count, 9);
  EXPECT_FALSE(o.sample.marker.has_value());
  EXPECT_EQ(Short(o.report.PlaceOf("inner.rate").ToString()), "a.yaml:12");
  EXPECT_EQ(Short(o.report.PlaceOf("extra.rate").ToString()), "a.yaml:13");  // of the section
  EXPECT_FALSE(o.report.Has("extra.rate"));
}

TEST(ConfigReader, ReadsJson) {
  const Outcome o =
      ReadText("{\n\t\"flag\": true,\n\t\"inner\": {\"count\": 5e2},\n\t\"title\": \"caf\\u00e9 # no comment\"\n}\n");
  ASSERT_EQ(o.error, "");
  EXPECT_TRUE(o.sample.flag);
  EXPECT_EQ(o.sample.inner.count, 500);
  EXPECT_EQ(o.sample.title, "caf\xc3\xa9 # no comment");
}

TEST(ConfigReader, AbsentKeysKeepTheirValues) {
  const Outcome o = ReadText("size: 2");
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.sample.weight, 0.5);
  EXPECT_EQ(o.sample.limit, 3);
  EXPECT_EQ(o.sample.inner.count, 7);
  EXPECT_FALSE(o.sample.extra.has_value());
  EXPECT_THAT(o.report.notices, ElementsAre());
}

TEST(ConfigReader, NullAndAutoSayNothing) {
  const Outcome o =
      ReadText("size: auto\nweight: null\ntitle: auto\nlimit: auto\nword: ~\ninner: null\nextra: null\ncolor:\n");
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.sample.size, 1);
  EXPECT_EQ(o.sample.weight, 0.5);
  EXPECT_EQ(o.sample.title, "auto") << "text may be any text";
  EXPECT_EQ(o.sample.limit, std::nullopt) << "an optional becomes unset";
  EXPECT_FALSE(o.sample.extra.has_value());
  EXPECT_THAT(o.report.autos, ElementsAre("limit", "size"));
  EXPECT_EQ(Short(o.report.notices.at(0)), "a.yaml:1: size: auto counts as not given");
}

TEST(ConfigReader, IgnoredKeysGiveANotice) {
  const Outcome o = ReadText("inner:\n  shade: {deep: [1, 2]}\nmarker: {}\n");
  ASSERT_EQ(o.error, "");
  ASSERT_EQ(o.report.notices.size(), 1u);
  EXPECT_EQ(Short(o.report.notices[0]), "a.yaml:2: inner.shade: has no effect here: there is no sun");
  EXPECT_TRUE(o.sample.marker.has_value());
}

TEST(ConfigReader, RefusedKeysMayBeOff) {
  for (const char* off :
       {"false", "null", "0", "none", "auto", "{enabled: false, depth: 3}", "[]", "{a: 0, b: false}"}) {
    EXPECT_EQ(ReadText(StrCat("inner:\n  magic: ", off)).error, "") << off;
  }
  for (const char* on : {"true", "1", "word", "{enabled: true}", "{depth: 3}", "[1]"}) {
    EXPECT_EQ(ReadText(StrCat("inner:\n  magic: ", on)).error,
              "a.yaml:2: inner.magic: cannot be honoured: write tricks")
        << on;
  }
}

TEST(ConfigReader, FixedKeysTakeOneValue) {
  EXPECT_EQ(ReadText("inner: {wheels: 4.0}").error, "");
  EXPECT_EQ(ReadText("inner: {wheels: 3}").error,
            "a.yaml:1: inner.wheels: only 4 can be honoured, got '3': it is a car");
}

TEST(ConfigReader, AliasIsAnotherName) {
  EXPECT_EQ(ReadText("inner: {number: 4}").sample.inner.count, 4);
  EXPECT_EQ(ReadText("inner:\n  number: 4\n  count: 4\n").error,
            "a.yaml:2: inner.number: is another name of count, which is given too; keep one of the two");
}

// --- Mistakes --------------------------------------------------------------------------------------------------------

TEST(ConfigReader, NamesTheFileLineKeyAndWhatCame) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"flag: yes", "a.yaml:1: flag: expected true or false, got 'yes'"},
      {"\n\nsize: 1.5", "a.yaml:3: size: expected an integer, got '1.5'"},
      {"size: \"5\"", "a.yaml:1: size: expected an integer, got \"5\""},
      {"size: 9223372036854775808", "a.yaml:1: size: expected an integer, got '9223372036854775808'"},
      {"size: 1__0", "a.yaml:1: size: expected an integer, got '1__0'"},
      {"weight: .inf", "a.yaml:1: weight: expected a number, got '.inf'"},
      {"weight: nan", "a.yaml:1: weight: expected a number, got 'nan'"},
      {"weight: [1]", "a.yaml:1: weight: expected a number, got a list"},
      {"title: {a: 1}", "a.yaml:1: title: expected text, got a section"},
      {"title: \"a\\0b\"", "a.yaml:1: title: expected text, got \"a\\000b\""},
      {"betas: 3", "a.yaml:1: betas: expected a list, got '3'"},
      {"betas:\n- 1\n- x", "a.yaml:3: betas[1]: expected a number, got 'x'"},
      {"color: blue", "a.yaml:1: color: expected one of red, green, got 'blue'"},
      {"parts: {count: 1}", "a.yaml:1: parts: expected a list of sections, got a section"},
      {"parts:\n- 3", "a.yaml:2: parts.0: expected a section, got '3'"},
      {"parts:\n- count: 1\n- count: big\n  cuont: 3",
       "a.yaml:3: parts.1.count: expected an integer, got 'big'\n"
       "a.yaml:4: parts.1.cuont: unknown key; did you mean 'count'?"},
      {"inner: 4", "a.yaml:1: inner: expected a section, got '4'"},
      {"extra: [1]", "a.yaml:1: extra: expected a section, got a list"},
      {"inner:\n  rates: 2", "a.yaml:2: inner.rates: unknown key; did you mean 'rate'?"},
      {"Size: 2", "a.yaml:1: Size: unknown key; did you mean 'size'?"},
      {"rate: 2", "a.yaml:1: rate: unknown key; did you mean 'inner.rate'?"},
      {"inner: {zzzzzz: 2}", "a.yaml:1: inner.zzzzzz: unknown key; known here: count, rate"},
      {"size: 1\nsize: 1", "a.yaml:2: size: given twice; it is in line 1 already"},
      {"inner:\n  count: 1\n  rate: 1\n  count: 2", "a.yaml:4: inner.count: given twice; it is in line 2 already"},
      {"- 1", "a.yaml: expected keys and values at the top, got a list"},
      {"# nothing", "a.yaml: expected keys and values at the top, got nothing"},
      {"", "a.yaml: expected keys and values at the top, got nothing"},
      {"size: 1\n---\nsize: 2",
       "a.yaml:2: is not YAML or JSON that weft reads: a second document begins here; one is expected"},
      {"size: &a 1\nweight: *a",
       "a.yaml:2: is not YAML or JSON that weft reads: aliases (*name) are not supported; write the value out"},
      {"size: !!int 1",
       "a.yaml:1: is not YAML or JSON that weft reads: tags (tag:yaml.org,2002:int) are not supported"},
      {"? [a]\n: 1", "a.yaml:1: is not YAML or JSON that weft reads: expected a name as key"},
      {"title: \xff", "a.yaml: is not UTF-8 text"},
      {std::string("size: 1\0", 8), "a.yaml: holds control characters"},
  };
  for (const auto& [text, error] : cases) EXPECT_EQ(ReadText(text).error, error) << text;
}

TEST(ConfigReader, SyntaxErrorsHaveALine) {
  EXPECT_THAT(ReadText("size: 1\ninner: {count: 2\nflag: true\n").error, HasSubstr("a.yaml:"));
  EXPECT_THAT(ReadText("size: 1\nnames: [a\nflag: true\n").error, HasSubstr("a.yaml:3: is not YAML"));
  EXPECT_THAT(ReadText("inner:\n  count: 2\n rate: 1\n").error, HasSubstr("a.yaml:3: is not YAML"));
}

TEST(ConfigReader, ReportsAllMistakesInOrder) {
  EXPECT_EQ(ReadText("inner:\n  rate: fast\nbogus: 1\nsize: big\nsize: 2\n").error,
            "a.yaml:2: inner.rate: expected a number, got 'fast'\n"
            "a.yaml:3: bogus: unknown key; known here: flag, size, weight, title, betas, names, limit, maybe, word, "
            "color, inner, "
            "extra, marker, parts\n"
            "a.yaml:4: size: expected an integer, got 'big'\n"
            "a.yaml:5: size: given twice; it is in line 4 already");
}

TEST(ConfigReader, ListsTheKeysOfASectionOnce) {
  EXPECT_EQ(ReadText("inner:\n  zzzzzz: 1\n  yyyyyy: 2\n").error,
            "a.yaml:2: inner.zzzzzz: unknown key; known here: count, rate\na.yaml:3: inner.yyyyyy: unknown key");
}

TEST(ConfigReader, FilesThatCannotBeRead) {
  EXPECT_THAT(ReadSources({.path = "no/such.yaml", .deepspeed_path = "", .overrides = {}}).error,
              HasSubstr("cannot open no/such.yaml"));
  EXPECT_THAT(ReadSources({.path = ::testing::TempDir(), .deepspeed_path = "", .overrides = {}}).error,
              HasSubstr("is a folder"));
  EXPECT_THAT(ReadSources({.path = "/dev/zero", .deepspeed_path = "", .overrides = {}}).error,
              HasSubstr("/dev/zero is not a regular file"));
  EXPECT_THAT(ReadText(std::string(2 << 20, '#')).error, HasSubstr("has more than 1048576 bytes"));
}

// --- Overrides and a second file -------------------------------------------------------------------------------------

TEST(ConfigReader, OverridesWin) {
  const Outcome o = ReadText("size: 1\ninner: {count: 3}\n",
                             {"size=2", "inner.rate=0.25", "extra.count=4", "betas=[0.5, 0.6]", "size=3", "title=a=b"});
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.sample.size, 3) << "the last one wins";
  EXPECT_EQ(o.sample.inner.count, 3);
  EXPECT_EQ(o.sample.inner.rate, 0.25);
  EXPECT_EQ(o.sample.extra->count, 4);
  EXPECT_THAT(o.sample.betas, ElementsAre(0.5, 0.6));
  EXPECT_EQ(o.sample.title, "a=b");
  EXPECT_EQ(o.report.PlaceOf("inner.rate").ToString(), "--set inner.rate=0.25");
}

TEST(ConfigReader, ListsOfSections) {
  const std::string text = "parts:\n- {count: 1, rate: 0.5}\n-\n  count: 2\n";
  const Outcome o = ReadText(text);
  ASSERT_EQ(o.error, "");
  ASSERT_EQ(o.sample.parts.size(), 2u);
  EXPECT_EQ(o.sample.parts[0].rate, 0.5);
  EXPECT_EQ(o.sample.parts[1].count, 2);
  EXPECT_EQ(Short(o.report.PlaceOf("parts.1.count").ToString()), "a.yaml:4");
  EXPECT_EQ(Short(o.report.PlaceOf("parts.0.shade").ToString()), "a.yaml:2");
  EXPECT_EQ(ReadText(text, {"parts.1.count=9"}).sample.parts.at(1).count, 9);
  EXPECT_EQ(ReadText(text, {"parts=[{count: 5}]"}).sample.parts.size(), 1u);
  EXPECT_EQ(ReadText(text, {"parts=[]"}).sample.parts.size(), 0u);
  EXPECT_EQ(ReadText(text, {"parts.2.count=9"}).error,
            "--set parts.2.count=9: parts: the list in a.yaml:1 has 2 entries, counted from 0; there is none called 2");
  EXPECT_EQ(ReadText(text, {"parts.1=7"}).error, "--set parts.1=7: parts.1: expected a section, got '7'");
}

TEST(ConfigReader, OverrideMistakes) {
  const auto error = [](const std::string& override) { return ReadText("size: 1\n", {override}).error; };
  EXPECT_EQ(error("size=big"), "--set size=big: size: expected an integer, got 'big'");
  EXPECT_EQ(error("inner.cuont=1"), "--set inner.cuont=1: inner.cuont: unknown key; did you mean 'count'?");
  EXPECT_EQ(error("size"), "--set size: expected a key, '=' and a value, as in a.b=c");
  EXPECT_EQ(error("=1"), "--set =1: expected a key, '=' and a value, as in a.b=c");
  EXPECT_EQ(error("inner..count=1"), "--set inner..count=1: expected names between the dots, as in a.b=c");
  EXPECT_EQ(error("size.deep=1"), "--set size.deep=1: size: is '1' in a.yaml:1, not a section");
  EXPECT_THAT(error("betas=[1"), HasSubstr("--set betas=[1: is not YAML"));
  EXPECT_EQ(error("inner={count: 1, count: 2}"), "--set inner={count: 1, count: 2}: count: given twice");
}

TEST(ConfigReader, MergesASecondFile) {
  const std::string ours = FileWith("size: 4\nweight: auto\ninner:\n  count: 3\n");
  const std::string theirs =
      FileWith(R"({"size": 4.0, "weight": 2, "inner": {"rate": 0.5, "count": "auto"}, "names": ["a"]})", "ds.json");
  const Outcome o = ReadSources({.path = ours, .deepspeed_path = theirs, .overrides = {}});
  ASSERT_EQ(o.error, "");
  EXPECT_EQ(o.sample.size, 4);
  EXPECT_EQ(o.sample.weight, 2);
  EXPECT_EQ(o.sample.inner.count, 3) << "auto is filled from our file";
  EXPECT_EQ(o.sample.inner.rate, 0.5);
  EXPECT_EQ(Short(o.report.PlaceOf("names").ToString()), "ds.json:1");
}

TEST(ConfigReader, TwoFilesThatDisagree) {
  const std::string ours = FileWith("size: 4\ninner:\n  count: 3\nbetas: [1, 2]\n");
  const std::string theirs =
      FileWith("{\"size\": 5,\n \"inner\": {\"count\": 4},\n \"betas\": [1, 3], \"flag\": 7}", "ds.json");
  EXPECT_EQ(ReadSources({.path = ours, .deepspeed_path = theirs, .overrides = {}}).error,
            "ds.json:1: size: '5' here, but '4' in a.yaml:1; keep one of the two\n"
            "ds.json:2: inner.count: '4' here, but '3' in a.yaml:3; keep one of the two\n"
            "ds.json:3: betas: a list here, but a list in a.yaml:4; keep one of the two\n"
            "ds.json:3: flag: expected true or false, got '7'");
}

// --- Hostile files ---------------------------------------------------------------------------------------------------

std::string Repeat(const std::string& piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

TEST(ConfigReader, HostileFilesAreRefusedQuickly) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"open lists", Repeat("[", 1 << 20)},
      {"open sections", Repeat("{a: ", 1 << 18)},
      {"lists of lists", Repeat("- ", 1 << 19)},
      {"keys of keys", Repeat("? ", 1 << 19)},
      {"colons", Repeat("a: ", 1 << 18)},
      {"deeper lines",
       [] {
         std::string text;
         for (int i = 0; i < 1000; ++i) text += std::string(static_cast<size_t>(i), ' ') + "a:\n";
         return text;
       }()},
      {"many values", "names: [" + Repeat("a,", 1 << 18) + "]"},
      {"many keys",
       [] {
         std::string text;
         for (int i = 0; i < 100000; ++i) text += StrCat("k", i, ": 1\n");
         return text;
       }()},
      {"aliases of aliases",
       "a: &a [x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n"},
      {"quotes", Repeat("\"", 1 << 20)},
      {"a long key", std::string(1 << 19, 'k') + ": 1"},
      {"a long value", "size: " + std::string(1 << 19, '1')},
      {"anchors", Repeat("&a ", 1 << 18)},
      {"tags", Repeat("!a ", 1 << 18)},
      {"stars", Repeat("*", 1 << 20)},
      {"percents", Repeat("%YAML 1.2\n", 1 << 16)},
      {"documents", Repeat("---\n", 1 << 18)},
  };
  for (const auto& [name, text] : cases) {
    const auto start = std::chrono::steady_clock::now();
    const std::string error = ReadText(text).error;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_NE(error, "") << name;
    EXPECT_LT(error.size(), 5000u) << name;
    EXPECT_LT(seconds, 10.0) << name;
    std::cout << name << ": " << seconds << " s: " << error.substr(0, 100) << "\n";
  }
}

TEST(ConfigReader, JsonTestSuiteNeverCrashesTheReader) {
  const char* fixtures = std::getenv("WEFT_FIXTURES");
  if (fixtures == nullptr) GTEST_SKIP() << "WEFT_FIXTURES is not set";
  const std::string folder = StrCat(fixtures, "/suites/JSONTestSuite/test_parsing");
  int num_parsed = 0, num_refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const auto start = std::chrono::steady_clock::now();
    const StatusOr<ConfigTree> tree =
        ReadConfigTree({.path = entry.path().string(), .deepspeed_path = "", .overrides = {}});
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << name;
    (tree.ok() ? num_parsed : num_refused) += 1;
    const bool is_valid_object = name.starts_with("y_object") && name.find("duplicated") == std::string::npos;
    EXPECT_TRUE(tree.ok() || !is_valid_object) << name << ": " << tree.status().message();
  }
  EXPECT_GT(num_parsed, 0);
  EXPECT_GT(num_refused, 0);
  std::cout << "JSONTestSuite: " << num_parsed << " have a section at the top, " << num_refused << " are refused\n";
}

// --- Numbers and text ------------------------------------------------------------------------------------------------

TEST(ConfigNumber, ReadsIntegers) {
  int64_t value;
  for (const auto& [text, expected] :
       std::vector<std::pair<const char*, int64_t>>{{"0", 0},
                                                    {"+5", 5},
                                                    {"-12", -12},
                                                    {"5e8", 500000000},
                                                    {"1E3", 1000},
                                                    {"2.0", 2},
                                                    {"1_0", 10},
                                                    {"9007199254740993", 9007199254740993},
                                                    {"9223372036854775807", std::numeric_limits<int64_t>::max()},
                                                    {"-9223372036854775808", std::numeric_limits<int64_t>::min()}}) {
    EXPECT_TRUE(ParseNumber(text, &value)) << text;
    EXPECT_EQ(value, expected) << text;
  }
  for (const char* text :
       {"", "-", "_1", "1_", "1_.5", "0x10", "1.5", "1e-1", "1e19", "ten", " 1", "1 ", "--1", "+-1", "inf"}) {
    EXPECT_FALSE(ParseNumber(text, &value)) << text;
  }
}

TEST(ConfigNumber, PrintsTheShortestThatReadsBack) {
  EXPECT_EQ(PrintNumber(0.1), "0.1");
  EXPECT_EQ(PrintNumber(1e-5), "1e-05");
  EXPECT_EQ(PrintNumber(1), "1");
  for (const double value : {0.1, 1.0 / 3, 1e-300, 5e-324, 1.7976931348623157e308, -2.5, 0.30000000000000004}) {
    double again;
    ASSERT_TRUE(ParseNumber(PrintNumber(value), &again)) << value;
    EXPECT_EQ(again, value);
  }
}

TEST(Utf8, FollowsTheStandardsTable) {
  for (const char* good :
       {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xe2\x82", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xff", "a\xc3z"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

// --- Writing ---------------------------------------------------------------------------------------------------------

TEST(ConfigReader, ParsesATextUnderAName) {
  const StatusOr<ConfigTree> tree = ParseConfigTree("a: 1\nb: {c: x}\n", "store");
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->root.Find("b")->Find("c")->text, "x");
  EXPECT_EQ(tree->root.Find("b")->place.ToString(), "store:2");
  EXPECT_THAT(std::string(ParseConfigTree("a: [", "store").status().message()), HasSubstr("store:"));
  EXPECT_THAT(std::string(ParseConfigTree("5", "store").status().message()), HasSubstr("store: expected keys and values"));
}

TEST(ConfigWriter, ReadsBackTheSame) {
  Sample sample;
  sample.flag = true;
  sample.size = std::numeric_limits<int64_t>::min();
  sample.weight = 0.1 + 0.2;
  sample.title = "a: \"quoted\" #\\ \n\t\x7f caf\xc3\xa9";
  sample.betas = {};
  sample.names = {"null", "", "5", "- x", "true"};
  sample.limit = std::nullopt;
  sample.maybe = false;
  sample.word = "~";
  sample.color = Color::kGreen;
  sample.inner.rate = 1e-7;
  sample.marker.emplace();
  const std::string text = WriteConfig(sample);
  const Outcome o = ReadText(text);
  ASSERT_EQ(o.error, "") << text;
  EXPECT_EQ(o.sample.size, sample.size);
  EXPECT_EQ(o.sample.weight, sample.weight);
  EXPECT_EQ(o.sample.title, sample.title);
  EXPECT_EQ(o.sample.betas, sample.betas);
  EXPECT_EQ(o.sample.names, sample.names);
  EXPECT_EQ(o.sample.limit, std::nullopt) << "though its default is 3";
  EXPECT_EQ(o.sample.word, sample.word);
  EXPECT_EQ(o.sample.inner.rate, sample.inner.rate);
  EXPECT_TRUE(o.sample.marker.has_value());
  EXPECT_FALSE(o.sample.extra.has_value());
  EXPECT_EQ(WriteConfig(o.sample), text);
}

TEST(ConfigWriter, ListsOfSectionsReadBackTheSame) {
  Sample sample;
  EXPECT_THAT(WriteConfig(sample), testing::EndsWith("\nparts: []\n"));
  sample.parts.resize(2);
  sample.parts[1].count = 3;
  const std::string text = WriteConfig(sample);
  EXPECT_THAT(text, testing::EndsWith("\nparts:\n  - count: 7\n    rate: null\n  - count: 3\n    rate: null\n"));
  EXPECT_EQ(WriteConfig(ReadText(text).sample), text);
}

TEST(ConfigWriter, ReferenceHasEveryKey) {
  const std::string reference = WriteConfigReference<Sample>();
  EXPECT_THAT(reference, HasSubstr("| `weight` | number | `0.5` | a weight in grams |\n"));
  EXPECT_THAT(reference, HasSubstr("| `color` | red, green | `red` | a color |\n"));
  EXPECT_THAT(reference, HasSubstr("| `inner` | section |  | inside |\n"));
  EXPECT_THAT(reference, HasSubstr("| `extra.count` | integer | `7` | how many |\n"));
  EXPECT_THAT(reference, HasSubstr("| `parts.N.count` | integer | `7` | how many |\n"));
  EXPECT_THAT(reference, HasSubstr("| `inner.number` |  |  | another name of `count` |\n"));
  EXPECT_THAT(reference, HasSubstr("| `inner.wheels` |  |  | `4` only: it is a car |\n"));
}

}  // namespace
}  // namespace weft
