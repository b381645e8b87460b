#include "collector/poll/attribution.h"

#include <optional>

#include "gtest/gtest.h"

#include "tests/unit/collector/poll/second.h"

namespace netsentinel::poll {
namespace {

constexpr std::int64_t kMidnight = 1'000'000 * kSecond;

TEST(AttributionTest, AnOrdinaryReadingCountsForTheMiddleOfItsRequest) {
  EXPECT_EQ(Attribute({.begin_us = 100, .end_us = 200, .boundary_us = std::nullopt}, 0),
            (Attribution{.attribution_us = 150}));
}

TEST(AttributionTest, AReadingAtABoundaryCountsForTheBoundaryAndKeepsItsSkew) {
  EXPECT_EQ(
      Attribute(
          {.begin_us = kMidnight + 3000, .end_us = kMidnight + 250'000, .boundary_us = kMidnight},
          kMidnight - kSecond),
      (Attribution{.attribution_us = kMidnight, .at_boundary = true, .boundary_skew_ms = 250}));
}

TEST(AttributionTest, ABoundaryReadingThatTookASecondIsTheLastThatCountsForIt) {
  EXPECT_TRUE(Attribute({kMidnight, kMidnight + kSecond, kMidnight}, 0).at_boundary);
  const Attribution late = Attribute({kMidnight, kMidnight + kSecond + 2, kMidnight}, 0);
  EXPECT_FALSE(late.at_boundary);
  EXPECT_EQ(late.attribution_us, kMidnight + (kSecond + 2) / 2);
}

TEST(AttributionTest, ALateBoundaryReadingCountsForItsOwnTimeSoThatItsStepIsDivided) {
  // Asked for at once and complete 4.9 s later; asked for late.
  EXPECT_EQ(Attribute({kMidnight, kMidnight + 4'900'000, kMidnight}, kMidnight - kSecond),
            (Attribution{.attribution_us = kMidnight + 2'450'000}));
  EXPECT_EQ(Attribute({kMidnight + 4 * kSecond, kMidnight + 5 * kSecond, kMidnight}, 0),
            (Attribution{.attribution_us = kMidnight + 4'500'000}));
}

TEST(AttributionTest, AReadingThatBeganBeforeItsBoundaryDoesNotStandForIt) {
  EXPECT_FALSE(Attribute({kMidnight - 1, kMidnight + 10, kMidnight}, 0).at_boundary);
}

TEST(AttributionTest, TimeNeverRunsBackwards) {
  EXPECT_EQ(Attribute({100, 200, std::nullopt}, 180).attribution_us, 180);
  const Attribution passed = Attribute({kMidnight, kMidnight + 10, kMidnight}, kMidnight + 2);
  EXPECT_FALSE(passed.at_boundary);
  EXPECT_GE(passed.attribution_us, kMidnight + 2);
}

TEST(AttributionTest, TheSecondMenuOfABoundaryPollCountsForItToo) {
  EXPECT_TRUE(Attribute({kMidnight + 10, kMidnight + 20, kMidnight}, kMidnight).at_boundary);
}

TEST(AttributionTest, AFloorFromAWrongClockDoesNotHoldLaterReadingsInTheFuture) {
  EXPECT_EQ(Attribute({100, 200, std::nullopt}, 3600 * kSecond).attribution_us, 150);
}

}  // namespace
}  // namespace netsentinel::poll
