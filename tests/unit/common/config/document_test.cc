#include "common/config/document.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/yaml_tree.h"
#include "common/io/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::config {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

// What a small program would say about `text`: a root with `a` (a section with a name `id`) and
// `list` (texts).
std::string Complaint(absl::string_view text) {
  auto document = Document::Parse(text, "x.yaml");
  if (!document.ok()) return std::string(document.status().message());
  Section root = (*document)->root();
  Section a = root.OptionalSection("a");
  a.OptionalName("id", "none");
  root.OptionalStringList("list");
  return std::string((*document)->Finish().message());
}

TEST(DocumentTest, AGoodFileHasNoComplaint) {
  EXPECT_EQ(Complaint("a: {id: hq}\nlist: [x, \"y\"]\n"), "");
  EXPECT_EQ(Complaint(""), "");
  EXPECT_EQ(Complaint("# only a comment\n"), "");
  EXPECT_EQ(Complaint("---\na: {id: hq}\n"), "");
}

TEST(DocumentTest, WhatTwoReadersMissIsReportedOnce) {
  auto document = Document::Parse("", "x.yaml");
  ASSERT_THAT(document, IsOk());
  Section root = (*document)->root();
  root.RequiredSection("listen");
  root.RequiredSection("listen");
  root.RequiredSection("store");
  EXPECT_EQ(std::string((*document)->Finish().message()),
            "x.yaml:1:1: listen: is missing; expected a group of keys; add `listen:` here\n"
            "x.yaml:1:1: store: is missing; expected a group of keys; add `store:` here");
}

struct Bad {
  const char* name;
  std::string text;
  std::string complaint;  // all of it
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadDocumentTest : public testing::TestWithParam<Bad> {};

TEST_P(BadDocumentTest, IsReportedWithPlaceKeyAndFix) {
  EXPECT_EQ(Complaint(GetParam().text), GetParam().complaint);
}

TEST(DocumentTest, AKeyThatIsOnlyAskedWhetherItIsThereIsKnownToTheAdvice) {
  const auto document = Document::Parse("queue: [simple]\n", "x.yaml");
  ASSERT_TRUE(document.ok());
  Section root = (*document)->root();
  root.OptionalString("id", "");
  EXPECT_FALSE(root.has("queues"));
  EXPECT_EQ((*document)->Finish().message(),
            "x.yaml:1:1: queue: is not a known key; expected one of id, queues; did you mean "
            "queues?");
}

INSTANTIATE_TEST_SUITE_P(
    All, BadDocumentTest,
    testing::Values(
        Bad{"UnknownKey", "a:\n  id: hq\n  colour: x\n",
            "x.yaml:3:3: a.colour: is not a known key; expected one of id; remove it"},
        Bad{"MisspeltKey", "lst: [x]\n",
            "x.yaml:1:1: lst: is not a known key; expected one of a, list; did you mean list?"},
        Bad{"DuplicateKey", "a: {id: x}\nlist: []\na: {id: y}\n",
            "x.yaml:3:1: a: is given twice; the first is on line 1; remove one of them"},
        Bad{"DuplicateKeyInFlowStyle", "a: {id: x, id: y}\n",
            "x.yaml:1:12: a.id: is given twice; the first is on line 1; remove one of them"},
        Bad{"DuplicateKeyWithQuotes", "a: {id: x, \"id\": y}\n",
            "x.yaml:1:12: a.id: is given twice; the first is on line 1; remove one of them"},
        Bad{"Anchor", "a: &x {id: y}\n",
            "x.yaml:1:4: an anchor (&name) is not allowed here; remove it"},
        Bad{"Tag", "a: {id: !!str y}\n",
            "x.yaml:1:9: a: a type tag (!name) is not allowed here; remove it"},
        Bad{"SectionThatIsAList", "a: [id]\n",
            "x.yaml:1:4: a: is a list; expected a group of keys"},
        Bad{"ListThatIsAText", "list: x\n",
            "x.yaml:1:7: list: is a single value; expected a list of texts; put it in brackets: "
            "[a, b]"},
        Bad{"EmptyValue", "a:\n  id:\n",
            "x.yaml:2:3: a.id: is empty; expected a name of at most 64 letters, digits, dots, "
            "underscores and dashes; write the value or remove the key"},
        Bad{"SecondDocument", "a: {id: x}\n---\na: {id: y}\n",
            "x.yaml:3:1: the file has a second document (---); expected one document; remove it"},
        Bad{"TopLevelList", "- a\n",
            "x.yaml:1:1: the file holds a single value or a list; expected keys and their values, "
            "such as `listen: {http: \"127.0.0.1:9101\"}`"},
        Bad{"ItemsKeysDoNotLineUp", "list:\n  - id: a\n   site: b\n",
            "x.yaml:3:4: this is not valid YAML: a list item's keys must line up, and this line "
            "begins in another column; check indentation, quotes and brackets here and just above"},
        Bad{"GroupsKeysDoNotLineUp", "a:\n  id: x\n colour: y\n",
            "x.yaml:3:2: this is not valid YAML: the keys of a group must line up, and this line "
            "begins in another column; check indentation, quotes and brackets here and just above"},
        Bad{"IndentedTooDeep", "a:\n  id: x\n   list: y\n",
            "x.yaml:3:8: this is not valid YAML: there cannot be a second \":\" here: this line is "
            "indented too deep or with a tab, or the value needs quotes; check indentation, quotes "
            "and brackets here and just above"},
        Bad{"NotUtf8", "a: {id: \"\xFF\"}\n", "x.yaml: the file is not UTF-8; save it as UTF-8"},
        Bad{"SeveralAtOnce", "a: {id: \"a b\"}\nlist: x\nz: 1\n",
            "x.yaml:1:9: a.id: \"a b\" is not allowed as a name; expected a name of at most 64 "
            "letters, digits, dots, underscores and dashes\n"
            "x.yaml:2:7: list: is a single value; expected a list of texts; put it in brackets: "
            "[a, b]\n"
            "x.yaml:3:1: z: is not a known key; expected one of a, list; remove it"}),
    [](const auto& test) { return test.param.name; });

TEST(DocumentTest, BrokenSyntaxIsLocated) {
  EXPECT_THAT(Complaint("a: {id: x\nlist: [\n"), testing::StartsWith("x.yaml:"));
  EXPECT_THAT(Complaint("a:\n\tid: x\n"), HasSubstr("this is not valid YAML"));
  EXPECT_THAT(Complaint("a: }\n"), HasSubstr("check indentation, quotes and brackets"));
}

TEST(DocumentTest, AnAliasIsRefusedSoThatASmallFileCannotStandForAHugeOne) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const char before = static_cast<char>(c - 1);
    absl::StrAppend(&bomb, std::string(1, c), ": &", std::string(1, c), " [");
    for (int i = 0; i < 9; ++i) absl::StrAppend(&bomb, i > 0 ? ",*" : "*", std::string(1, before));
    absl::StrAppend(&bomb, "]\n");
  }
  EXPECT_THAT(Complaint(bomb), HasSubstr("an alias (*name) is not allowed here"));
}

