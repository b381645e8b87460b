#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/aggregator/accounting/book_driver.h"

// Routers that are configured at another site, whose days begin at other instants.
namespace netsentinel::accounting {
namespace {

const absl::CivilDay kFirst(2026, 1, 1);

// Router r1 in Lahore, where a day ends at 19:00 UTC; in Lima, where it is taken, at 05:00.
class MovedRouterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    d.policy.sites = {{lahore_, Zone("Asia/Karachi"), absl::ZeroDuration(), {}},
                      {lima_, Zone("America/Lima"), absl::ZeroDuration(), {}}};
    d.policy.routers[0].site = lahore_;
    d.Start();
    Poll(0, 100);
    Poll(50, 18 * kHour);
    d.PollBoundary({{1, "alice", 0, 70, 70}}, 19 * kHour, 50'000 + 19 * kHour);
    Poll(90, 19 * kHour + 60);
    d.Flush(19 * kHour + 70);
    ASSERT_EQ(ClosedDays(), std::vector<absl::CivilDay>{kFirst});
  }
  void Poll(std::uint64_t download, std::int64_t second) {
    d.Poll({{1, "alice", 0, download, download}}, second,
           static_cast<std::uint64_t>(50'000 + second));
  }
  void Move(std::int64_t second) {
    d.policy.routers[0].site = lima_;
    d.SetPolicy(second);
  }
  UsageRow RowAt(const base::SiteId& site, absl::CivilDay day) const {
    const std::vector<UsageRow> rows = d.book.Usage(site, day, day);
    EXPECT_LE(rows.size(), 1U);
    return rows.empty() ? UsageRow{} : rows[0];
  }
  std::vector<absl::CivilDay> ClosedDays() const {
    std::vector<absl::CivilDay> days;
    days.reserve(d.stored.closed_days.size());
    for (const ClosedDay& closed : d.stored.closed_days) days.push_back(closed.day);
    return days;
  }
  std::vector<std::string> Kinds() {
    std::vector<std::string> kinds;
    for (const EventRecord& event : d.book.Stage({}).events) kinds.push_back(event.kind);
    return kinds;
  }

  const base::SiteId lahore_{"lahore"};
  const base::SiteId lima_{"lima"};
  BookDriver d;
};

TEST_F(MovedRouterTest, ADayThatGoesOnAtTheNewSiteIsClosedNoLonger) {
  Move(19 * kHour + 75);
  EXPECT_EQ(Kinds(), std::vector<std::string>{"day_reopened"});
  d.Flush(19 * kHour + 80, true);  // the flush fails, and is made again
  d.Flush(19 * kHour + 90);
  EXPECT_TRUE(ClosedDays().empty());
  Poll(97, 19 * kHour + 90);
  d.Flush(19 * kHour + 100);
  d.Restart(20 * kHour);
  EXPECT_EQ(RowAt(lahore_, kFirst).counted.download, 70U);
  EXPECT_EQ(RowAt(lahore_, kFirst + 1).counted.download, 20U);
  EXPECT_EQ(RowAt(lima_, kFirst).counted.download, 7U);
  // It closes when it is over in Lima, and once.
  d.PollBoundary({{1, "alice", 0, 100, 100}}, 29 * kHour, 50'000 + 29 * kHour);
  d.Flush(29 * kHour + 30);
  EXPECT_EQ(ClosedDays(), std::vector<absl::CivilDay>{kFirst});
  EXPECT_EQ(RowAt(lima_, kFirst).counted.download, 10U);
  EXPECT_EQ(RowAt(lahore_, kFirst).grade, Grade::kComplete);
}

TEST_F(MovedRouterTest, AMoveThatNoFlushHasFollowedIsMadeAgainAfterARestart) {
  Move(19 * kHour + 75);
  d.Restart(19 * kHour + 80);
  EXPECT_EQ(Kinds(), std::vector<std::string>{"day_reopened"});
  d.Flush(19 * kHour + 90);
  EXPECT_TRUE(ClosedDays().empty());
  d.Restart(19 * kHour + 100);
  EXPECT_TRUE(Kinds().empty());
}

TEST_F(MovedRouterTest, NoRowOfTheOldSiteChangesWhenItsDayClosesByAgeAtTheNewOne) {
  Move(19 * kHour + 75);
  Poll(97, 19 * kHour + 90);
  d.Flush(19 * kHour + 100);
  const std::map<std::string, UsageRow> before = d.usage;
  d.usage.clear();
  d.Flush(40 * kDay);
  ASSERT_FALSE(ClosedDays().empty());
  ASSERT_EQ(d.usage.size(), 1U) << "Lahore's rows, whose days may be in their months, stay";
  EXPECT_EQ(d.usage.begin()->second.subscriber.site, lima_);
  EXPECT_EQ(d.usage.begin()->second.grade, Grade::kPartial);
  EXPECT_EQ(before.size(), 3U);
}

TEST_F(MovedRouterTest, WhatASilentRouterLeavesAtTheOldSiteIsPartial) {
  Move(3 * kDay);
  EXPECT_EQ(RowAt(lahore_, kFirst).grade, Grade::kComplete) << "it was closed";
  EXPECT_EQ(RowAt(lahore_, kFirst + 1).grade, Grade::kPartial);
  // What was not seen meanwhile counts where the router is when it is read.
  Poll(190, 3 * kDay + 60);
  std::uint64_t lima = 0;
  for (const UsageRow& row : d.book.Usage(lima_, kFirst, kFirst + 9)) lima += row.counted.download;
  EXPECT_EQ(lima, 100U);
}

TEST_F(MovedRouterTest, OldDaysOfTheSiteThatItLeftAreTheStoresToAnswer) {
  Move(19 * kHour + 75);
  for (int day = 2; day < 8; ++day) {
    Poll(100 * static_cast<std::uint64_t>(day), day * kDay);
    d.Flush(day * kDay + 10);
    d.Flush(day * kDay + 20);  // days that are stored leave memory with the flush after
  }
  ASSERT_TRUE(d.book.Usage(lahore_, kFirst, kFirst + 1).empty());
  EXPECT_GT(d.book.WholeFrom(), kFirst + 1);
}

TEST_F(MovedRouterTest, AWayEastOpensNothing) {
  d.policy.sites.push_back({base::SiteId("suva"), Zone("Pacific/Fiji"), absl::ZeroDuration(), {}});
  d.policy.routers[0].site = base::SiteId("suva");
  d.SetPolicy(19 * kHour + 75);
  EXPECT_TRUE(Kinds().empty());
  d.Flush(19 * kHour + 80);
  EXPECT_EQ(ClosedDays(), std::vector<absl::CivilDay>{kFirst});
}

}  // namespace
}  // namespace netsentinel::accounting
