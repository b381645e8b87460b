#include "common/config/section.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/document.h"
#include "common/io/environment.h"
#include "common/io/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::config {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;

enum class Colour { kRed, kBlue };
const Choices<Colour> kColours = {{"red", Colour::kRed}, {"blue", Colour::kBlue}};

// Reads one value from "k: …" and gives the complaint.
struct Row {
  const char* name;
  std::function<void(Section&)> read;
  std::string good;       // a value that has no complaint; empty: the key is left out
  std::string bad;        // a value that has
  std::string complaint;  // all of it, behind "x.yaml:1:4: k: "
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

std::string Complaint(const std::function<void(Section&)>& read, const std::string& text) {
  auto document = Document::Parse(text, "x.yaml");
  if (!document.ok()) return std::string(document.status().message());
  Section root = (*document)->root();
  read(root);
  return std::string((*document)->Finish().message());
}

class ValueTest : public testing::TestWithParam<Row> {};

TEST_P(ValueTest, AGoodValueIsTaken) {
  EXPECT_EQ(Complaint(GetParam().read,
                      GetParam().good.empty() ? std::string() : "k: " + GetParam().good + "\n"),
            "");
}

TEST_P(ValueTest, ABadOneIsReportedAtItsPlaceWithTheExpectedForm) {
  EXPECT_EQ(Complaint(GetParam().read, "k: " + GetParam().bad + "\n"),
            "x.yaml:1:4: k: " + GetParam().complaint);
}

constexpr char kDurationForm[] = "; expected a duration such as 30s, 5m, 24h or 14d";
constexpr char kSizeForm[] = "; expected a size such as 10GiB or 500MB";
constexpr char kRateForm[] = "; expected a rate such as 10Gbps or 100Mbps";
constexpr char kAddressForm[] =
    "; expected HOST:PORT, such as \"127.0.0.1:9101\" or \"[::1]:9101\"";

INSTANTIATE_TEST_SUITE_P(
    All, ValueTest,
    testing::Values(
        Row{"DurationWithoutUnit", [](Section& s) { s.RequiredDuration("k"); }, "30s", "30",
            std::string("\"30\" has no unit") + kDurationForm},
        Row{"DurationThatIsAList", [](Section& s) { s.RequiredDuration("k"); }, "1h30m", "[30s]",
            std::string("is a list") + kDurationForm + "; write the value"},
        Row{"DurationTooShort",
            [](Section& s) {
              s.OptionalDuration("k", absl::Seconds(30), {absl::Seconds(5), absl::Hours(1)});
            },
            "5s", "4s",
            std::string("\"4s\" is less than the smallest allowed value, 5s") + kDurationForm},
        Row{"DurationTooLong",
            [](Section& s) {
              s.OptionalDuration("k", absl::Seconds(30), {absl::Seconds(5), absl::Hours(48)});
            },
            "", "3d",
            std::string("\"3d\" is more than the largest allowed value, 2d") + kDurationForm},
        Row{"SizeWithoutUnit", [](Section& s) { s.RequiredByteSize("k"); }, "10GiB", "10",
            std::string("\"10\" has no unit") + kSizeForm},
        Row{"SizeTooLarge",
            [](Section& s) {
              s.OptionalByteSize("k", 5, {0, 1024});
            },
            "1KiB", "1MiB",
            std::string("\"1MiB\" is more than the largest allowed value, 1.00 KiB") + kSizeForm},
        Row{"RateTooLow",
            [](Section& s) {
              s.RequiredBitRate("k", {64000, 1000000000});
            },
            "1Gbps", "1kbps",
            std::string("\"1kbps\" is less than the smallest allowed value, 64kbps") + kRateForm},
        Row{"RateWithoutUnit", [](Section& s) { s.OptionalBitRate("k", 1); }, "", "10G",
            std::string("\"10G\" has an unknown unit") + kRateForm},
        Row{"IntegerWithWords",
            [](Section& s) {
              s.RequiredInteger("k", {1, 9});
            },
            "9", "nine", "\"nine\" is not a whole number; expected a whole number from 1 to 9"},
        Row{"IntegerWithFraction",
            [](Section& s) {
              s.OptionalInteger("k", 1, {1, 9});
            },
            "", "1.5", "\"1.5\" is not a whole number; expected a whole number from 1 to 9"},
        Row{"IntegerTooLarge",
            [](Section& s) {
              s.RequiredInteger("k", {1, 9});
            },
            "1", "10",
            "\"10\" is more than the largest allowed value, 9; expected a whole number from 1 to "
            "9"},
        Row{"BoolThatIsYes", [](Section& s) { s.OptionalBool("k", false); }, "true", "yes",
            "\"yes\" is not a yes-or-no value; expected true or false; write it without quotes"},
        Row{"BoolInQuotes", [](Section& s) { s.OptionalBool("k", false); }, "false", "\"true\"",
            "\"true\" is not a yes-or-no value; expected true or false; write it without quotes"},
        Row{"StringThatIsAMap", [](Section& s) { s.RequiredString("k"); }, "x", "{a: b}",
            "is a group of keys; expected text; write the value"},
        Row{"StringThatIsEmpty", [](Section& s) { s.RequiredString("k"); }, "x", "\"\"",
            "is empty; expected text of at least 1 bytes"},
        Row{"StringThatIsLong",
            [](Section& s) {
              s.OptionalString("k", "", {0, 3});
            },
            "abc", "abcd", "is 4 bytes long; expected text of at most 3 bytes"},
        Row{"NameWithSpace", [](Section& s) { s.RequiredName("k"); }, "hq-core_1.a", "hq core",
            "\"hq core\" is not allowed as a name; expected a name of at most 64 letters, digits, "
            "dots, underscores and dashes"},
        Row{"TimeOfDay", [](Section& s) { s.RequiredTimeOfDay("k"); }, "18:15", "24:00",
            "\"24:00\" is not a time of day; expected a time such as \"18:15\""},
        Row{"TimeZone", [](Section& s) { s.RequiredTimeZone("k"); }, "Asia/Karachi", "Asia/Lahore",
            "\"Asia/Lahore\" is not a time zone that this host knows; expected an IANA time zone "
            "such "
            "as Asia/Karachi"},
        Row{"Address", [](Section& s) { s.RequiredAddress("k"); }, "\"127.0.0.1:0\"", "localhost",
            std::string("\"localhost\" has no port") + kAddressForm},
        Row{"Target", [](Section& s) { s.RequiredTarget("k"); }, "\"dns:///a.example:7443\"",
            "\"dns:///a.example\"",
            "\"a.example\" has no port; expected a target such as "
            "\"dns:///aggregator.example:7443\" or \"127.0.0.1:7443\""},
        Row{"Enum", [](Section& s) { s.RequiredEnum("k", kColours); }, "red", "bleu",
            "\"bleu\" is not known; expected one of red, blue"},
        Row{"EnumWithASuggestion", [](Section& s) { s.OptionalEnum("k", kColours, Colour::kRed); },
            "blue", "blues",
            "\"blues\" is not known; expected one of red, blue; did you mean blue?"},
        Row{"StringListEmpty", [](Section& s) { s.RequiredStringList("k"); }, "[a]", "[]",
            "is an empty list; expected a list of texts"},
        Row{"StringListTooLong", [](Section& s) { s.OptionalStringList("k", {}, 2); }, "[a, b]",
            "[a, b, c]", "has 3 items; expected at most 2"},
        Row{"SectionListOfTexts", [](Section& s) { s.OptionalSectionList("k"); }, "[]", "x",
            "is a single value; expected a list of groups of keys; put it in brackets: [a, b]"},
        Row{"SecretInTheFile", [](Section& s) { s.OptionalSecret("k"); }, "", "hunter2",
            "a secret does not belong in this file; expected k_file or k_env; put it in a file of "
            "mode 0600 and name that as k_file"}),
    [](const auto& test) { return test.param.name; });

TEST(SectionTest, MissingKeysAreReportedAtTheirSectionWithTheFormAndTheFix) {
  EXPECT_EQ(Complaint(
                [](Section& root) {
                  Section poll = root.RequiredSection("poll");
                  poll.RequiredDuration("interval");
                  root.RequiredSecret("password");
                },
                "\npoll: {}\n"),
            "x.yaml:2:1: password_file: is missing; expected the path of a file that holds the "
            "secret; put it in a file of mode 0600 and name that as password_file\n"
            "x.yaml:2:7: poll.interval: is missing; expected a duration such as 30s, 5m, 24h or "
            "14d; add `interval:` here");
}

TEST(SectionTest, AMissingSectionIsReportedOnceAndItsKeysAnswerWithNothing) {
  EXPECT_EQ(Complaint([](Section& root) { EXPECT_FALSE(root.RequiredSection("poll").present()); },
                      "{}\n"),
            "x.yaml:1:1: poll: is missing; expected a group of keys; add `poll:` here");
}

TEST(SectionTest, ItemsOfListsHaveTheirNumberInThePath) {
  EXPECT_EQ(Complaint(
                [](Section& root) {
                  for (Section& item : root.RequiredSectionList("routers")) item.RequiredName("id");
                },
                "routers:\n  - id: a\n  - {id: b, x: 1}\n  - 7\n"),
            "x.yaml:3:13: routers[1].x: is not a known key; expected one of id; remove it\n"
            "x.yaml:4:5: routers[2]: is a single value; expected a group of keys, such as {id: …}");
}

TEST(SectionTest, ValuesArriveAsWritten) {
  ASSERT_OK_AND_ASSIGN(
      const auto document,
      Document::Parse(
          "t: 90s\nsize: 1.5KiB\nrate: 10Gbps\nn: -3\nat: \"06:05\"\nwords: [a, 'b c']\n"
          "numbers: [80, 100]\nid: 007\nto: \"[::1]:5\"\nc: blue\non: true\n",
          "x.yaml"));
  Section root = document->root();
  EXPECT_EQ(root.RequiredDuration("t"), absl::Seconds(90));
  EXPECT_EQ(root.RequiredByteSize("size"), 1536U);
  EXPECT_EQ(root.RequiredBitRate("rate"), 10000000000U);
  EXPECT_EQ(root.RequiredInteger("n", {-5, 5}), -3);
  EXPECT_EQ(root.RequiredTimeOfDay("at"), (TimeOfDay{6, 5}));
  EXPECT_THAT(root.RequiredStringList("words"), ElementsAre("a", "b c"));
  EXPECT_THAT(root.OptionalIntegerList("numbers", {1, 100}), ElementsAre(80, 100));
  EXPECT_EQ(root.RequiredName("id"), "007");
  EXPECT_EQ(root.OptionalAddress("to"), (Address{"::1", 5}));
  EXPECT_EQ(root.RequiredEnum("c", kColours), Colour::kBlue);
  EXPECT_TRUE(root.OptionalBool("on", false));
  EXPECT_EQ(root.OptionalDuration("none", absl::Seconds(7)), absl::Seconds(7));
  EXPECT_EQ(root.OptionalAddress("none2"), std::nullopt);
  EXPECT_THAT(document->Finish(), IsOk());
}

TEST(SectionTest, FreeKeysComeInTheOrderOfTheFile) {
  ASSERT_OK_AND_ASSIGN(const auto document,
                       Document::Parse("quota: {gold: {n: 1}, default: {n: 2}}\n", "x.yaml"));
  Section root = document->root();
  std::vector<std::string> seen;
  for (auto& [name, section] : root.RequiredSection("quota").NamedSections()) {
    seen.push_back(name + std::to_string(section.RequiredInteger("n", {0, 9})));
  }
  EXPECT_THAT(seen, ElementsAre("gold1", "default2"));
  EXPECT_THAT(document->Finish(), IsOk());
}

TEST(SectionTest, ACallerCanReportWhatOnlyItSees) {
  EXPECT_EQ(Complaint(
                [](Section& root) {
                  root.RequiredName("site");
                  root.Fail("site", "names no site", "one of lahore", "add it under `sites`");
                },
                "site: x\n"),
            "x.yaml:1:7: site: names no site; expected one of lahore; add it under `sites`");
}

SecretSource SourceOf(const std::string& file, const std::string& variable) {
  SecretSource source;
  source.key = "k";
  source.file = file;
  source.environment = variable;
  return source;
}

TEST(SecretTest, LosesWhatEditorsPutAroundIt) {
  const test::TempFolder folder;
  struct File {
    std::string bytes;
    const char* secret;  // or
    const char* refusal;
  };
  const std::string nul(1, '\0');
  for (const File& file :
       {File{"pass word", "pass word", ""}, File{" pass \n", " pass ", ""},
        File{"pass\r\n", "pass", ""}, File{"pass\n\n", "pass", ""},
        File{"pass\r\n\r\n\n", "pass", ""}, File{"\xEF\xBB\xBFpass\r\n", "pass", ""},
        File{"p\xC3\xA4ss\n", "p\xC3\xA4ss", ""}, File{"\xEF\xBB\xBF\r\n", "", "is empty"},
        File{"one\ntwo\n", "", "more than one line"}, File{"one\rtwo", "", "more than one line"},
        File{"\npass\n", "", "more than one line"},
        File{"\xFF\xFEp" + nul + "w" + nul, "", "UTF-16"},
        File{"\xFE\xFF" + nul + "p", "", "UTF-16"},
        File{"pa" + nul + "ss", "", "not plain text"}}) {
    const std::string path = folder.path() + "/secret";
    ASSERT_THAT(io::WriteFileDurably(path, file.bytes, 0600), IsOk());
    const absl::StatusOr<base::Secret> read = ReadSecret(SourceOf(path, ""));
    if (*file.refusal == '\0') {
      ASSERT_THAT(read, IsOk());
      EXPECT_EQ(read->reveal(), file.secret);
    } else {
      EXPECT_THAT(read, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 testing::AllOf(HasSubstr(path), HasSubstr(file.refusal))));
    }
  }
  io::SetEnvironment("NS_TEST_SECRET_LINES", "from environment\r\n");
  ASSERT_OK_AND_ASSIGN(const base::Secret variable,
                       ReadSecret(SourceOf("", "NS_TEST_SECRET_LINES")));
  EXPECT_EQ(variable.reveal(), "from environment");
}