TEST(DocumentTest, DepthIsLimited) {
  const auto nested = [](std::size_t depth) {
    return absl::StrCat("list: ", std::string(depth, '['), std::string(depth, ']'), "\n");
  };
  EXPECT_THAT(Complaint(nested(kMaxDepth + 1)), HasSubstr("nested deeper than 16 levels"));
  EXPECT_FALSE(Complaint(nested(1000)).empty());
  EXPECT_FALSE(Complaint(nested(100000)).empty());
}

TEST(DocumentTest, ManyMistakesAreCountedNotAllShown) {
  std::string text;
  for (int i = 0; i < 200; ++i) absl::StrAppend(&text, "key", i, ": 1\n");
  const std::string complaint = Complaint(text);
  EXPECT_EQ(std::count(complaint.begin(), complaint.end(), '\n'),
            static_cast<long>(Diagnostics::kMaxProblems));
  EXPECT_THAT(complaint, HasSubstr("x.yaml: 150 more problems are not shown"));
}

TEST(DocumentTest, AHostileKeyCannotStartALineOfItsOwn) {
  EXPECT_THAT(Complaint("\"a\\nx.yaml:1:1: fine\": 1\n"), HasSubstr("a\\x0Ax.yaml"));
}

TEST(DocumentTest, AFileIsLoadedWithItsFolderForRelativePaths) {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/c.yaml";
  ASSERT_THAT(io::WriteFileDurably(path, "state: data\nother: /abs\n"), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto document, Document::Load(path));
  Section root = document->root();
  EXPECT_EQ(root.RequiredPath("state"), folder.path() + "/data");
  EXPECT_EQ(root.RequiredPath("other"), "/abs");
  EXPECT_EQ(root.OptionalPath("third", "fallback"), "fallback");
  EXPECT_THAT(document->Finish(), IsOk());
}

TEST(DocumentTest, AFileThatIsTooLargeOrMissingIsRefused) {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/c.yaml";
  ASSERT_THAT(io::WriteFileDurably(path, std::string(kMaxConfigBytes + 1, '#')), IsOk());
  EXPECT_THAT(Document::Load(path).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(path)));
  EXPECT_THAT(Document::Load(path + "x").status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
}

TEST(ClosestWordTest, FindsWhatWasMeantAndNothingElse) {
  const std::vector<std::string> words = {"poll_interval", "password_file", "id"};
  EXPECT_EQ(ClosestWord("poll_intervall", words), "poll_interval");
  EXPECT_EQ(ClosestWord("pol_intervl", words), "poll_interval");
  EXPECT_EQ(ClosestWord("password", words), "");
  EXPECT_EQ(ClosestWord("x", words), "");
}

}  // namespace
}  // namespace netsentinel::config
