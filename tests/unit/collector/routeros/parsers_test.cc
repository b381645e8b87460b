#include "collector/routeros/parsers.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::routeros {
namespace {

using ::testing::Eq;
using ::testing::Optional;

TEST(ParseAttributeTest, SplitsAtTheFirstEqualsSignOnly) {
  const std::optional<Attribute> attribute = ParseAttribute("=comment=a=b==c");
  ASSERT_TRUE(attribute.has_value());
  EXPECT_EQ(attribute->key, "comment");
  EXPECT_EQ(attribute->value, "a=b==c");
}

TEST(ParseAttributeTest, TellsAnEmptyValueFromNone) {
  const std::vector<absl::string_view> row = {"=comment=", "=bare"};
  EXPECT_THAT(FindAttribute(row, "comment"), Optional(Eq("")));
  EXPECT_THAT(FindAttribute(row, "bare"), Optional(Eq("")));
  EXPECT_EQ(FindAttribute(row, "name"), std::nullopt);
}

TEST(ParseAttributeTest, IgnoresWordsOfOtherKinds) {
  for (const char* word : {"", "=", "==value", ".tag=7", "!re", "name=x"}) {
    EXPECT_FALSE(ParseAttribute(word).has_value()) << word;
  }
}

TEST(ParseAttributeTest, KeepsEveryByteOfAValue) {
  const std::string word("=name=<\xE9\x00\r\n >", 14);
  EXPECT_EQ(ParseAttribute(word)->value, absl::string_view(word).substr(6));
}

TEST(ParseAttributeTest, GivesTheFirstOfEqualKeys) {
  const std::vector<absl::string_view> row = {"=a=1", "=a=2"};
  EXPECT_THAT(FindAttribute(row, "a"), Optional(Eq("1")));
}

template <typename Value>
struct TextCase {
  const char* text;
  std::optional<Value> value;
};

class ParseUint64Test : public testing::TestWithParam<TextCase<std::uint64_t>> {};
TEST_P(ParseUint64Test, TakesDecimalDigitsOnly) {
  EXPECT_EQ(ParseUint64(GetParam().text), GetParam().value);
}
INSTANTIATE_TEST_SUITE_P(
    Table, ParseUint64Test,
    testing::Values(
        TextCase<std::uint64_t>{"0", 0}, TextCase<std::uint64_t>{"007", 7},
        TextCase<std::uint64_t>{"12000000000", 12000000000},
        TextCase<std::uint64_t>{"18446744073709551615", 18446744073709551615ULL},
        TextCase<std::uint64_t>{"18446744073709551616", std::nullopt},
        TextCase<std::uint64_t>{"99999999999999999999", std::nullopt},
        TextCase<std::uint64_t>{"", std::nullopt}, TextCase<std::uint64_t>{"-1", std::nullopt},
        TextCase<std::uint64_t>{"+1", std::nullopt}, TextCase<std::uint64_t>{" 1", std::nullopt},
        TextCase<std::uint64_t>{"1 ", std::nullopt}, TextCase<std::uint64_t>{"1.5", std::nullopt},
        TextCase<std::uint64_t>{"0x10", std::nullopt},
        TextCase<std::uint64_t>{"1e3", std::nullopt}));

class ParsePairTest : public testing::TestWithParam<TextCase<NumberPair>> {};
TEST_P(ParsePairTest, TakesUploadSlashDownload) {
  EXPECT_EQ(ParsePair(GetParam().text), GetParam().value);
}
INSTANTIATE_TEST_SUITE_P(
    Table, ParsePairTest,
    testing::Values(
        TextCase<NumberPair>{"45666/172388", NumberPair{45666, 172388}},
        TextCase<NumberPair>{"0/0", NumberPair{0, 0}},
        TextCase<NumberPair>{"18446744073709551615/1", NumberPair{18446744073709551615ULL, 1}},
        TextCase<NumberPair>{"5", std::nullopt}, TextCase<NumberPair>{"", std::nullopt},
        TextCase<NumberPair>{"/", std::nullopt}, TextCase<NumberPair>{"1/", std::nullopt},
        TextCase<NumberPair>{"/1", std::nullopt}, TextCase<NumberPair>{"1/2/3", std::nullopt},
        TextCase<NumberPair>{"-1/2", std::nullopt},
        TextCase<NumberPair>{"1/18446744073709551616", std::nullopt}));

class ParseRateTest : public testing::TestWithParam<TextCase<std::uint64_t>> {};
TEST_P(ParseRateTest, TakesBitsPerSecondWithASuffix) {
  EXPECT_EQ(ParseRate(GetParam().text), GetParam().value);
}
INSTANTIATE_TEST_SUITE_P(
    Table, ParseRateTest,
    testing::Values(TextCase<std::uint64_t>{"1000000", 1000000},
                    TextCase<std::uint64_t>{"10M", 10000000}, TextCase<std::uint64_t>{"64k", 64000},
                    TextCase<std::uint64_t>{"2G", 2000000000},
                    TextCase<std::uint64_t>{"M", std::nullopt},
                    TextCase<std::uint64_t>{"", std::nullopt},
                    TextCase<std::uint64_t>{"10m", std::nullopt},
                    TextCase<std::uint64_t>{"18446744073709551615k", std::nullopt}));

class ParseDurationTest : public testing::TestWithParam<TextCase<absl::Duration>> {};
TEST_P(ParseDurationTest, TakesBothGrammars) {
  EXPECT_EQ(ParseDuration(GetParam().text), GetParam().value) << GetParam().text;
}
using D = TextCase<absl::Duration>;
INSTANTIATE_TEST_SUITE_P(
    Table, ParseDurationTest,
    testing::Values(
        D{"0s", absl::ZeroDuration()}, D{"29s", absl::Seconds(29)},
        D{"2d20h12m20s", absl::Hours(68) + absl::Minutes(12) + absl::Seconds(20)},
        D{"1w2d3h4m5s", absl::Hours(219) + absl::Minutes(4) + absl::Seconds(5)},
        D{"1653w3d1h46m43s", absl::Hours(1653 * 168 + 73) + absl::Minutes(46) + absl::Seconds(43)},
        D{"5m", absl::Minutes(5)}, D{"5ms", absl::Milliseconds(5)},
        D{"5m5ms", absl::Minutes(5) + absl::Milliseconds(5)}, D{"7us", absl::Microseconds(7)},
        D{"14ms612us", absl::Milliseconds(14) + absl::Microseconds(612)},
        D{"01:22:53", absl::Hours(1) + absl::Minutes(22) + absl::Seconds(53)},
        D{"00:00:00.250", absl::Milliseconds(250)},
        D{"3d10:11:12", absl::Hours(82) + absl::Minutes(11) + absl::Seconds(12)},
        D{"1w3d10:11:12", absl::Hours(250) + absl::Minutes(11) + absl::Seconds(12)},
        D{"100:00:00", absl::Hours(100)}, D{"", std::nullopt}, D{"s", std::nullopt},
        D{"5", std::nullopt}, D{"5x", std::nullopt}, D{"-5s", std::nullopt},
        D{"5s4m", std::nullopt}, D{"5s5s", std::nullopt}, D{"5 s", std::nullopt},
        D{"1:2", std::nullopt}, D{"1:60:00", std::nullopt}, D{"1:00:60", std::nullopt},
        D{"1h10:11:12", std::nullopt}, D{"00:00:00.1", std::nullopt}, D{"00:00:00x", std::nullopt},
        D{"18446744073709551616s", std::nullopt}, D{"9999999999w", std::nullopt}));

TEST(ParseBoolTest, TakesBothSpellings) {
  EXPECT_EQ(ParseBool("true"), true);
  EXPECT_EQ(ParseBool("yes"), true);
  EXPECT_EQ(ParseBool("false"), false);
  EXPECT_EQ(ParseBool("no"), false);
  for (const char* text : {"", "True", "1", "0", "yes ", "nope"}) {
    EXPECT_EQ(ParseBool(text), std::nullopt) << text;
  }
}

class ParseRowIdTest : public testing::TestWithParam<TextCase<std::uint64_t>> {};
TEST_P(ParseRowIdTest, TakesAStarAndHex) {
  EXPECT_EQ(ParseRowId(GetParam().text), GetParam().value);
}
INSTANTIATE_TEST_SUITE_P(
    Table, ParseRowIdTest,
    testing::Values(
        TextCase<std::uint64_t>{"*1A", 26}, TextCase<std::uint64_t>{"*1a", 26},
        TextCase<std::uint64_t>{"*0", 0}, TextCase<std::uint64_t>{"*1000003", 0x1000003},
        TextCase<std::uint64_t>{"*80020DCC", 0x80020DCC},
        TextCase<std::uint64_t>{"*FFFFFFFFFFFFFFFF", 0xFFFFFFFFFFFFFFFFULL},
        TextCase<std::uint64_t>{"*10000000000000000", std::nullopt},
        TextCase<std::uint64_t>{"1A", std::nullopt}, TextCase<std::uint64_t>{"*", std::nullopt},
        TextCase<std::uint64_t>{"", std::nullopt}, TextCase<std::uint64_t>{"*1G", std::nullopt},
        TextCase<std::uint64_t>{"*-1", std::nullopt}));

}  // namespace
}  // namespace netsentinel::routeros