TEST(SecretTest, ComesFromAFileOrTheEnvironment) {
  const test::TempFolder folder;
  ASSERT_THAT(io::WriteFileDurably(folder.path() + "/s", "from file\n", 0600), IsOk());
  io::SetEnvironment("NS_TEST_SECRET", "from environment");
  ASSERT_OK_AND_ASSIGN(const auto document,
                       Document::Parse("a_file: s\nb_env: NS_TEST_SECRET\nc_env: NS_TEST_NOT_SET\n",
                                       folder.path() + "/x.yaml"));
  Section root = document->root();
  ASSERT_OK_AND_ASSIGN(const base::Secret a, ReadSecret(root.RequiredSecret("a")));
  ASSERT_OK_AND_ASSIGN(const base::Secret b, ReadSecret(root.RequiredSecret("b")));
  EXPECT_EQ(a.reveal(), "from file");
  EXPECT_EQ(b.reveal(), "from environment");
  EXPECT_THAT(ReadSecret(root.RequiredSecret("c")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("NS_TEST_NOT_SET")));
  EXPECT_THAT(ReadSecret(root.OptionalSecret("d")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("d_file")));
  EXPECT_THAT(document->Finish(), IsOk());
}

TEST(SecretTest, OfTwoSourcesOneMustGo) {
  EXPECT_EQ(Complaint([](Section& root) { root.RequiredSecret("p"); }, "p_file: a\np_env: B\n"),
            "x.yaml:2:8: p_env: is given as well as p_file; expected one of the two; remove one");
}

}  // namespace
}  // namespace netsentinel::config
