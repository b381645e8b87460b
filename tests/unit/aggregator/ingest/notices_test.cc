#include "aggregator/ingest/notices.h"

#include "gtest/gtest.h"

namespace netsentinel::ingest {
namespace {

TEST(NoticesTest, ARepeatedThingIsToldOnceAnIntervalWithTheNumberHeldBack) {
  Notices notices;
  const absl::Duration start = absl::Hours(5);
  EXPECT_EQ(notices.Pass("refused", "r1", start), 0U);
  EXPECT_EQ(notices.Pass("refused", "r1", start + absl::Seconds(1)), std::nullopt);
  EXPECT_EQ(notices.Pass("refused", "r1", start + absl::Seconds(59)), std::nullopt);
  EXPECT_EQ(notices.Pass("refused", "r2", start + absl::Seconds(59)), 0U);
  EXPECT_EQ(notices.Pass("superseded", "r1", start + absl::Seconds(59)), 0U);
  EXPECT_EQ(notices.Pass("refused", "r1", start + absl::Seconds(60)), 2U);
  EXPECT_EQ(notices.Pass("refused", "r1", start + absl::Seconds(120)), 0U);
}

TEST(NoticesTest, RemembersABoundedNumberOfSubjects) {
  Notices notices({.interval = absl::Minutes(1), .subjects = 2, .waiting = 1});
  EXPECT_TRUE(notices.Pass("a", "1", absl::ZeroDuration()).has_value());
  EXPECT_TRUE(notices.Pass("a", "2", absl::Seconds(30)).has_value());
  EXPECT_FALSE(notices.Pass("a", "3", absl::Seconds(59)).has_value());
  EXPECT_TRUE(notices.Pass("a", "3", absl::Seconds(61)).has_value());
  EXPECT_FALSE(notices.Pass("a", "2", absl::Seconds(62)).has_value());
}

TEST(NoticesTest, KeepsABoundedNumberOfEventsUntilTheyAreCommitted) {
  Notices notices({.interval = absl::Minutes(1), .subjects = 2, .waiting = 2});
  for (std::int64_t at = 1; at <= 3; ++at) {
    accounting::EventRecord event;
    event.at_us = at;
    notices.Add(event);
  }
  ASSERT_EQ(notices.waiting().size(), 2U);
  notices.Committed(1);
  ASSERT_EQ(notices.waiting().size(), 1U);
  EXPECT_EQ(notices.waiting()[0].at_us, 2);
}

TEST(NoticesTest, TextsAreCutBetweenCharacters) {
  EXPECT_EQ(Bounded("short"), "short");
  std::string text(kTextMax - 1, 'x');
  text += "\xC3\xBC tail";
  EXPECT_EQ(Bounded(text), std::string(kTextMax - 1, 'x'));
}

}  // namespace
}  // namespace netsentinel::ingest
