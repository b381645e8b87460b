#include <gtest/gtest.h>

#include "aggregator/accounting/usage_sum.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

// Queues and their parents that replies lack for a while, that change places in the middle of a
// dispute, and that show nothing.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

constexpr std::uint64_t k8Mbps = 8'000'000;
constexpr std::uint64_t kGigabyte = 1'000'000'000;

class LivesTest : public ::testing::Test {
 protected:
  void SetUp() override { d.Start(); }
  void Poll(std::int64_t second, const std::vector<Row>& rows) {
    d.Poll(rows, second, static_cast<std::uint64_t>(50'000 + second));
  }
  UsageSum Of(const std::string& name, int day = 0) const { return d.UsageOf(name, day); }
  void ExpectHolds(const std::string& name, std::uint64_t truth, int day = 0) const {
    d.ExpectHolds(name, truth, day);
  }
  static Row Parent(std::uint64_t download) {
    return {1, "site", 0, download, download / 700, "", false, 10 * k8Mbps};
  }
  static Row Child(std::uint64_t download, const std::string& parent = "site") {
    return {2, "child", 0, download, download / 700, parent, false, k8Mbps};
  }
  BookDriver d;
};

TEST_F(LivesTest, WhatChildrenMoveWhileTheirParentIsMissingIsNotItsOwn) {
  Poll(100, {Parent(kGigabyte), Child(kGigabyte)});
  Poll(130, {Child(kGigabyte + 1'000'000)});
  Poll(160, {Child(kGigabyte + 2'000'000)});
  Poll(190, {Parent(kGigabyte + 3'500'000), Child(kGigabyte + 3'000'000)});
  ExpectHolds("site", 500'000);
  EXPECT_EQ(Of("site").counted.download, 500'000U);
  EXPECT_EQ(Of("child").sure.download, 3'000'000U);
}

TEST_F(LivesTest, ThatIsRememberedOverARestartOfTheAggregator) {
  Poll(100, {Parent(kGigabyte), Child(kGigabyte)});
  Poll(130, {Child(kGigabyte + 1'000'000)});
  d.Flush(140);
  d.stored.journal.clear();
  d.Restart(150);
  Poll(160, {Parent(kGigabyte + 2'500'000), Child(kGigabyte + 2'000'000)});
  EXPECT_EQ(Of("site").counted.download, 500'000U);
}

TEST_F(LivesTest, WhatAMissingChildMayMoveIsNotItsParentsForSure) {
  Poll(100, {Parent(kGigabyte), Child(kGigabyte)});
  Poll(130, {Parent(kGigabyte + 1'000'000)});
  Poll(160, {Parent(kGigabyte + 2'000'000)});
  EXPECT_EQ(Of("site").sure.download, 0U);
  Poll(190, {Parent(kGigabyte + 3'000'000), Child(kGigabyte + 3'000'000)});
  // All of it was the child's.
  ExpectHolds("site", 0);
  EXPECT_EQ(Of("child").counted.download, 3'000'000U);
}

TEST_F(LivesTest, AChildThatHasBeenGoneForAnHourMovesNothing) {
  Poll(100, {Parent(kGigabyte), Child(kGigabyte)});
  Poll(130, {Parent(kGigabyte)});
  for (std::int64_t t = 400; t <= 4000; t += 300) Poll(t, {Parent(kGigabyte)});
  const std::uint64_t before = Of("site").sure.download;
  Poll(4030, {Parent(kGigabyte + 700'000)});
  EXPECT_EQ(Of("site").sure.download - before, 700'000U);
}

TEST_F(LivesTest, AChildThatMovesInTheMiddleOfADisputeIsDoubtOfBothParents) {
  const Row other{3, "tower", 0, kGigabyte, kGigabyte / 700, "", false, 10 * k8Mbps};
  Poll(100, {Parent(kGigabyte), other, Child(kGigabyte)});
  // Nothing of it is read, and it moves to the other parent.
  Poll(130, {Parent(kGigabyte + 1'000'000), other, {2, "child", 0, 0, 0, "tower", false, k8Mbps}});
  Row more = other;
  more.download += 900'000;
  Poll(160, {Parent(kGigabyte + 1'000'000), more, Child(kGigabyte + 1'900'000, "tower")});
  ExpectHolds("site", 0);
  ExpectHolds("tower", 0);
  EXPECT_EQ(Of("child").counted.download, 1'900'000U);
}

TEST_F(LivesTest, ADayThatEndsWhileAQueueIsMissingHoldsWhatItMovedOnIt) {
  const std::int64_t midnight = 86'400;
  Poll(midnight - 90, {Child(kGigabyte, "")});
  Poll(midnight - 60, {});
  d.PollBoundary({}, midnight, 50'000 + midnight);
  Poll(midnight + 30, {Child(kGigabyte + 12'000'000, "")});
  // 9 MB before midnight, 3 MB after it.
  ExpectHolds("child", 9'000'000, 0);
  ExpectHolds("child", 3'000'000, 1);
  EXPECT_EQ(Of("child", 0).counted.download, 9'000'000U);
}

TEST_F(LivesTest, NothingAfterNothingConfirmsNoReadingUntilItHasLasted) {
  Poll(100, {Child(kGigabyte, "")});
  d.session = 2;
  d.fingerprint = 7;
  // Another course of the device, in which the counter shows nothing.
  d.Poll({Child(0, "")}, 130, 60'000);
  const std::uint64_t before = Of("child").unseen.download;
  d.Poll({Child(0, "")}, 160, 60'030);
  EXPECT_GT(Of("child").unseen.download, before);
  std::int64_t second = 190;
  for (int i = 0; i < 8; ++i, second += 30) {
    d.Poll({Child(0, "")}, second, static_cast<std::uint64_t>(59'870 + second));
  }
  const std::uint64_t lasted = Of("child").unseen.download;
  d.Poll({Child(0, "")}, second, static_cast<std::uint64_t>(59'870 + second));
  EXPECT_EQ(Of("child").unseen.download, lasted);
}

TEST_F(LivesTest, TwoResetsWithinADayAreAHabitForADay) {
  std::uint64_t counter = 40'000'000;
  std::int64_t second = 100;
  const auto poll = [&](std::uint64_t bytes) {
    counter += bytes;
    Poll(second, {Child(counter, "")});
    second += 300;
  };
  const auto reset = [&] {
    poll(20'000'000);
    counter = 0;
    poll(9'000'000);
    poll(20'000'000);
  };
  reset();
  EXPECT_EQ(Of("child").sure.download, 29'000'000U);
  second += 5 * 3600;
  poll(0);
  reset();
  int habits = 0;
  for (const EventRecord& e : d.events) habits += e.kind == "foreign_resets" ? 1 : 0;
  EXPECT_EQ(habits, 1);
  // It went on, or was reset at once.
  const std::uint64_t before = Of("child").sure.download;
  counter = 60'000'000;
  poll(0);
  const UsageSum sum = Of("child");
  EXPECT_LT(sum.sure.download - before, 31'000'001U);
  EXPECT_GT(sum.unseen.download, 0U);
}

}  // namespace
}  // namespace netsentinel::accounting
