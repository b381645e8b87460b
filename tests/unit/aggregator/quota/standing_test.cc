#include "aggregator/quota/standing.h"

#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/bytes.h"

namespace netsentinel::quota {
namespace {

using absl::CivilDay;

Rule Daily(std::vector<std::uint32_t> thresholds) {
  Rule rule;
  rule.id = "daily";
  rule.limit_bytes = 50'000'000;
  rule.thresholds_percent = std::move(thresholds);
  return rule;
}

Standing Of(const Rule& rule, std::uint64_t sure, std::uint64_t counted) {
  return *StandingOf(rule, {rule.limit_bytes, false}, {.sure = {7, sure}, .counted = {7, counted}},
                     CivilDay(2026, 11, 30));
}

struct Case {
  const char* name;
  std::vector<std::uint32_t> thresholds;
  std::uint64_t sure;
  State state;
  std::uint32_t percent;
};

class StandingTable : public ::testing::TestWithParam<Case> {};

TEST_P(StandingTable, SaysWhereASubscriberIs) {
  const Standing standing = Of(Daily(GetParam().thresholds), GetParam().sure, GetParam().sure);
  EXPECT_EQ(standing.state, GetParam().state);
  EXPECT_EQ(standing.percent, GetParam().percent);
  EXPECT_EQ(standing.used_bytes, GetParam().sure);
  EXPECT_EQ(standing.state == State::kOver, standing.percent >= 100);
  EXPECT_EQ(standing.state == State::kOver, standing.remaining_bytes == 0);
}

INSTANTIATE_TEST_SUITE_P(
    Limits, StandingTable,
    ::testing::Values(Case{"NothingUsed", {100}, 0, State::kWithin, 0},
                      Case{"UnderTheFirst", {80, 100}, 39'999'999, State::kWithin, 79},
                      Case{"AtTheFirst", {80, 100}, 40'000'000, State::kNear, 80},
                      Case{"BelowTheLimit", {80, 100}, 49'999'999, State::kNear, 99},
                      Case{"AtTheLimit", {80, 100}, 50'000'000, State::kOver, 100},
                      Case{"OnlyHundred", {100}, 49'999'999, State::kWithin, 99},
                      Case{"TheFirstBelowHundredCounts", {50, 80}, 25'000'000, State::kNear, 50},
                      Case{"TwoFiftyIsNoEarlierLimit", {120}, 49'999'999, State::kWithin, 99},
                      Case{"OverThoughTheAlertComesLater", {120}, 50'000'000, State::kOver, 100},
                      Case{"FarOver", {80, 120}, 500'000'000, State::kOver, 1000}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(StandingTest, WhatIsCertainDecidesAndWhatIsCountedStandsBeside) {
  const Standing standing = Of(Daily({80, 100}), 39'000'000, 51'000'000);
  EXPECT_EQ(standing.state, State::kWithin);
  EXPECT_EQ(standing.percent, 78U);
  EXPECT_EQ(standing.remaining_bytes, 11'000'000U);
  EXPECT_EQ(standing.counted_state, State::kOver);
  EXPECT_EQ(standing.counted_percent, 102U);
  EXPECT_EQ(standing.counted_bytes, 51'000'000U);
}

TEST(StandingTest, WhoHadAnAlertIsNeverCalledBetterThanThat) {
  // Every size around every threshold of limits that do not divide by a hundred.
  for (const std::uint64_t limit : {1ULL, 3ULL, 99ULL, 1'009ULL, 10'000'007ULL}) {
    for (const std::uint32_t percent : {1U, 33U, 80U, 99U, 100U}) {
      Rule rule = Daily({percent});
      rule.limit_bytes = limit;
      const std::uint64_t at = ThresholdBytes(limit, percent);
      for (std::uint64_t used = at > 2 ? at - 2 : 0; used <= at + 2; ++used) {
        const bool crossed = !Crossed(rule, {limit, false}, {0, used}, {}).empty();
        const Standing standing = Of(rule, used, used);
        EXPECT_EQ(crossed, standing.percent >= percent) << limit << " " << percent << " " << used;
        EXPECT_EQ(crossed, standing.state >= (percent < 100 ? State::kNear : State::kOver))
            << limit << " " << percent << " " << used;
      }
    }
  }
}

TEST(StandingTest, TheBasisAndThePeriodAreTheRules) {
  Rule rule = Daily({100});
  rule.basis = Basis::kTotal;
  rule.period = Period::kMonth;
  rule.start_day = 15;
  const Standing standing = *StandingOf(
      rule, {1000, false}, {.sure = {300, 400}, .counted = {300, 500}}, CivilDay(2026, 3, 14));
  EXPECT_EQ(standing.used_bytes, 700U);
  EXPECT_EQ(standing.counted_bytes, 800U);
  EXPECT_EQ(standing.begin, CivilDay(2026, 2, 15));
  EXPECT_EQ(standing.end, CivilDay(2026, 3, 14));
  EXPECT_EQ(standing.quota_id, "daily");
  EXPECT_EQ(standing.limit_bytes, 1000U);
}

TEST(StandingTest, WithoutALimitThereIsNoStandingAndNoBytesAreOverFromTheBeginning) {
  EXPECT_FALSE(StandingOf(Daily({100}), {0, true}, {}, CivilDay(2026, 1, 1)).has_value());
  const Standing none = *StandingOf(Daily({80}), {0, false}, {}, CivilDay(2026, 1, 1));
  EXPECT_EQ(none.state, State::kOver);
  EXPECT_EQ(none.percent, 100U);
}

TEST(StandingTest, ThePercentOfTheLargestFiguresIsHeld) {
  Rule rule = Daily({100});
  rule.limit_bytes = 1;
  EXPECT_EQ(Of(rule, base::kMaxStoredBytes, base::kMaxStoredBytes).percent, kMostPercent);
  rule.limit_bytes = base::kMaxStoredBytes;
  EXPECT_EQ(Of(rule, base::kMaxStoredBytes - 1, 0).percent, 99U);
  EXPECT_EQ(Of(rule, base::kMaxStoredBytes, 0).state, State::kOver);
}

TEST(StandingTest, TheForemostIsTheWorstThenTheFullestThenTheFirst) {
  EXPECT_EQ(Foremost({}), nullptr);
  Standing day = Of(Daily({80}), 45'000'000, 45'000'000);
  Standing month = day;
  month.quota_id = "month";
  EXPECT_EQ(Foremost({day, month})->quota_id, "daily");
  month.percent = 91;
  EXPECT_EQ(Foremost({day, month})->quota_id, "month");
  day.state = State::kOver;
  EXPECT_EQ(Foremost({month, day})->quota_id, "daily");
}

}  // namespace
}  // namespace netsentinel::quota
