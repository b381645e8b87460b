#include "aggregator/quota/quota.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace netsentinel::quota {
namespace {

using absl::CivilDay;

Rule Monthly(int start_day) {
  Rule rule;
  rule.id = "m";
  rule.period = Period::kMonth;
  rule.start_day = start_day;
  rule.limit_bytes = 1000;
  rule.thresholds_percent = {80, 100};
  return rule;
}

TEST(QuotaTest, AMonthWithItsOwnStartDayBeginsInTheMonthBefore) {
  EXPECT_EQ(PeriodStart(Monthly(15), CivilDay(2026, 3, 14)), CivilDay(2026, 2, 15));
  EXPECT_EQ(PeriodStart(Monthly(15), CivilDay(2026, 3, 15)), CivilDay(2026, 3, 15));
  EXPECT_EQ(PeriodEnd(Monthly(15), CivilDay(2026, 12, 20)), CivilDay(2027, 1, 15));
  EXPECT_EQ(PeriodStart(Monthly(1), CivilDay(2026, 1, 1)), CivilDay(2026, 1, 1));
}

TEST(QuotaTest, AWeekBeginsOnItsOwnDay) {
  Rule rule = Monthly(1);
  rule.period = Period::kWeek;
  rule.start_day = 6;                                                          // Saturday
  EXPECT_EQ(PeriodStart(rule, CivilDay(2026, 1, 2)), CivilDay(2025, 12, 27));  // a Friday
  EXPECT_EQ(PeriodStart(rule, CivilDay(2026, 1, 3)), CivilDay(2026, 1, 3));
  EXPECT_EQ(PeriodEnd(rule, CivilDay(2026, 1, 2)), CivilDay(2026, 1, 3));
}

TEST(QuotaTest, AThresholdIsReachedNotPassedAndFiresOnce) {
  const Rule rule = Monthly(1);
  const Limit limit{1000, false};
  EXPECT_TRUE(Crossed(rule, limit, {0, 799}, {}).empty());
  EXPECT_EQ(Crossed(rule, limit, {0, 800}, {}), (std::vector<std::uint32_t>{80}));
  EXPECT_EQ(Crossed(rule, limit, {0, 1000}, {}), (std::vector<std::uint32_t>{80, 100}));
  EXPECT_EQ(Crossed(rule, limit, {0, 1000}, {80}), (std::vector<std::uint32_t>{100}));
  EXPECT_TRUE(Crossed(rule, {1000, true}, {0, 5000}, {}).empty());
  EXPECT_EQ(NextThresholdBytes(rule, limit, {80}), 1000U);
  EXPECT_EQ(NextThresholdBytes(rule, limit, {80, 100}), kNever);
}

TEST(QuotaTest, ThresholdsRoundUpAndStayWithinTheStoredRange) {
  EXPECT_EQ(ThresholdBytes(3, 50), 2U);
  EXPECT_EQ(ThresholdBytes(base::kMaxStoredBytes, 100), base::kMaxStoredBytes);
  EXPECT_EQ(ThresholdBytes(base::kMaxStoredBytes, 1000), base::kMaxStoredBytes);
}

TEST(QuotaTest, BreachKeysOfDifferentBreachesDiffer) {
  const CivilDay day(2026, 1, 1);
  EXPECT_NE(BreachKeyBytes({"ab", "c", "n", "q", day, 100}),
            BreachKeyBytes({"a", "bc", "n", "q", day, 100}));
  EXPECT_NE(BreachKeyBytes({"a", "b", "n", "q", day, 100}),
            BreachKeyBytes({"a", "b", "n", "q", day, 80}));
  EXPECT_EQ(BreachKeyBytes({"a", "b", "n", "q", day, 100}),
            BreachKeyBytes({"a", "b", "n", "q", day, 100}));
}

TEST(QuotaTest, ARuleThatCannotBeKeptIsRefusedInWords) {
  Rule rule = Monthly(29);
  EXPECT_THAT(Validate(rule),
              test::StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("1 to 28")));
  rule = Monthly(1);
  rule.limit_bytes = 0;
  EXPECT_THAT(
      Validate(rule),
      test::StatusIs(absl::StatusCode::kInvalidArgument,
                     ::testing::HasSubstr("write a size such as 10GiB, or limit: unlimited")));
  rule = Monthly(1);
  rule.thresholds_percent = {100, 80};
  EXPECT_THAT(Validate(rule),
              test::StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("ascend")));
  EXPECT_THAT(Validate(Monthly(1)), test::IsOk());
}

}  // namespace
}  // namespace netsentinel::quota
