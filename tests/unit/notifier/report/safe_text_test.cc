#include "notifier/report/safe_text.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/display_name.h"
#include "common/base/random.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::report {
namespace {

struct CsvCase {
  std::string text;
  std::string cell;
};

TEST(CsvCellTest, QuotesAndNeutralisesByTheTable) {
  const std::vector<CsvCase> cases = {
      {"plain", "plain"},
      {"", ""},
      {"a,b", "\"a,b\""},
      {"say \"hi\"", "\"say \"\"hi\"\"\""},
      {"two\r\nlines", "\"two\r\nlines\""},
      {"=1+1", "'=1+1"},
      {"+49", "'+49"},
      {"-1", "'-1"},
      {"@SUM(A1)", "'@SUM(A1)"},
      {"\tx", "'\tx"},
      {"\rx", "\"'\rx\""},
      {"'quoted", "''quoted"},
      {"=A,B", "\"'=A,B\""},
      {"a=b", "a=b"},
  };
  for (const CsvCase& one : cases) EXPECT_EQ(CsvCell(one.text), one.cell) << one.text;
}

// What a reader of RFC 4180 sees in a single cell.
std::string ReadCell(const std::string& cell) {
  if (cell.empty() || cell.front() != '"') return cell;
  std::string out;
  for (std::size_t i = 1; i + 1 < cell.size(); ++i) {
    out += cell[i];
    if (cell[i] == '"') ++i;
  }
  return out;
}

TEST(CsvCellTest, RemovingOneApostropheGivesAnyTextBack) {
  base::SeededRandom random(7);
  const std::string alphabet = "=+-@\t\r\n',\"ab\\";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint64_t left = random.Next() % 6; left > 0; --left) {
      text += alphabet[random.Next() % alphabet.size()];
    }
    std::string read = ReadCell(CsvCell(text));
    EXPECT_TRUE(read.empty() || std::string("=+-@\t\r").find(read.front()) == std::string::npos);
    if (!read.empty() && read.front() == '\'') read.erase(0, 1);
    ASSERT_EQ(read, text);
  }
}

TEST(LabelTest, ShowsBidirectionalControlsAsBytesAndStaysReversible) {
  const std::string raw = "a\u202Eb\u2066c\xFF\\d\u2028\uFEFF";
  const std::string label = Label(raw);
  EXPECT_EQ(label,
            "a\\xE2\\x80\\xAE"
            "b\\xE2\\x81\\xA6"
            "c\\xFF\\\\d\\xE2\\x80\\xA8\\xEF\\xBB\\xBF");
  ASSERT_OK_AND_ASSIGN(const std::string back, base::RawName(label));
  EXPECT_EQ(back, raw);
}

TEST(LabelTest, IsReversibleAndValidUtf8ForAnyBytes) {
  base::SeededRandom random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string raw;
    for (std::uint64_t left = random.Next() % 12; left > 0; --left) {
      raw += static_cast<char>(random.Next() % 3 == 0 ? 0x80 + random.Next() % 128
                                                      : random.Next() % 256);
    }
    const std::string label = Label(raw);
    ASSERT_TRUE(base::IsValidUtf8(label));
    ASSERT_OK_AND_ASSIGN(const std::string back, base::RawName(label));
    ASSERT_EQ(back, raw);
    const std::string shorter = Shorten(label, 16);
    ASSERT_LE(shorter.size(), 16U);
    ASSERT_TRUE(base::IsValidUtf8(shorter));
  }
}

TEST(ShortenTest, CutsBetweenCharactersAndEscapes) {
  EXPECT_EQ(Shorten("short", 8), "short");
  EXPECT_EQ(Shorten("abcdefghi", 8), "abcde…");
  EXPECT_EQ(Shorten("abcdääää", 9), "abcdä…");
  EXPECT_EQ(Shorten("abc\\xFF\\xFE", 9), "abc…");
}

TEST(IsolateTest, WrapsOnlyWhatIsNotAscii) {
  EXPECT_EQ(Isolate("ali"), "ali");
  EXPECT_EQ(Isolate("علی"), "\u2068علی\u2069");
}

TEST(GroupDigitsTest, PutsACommaBeforeEveryThird) {
  EXPECT_EQ(GroupDigits(0), "0");
  EXPECT_EQ(GroupDigits(999), "999");
  EXPECT_EQ(GroupDigits(1000), "1,000");
  EXPECT_EQ(GroupDigits(1234567), "1,234,567");
}

}  // namespace
}  // namespace netsentinel::report
