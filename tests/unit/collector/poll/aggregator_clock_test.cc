#include "collector/poll/aggregator_clock.h"

#include <algorithm>
#include <cstdint>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "tests/support/fake_clock.h"

namespace netsentinel::poll {
namespace {

TEST(AggregatorClockTest, BeforeTheFirstMessageTheOwnWallClockCounts) {
  test::FakeClock clock;
  const AggregatorClock aggregator(clock);
  EXPECT_EQ(aggregator.Now().time, clock.WallNow());
  EXPECT_EQ(aggregator.Now().clock, counters::AttributionClock::kCollector);
  EXPECT_EQ(aggregator.At(clock.BootNow() - absl::Seconds(2)).time,
            clock.WallNow() - absl::Seconds(2));
}

TEST(AggregatorClockTest, AStepOfTheOwnWallClockChangesNothingOnceTheOffsetIsKnown) {
  test::FakeClock clock;
  AggregatorClock aggregator(clock);
  aggregator.Add(clock.BootNow(), clock.BootNow(), 5'000'000'000'000);
  clock.StepWall(absl::Hours(-3));
  clock.Advance(absl::Seconds(10));
  EXPECT_EQ(absl::ToUnixMicros(aggregator.Now().time), 5'000'010'000'000);
  EXPECT_EQ(aggregator.Now().clock, counters::AttributionClock::kAggregator);
}

TEST(OffsetFilterTest, TheQuickestAnswerDecides) {
  OffsetFilter filter;
  filter.Add(0, 100'000, 1'000'000'050'000);
  filter.Add(200'000, 201'000, 1'000'000'200'200);
  EXPECT_EQ(filter.offset_us(), 1'000'000'000'000 - 300);
  filter.Add(300'000, 700'000, 1'000'000'690'000);
  EXPECT_EQ(filter.offset_us(), 1'000'000'000'000 - 300);
  EXPECT_EQ(filter.uncertainty_us(), 500);
}

TEST(OffsetFilterTest, AStepOfTheAggregatorsClockIsFollowedAtOnce) {
  OffsetFilter filter;
  filter.Add(0, 1000, 1'000'000);
  filter.Add(10'000, 60'000, 500'000'000);
  EXPECT_NEAR(static_cast<double>(*filter.offset_us()), 500'000'000 - 35'000, 25'000);
}

TEST(OffsetFilterTest, AnswersFromThePastAreIgnored) {
  OffsetFilter filter;
  filter.Add(1000, 0, 7);
  EXPECT_FALSE(filter.offset_us().has_value());
}

TEST(OffsetFilterTest, StaysWithinTheUncertaintyWhateverTheDelays) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    base::SeededRandom random(seed);
    OffsetFilter filter;
    constexpr std::int64_t kOffset = 1'700'000'000'000'000;
    std::int64_t boot = 1'000'000;
    for (int i = 0; i < 200; ++i) {
      boot += static_cast<std::int64_t>(random.Next() % 30'000'000);
      const auto out = static_cast<std::int64_t>(random.Next() % 200'000);
      const auto back = static_cast<std::int64_t>(random.Next() % 200'000);
      filter.Add(boot, boot + out + back, boot + out + kOffset);
      EXPECT_LE(std::abs(*filter.offset_us() - kOffset), filter.uncertainty_us() + 1);
    }
  }
}

}  // namespace
}  // namespace netsentinel::poll
