#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/aggregator/accounting/book_driver.h"

// What a restart reads back, and what a new policy moves.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

class RestartTest : public ::testing::Test {
 protected:
  BookDriver d;
};

quota::Rule Rule(const std::string& id, quota::Period period, std::uint64_t limit) {
  quota::Rule rule;
  rule.id = id;
  rule.period = period;
  rule.limit_bytes = limit;
  return rule;
}

SubscriberKey Key(const std::string& name) {
  return {base::SiteId("site"), base::RouterId("r1"), name};
}

TEST_F(RestartTest, AnOverrideForSomebodyNotStoredTakesNobodysNumber) {
  d.policy.quotas = {Rule("daily", quota::Period::kDay, 1'000'000)};
  d.policy.overrides.push_back({Key("ghost"), "daily", {500, false}});
  d.Start();
  d.Poll({{1, "alice", 0, 0, 1}}, 100, 50'000);
  d.Poll({{1, "alice", 0, 100, 2}}, 130, 50'030);
  d.Flush(140);
  d.Restart(150);
  d.Poll({{1, "alice", 0, 150, 3}, {2, "ghost", 0, 7, 1}}, 160, 50'060);
  d.Flush(170);
  std::set<std::uint64_t> ids;
  for (const NumberedSubscriber& s : d.stored.subscribers) ids.insert(s.id);
  EXPECT_EQ(ids.size(), d.stored.subscribers.size());
  EXPECT_EQ(d.stored.subscribers.size(), 2U);
  d.Restart(180);
  EXPECT_EQ(d.On(0), (TrafficBytes{0, 150}));
  EXPECT_EQ(d.RowOf("alice").subscriber, Key("alice"));
  EXPECT_EQ(d.On(0, "ghost"), (TrafficBytes{0, 7}));
  EXPECT_EQ(d.RowOf("ghost").subscriber, Key("ghost"));
}

// --- routers and sites that are taken out

TEST_F(RestartTest, ARouterThatWasTakenOutKeepsItsSiteAndItsDays) {
  const base::SiteId lahore("lahore");
  d.policy.sites.push_back({lahore, Zone("Asia/Karachi"), absl::ZeroDuration(), {}});
  d.policy.routers[0].site = lahore;
  d.Start();
  d.Poll({{1, "alice", 0, 0, 1}}, 100, 50'000);
  d.Poll({{1, "alice", 5, 50, 2}}, 130, 50'030);
  d.Flush(140);
  d.policy = BookDriver::DefaultPolicy();
  d.policy.routers.clear();
  d.SetPolicy(150);
  d.Flush(160);
  d.Restart(170);
  const absl::CivilDay first(2020, 1, 1);
  const absl::CivilDay last(2040, 1, 1);
  ASSERT_EQ(d.book.Usage(lahore, first, last).size(), 1U);
  EXPECT_EQ(d.book.Usage(lahore, first, last)[0].subscriber.site, lahore);
  EXPECT_EQ(d.book.SubscriberSums(lahore, first, last).size(), 1U);
  EXPECT_TRUE(d.book.Usage(base::SiteId("site"), first, last).empty());
  // Its day still ends at midnight in Lahore, 19:00 UTC.
  const auto day = d.book.DayAt(lahore, BookDriver::kStartUs);
  ASSERT_THAT(day, test::IsOk());
  EXPECT_EQ(day->end_us, BookDriver::kStartUs + 19LL * 3'600'000'000);
  d.Flush(19 * 3600 + 1);
  ASSERT_EQ(d.stored.closed_days.size(), 1U);
  EXPECT_EQ(d.stored.closed_days[0].day, absl::CivilDay(2026, 1, 1));
}

TEST_F(RestartTest, RowsStayWithTheSiteAtWhichTheyWereCounted) {
  const base::SiteId other("other");
  d.policy.sites.push_back({other, absl::UTCTimeZone(), absl::ZeroDuration(), {}});
  d.Start();
  d.Poll({{1, "alice", 0, 0, 1}}, 100, 50'000);
  d.Poll({{1, "alice", 0, 50, 2}}, 130, 50'030);
  d.policy.routers[0].site = other;
  d.SetPolicy(140);
  d.Poll({{1, "alice", 0, 57, 3}}, 160, 50'060);
  const absl::CivilDay day(2026, 1, 1);
  ASSERT_EQ(d.book.Usage(base::SiteId("site"), day, day).size(), 1U);
  EXPECT_EQ(d.book.Usage(base::SiteId("site"), day, day)[0].counted.download, 50U);
  ASSERT_EQ(d.book.SubscriberSums(other, day, day).size(), 1U);
  EXPECT_EQ(d.book.SubscriberSums(other, day, day)[0].second.counted.download, 7U);
}

// --- quotas over weeks and months

// A byte count a day, read at each midnight.
void PollDays(BookDriver& d, int first, int last, std::uint64_t a_day) {
  for (int day = first; day <= last; ++day) {
    d.PollBoundary({{1, "alice", 0, static_cast<std::uint64_t>(day) * a_day, 10}}, day * 86'400,
                   static_cast<std::uint64_t>(50'000 + day * 86'400));
  }
}

TEST_F(RestartTest, AWeeklyQuotaBreachesOnceAWeekOfItsOwn) {
  quota::Rule week = Rule("week", quota::Period::kWeek, 150);
  week.start_day = 6;  // Saturday; 2026-01-01 is a Thursday
  d.policy.quotas = {week};
  d.Start();
  PollDays(d, 0, 1, 100);
  EXPECT_TRUE(d.breaches.empty());
  d.Flush(86'401);
  d.Restart(86'402);
  PollDays(d, 2, 2, 100);
  ASSERT_EQ(d.breaches.size(), 1U);
  EXPECT_EQ(d.breaches[0].period_start, absl::CivilDay(2025, 12, 27));
  d.Restart(2 * 86'400 + 1);
  PollDays(d, 3, 3, 100);  // the Saturday, alone within the limit
  EXPECT_EQ(d.breaches.size(), 1U);
  d.Flush(3 * 86'400 + 1);
  d.Restart(3 * 86'400 + 2);
  PollDays(d, 4, 9, 100);
  ASSERT_EQ(d.breaches.size(), 2U);
  EXPECT_EQ(d.breaches[1].period_start, absl::CivilDay(2026, 1, 3));
  EXPECT_EQ(d.breaches[1].used.download, 200U);
}

TEST_F(RestartTest, AMonthlyQuotaBreachesOnceAMonthOfItsOwn) {
  quota::Rule month = Rule("month", quota::Period::kMonth, 1000);
  month.start_day = 15;
  d.policy.quotas = {month};
  d.Start();
  PollDays(d, 0, 9, 100);
  EXPECT_TRUE(d.breaches.empty());
  PollDays(d, 10, 11, 100);
  ASSERT_EQ(d.breaches.size(), 1U);
  EXPECT_EQ(d.breaches[0].period_start, absl::CivilDay(2025, 12, 15));
  d.Flush(11 * 86'400 + 1);
  d.Restart(11 * 86'400 + 2);
  PollDays(d, 12, 23, 100);
  EXPECT_EQ(d.breaches.size(), 1U);
  PollDays(d, 24, 25, 100);
  ASSERT_EQ(d.breaches.size(), 2U);
  EXPECT_EQ(d.breaches[1].period_start, absl::CivilDay(2026, 1, 15));
}

// --- a second policy

TEST_F(RestartTest, NewMappingRulesMoveLaterDeltasOnly) {
  d.Start();
  d.Poll({{1, "alice", 0, 0, 1}}, 100, 50'000);
  d.Poll({{1, "alice", 0, 50, 2}}, 130, 50'030);
  d.policy.mapping.push_back({counters::Menu::kSimple, {}, {}, "al(.*)", "$1", {}, false});
  d.SetPolicy(140);
  d.Poll({{1, "alice", 0, 57, 3}}, 160, 50'060);
  std::map<std::string, std::uint64_t> downloads;
  for (const UsageRow& row : d.Rows()) downloads[row.subscriber.name] += row.counted.download;
  EXPECT_EQ(downloads, (std::map<std::string, std::uint64_t>{{"alice", 50}, {"ice", 7}}));
}

TEST_F(RestartTest, ZoneAndCutsChangeAtTheNextDayStartOfTheOldRule) {
  d.Start();
  d.Poll({{1, "alice", 0, 0, 1}}, 100, 50'000);
  const base::SiteId site("site");
  constexpr std::int64_t kHourUs = 3'600'000'000;
  const std::int64_t midnight = BookDriver::kStartUs + 24 * kHourUs;
  d.policy.sites[0].zone = Zone("Asia/Karachi");
  d.policy.sites[0].cuts = {absl::Hours(12)};
  d.SetPolicy(7200);
  // Today ends as it would have; tomorrow is what is left of it in Lahore.
  EXPECT_EQ(d.book.DayAt(site, BookDriver::kStartUs + 7200)->end_us, midnight);
  const auto next = d.book.DayAt(site, midnight);
  EXPECT_EQ(next->day, absl::CivilDay(2026, 1, 2));
  EXPECT_EQ(next->begin_us, midnight);
  EXPECT_EQ(next->end_us, midnight + 19 * kHourUs);
  const auto edges = d.book.Boundaries(base::RouterId("r1"), BookDriver::kStartUs + 1, 2);
  ASSERT_THAT(edges, test::IsOk());
  EXPECT_EQ(*edges,
            (std::vector<std::int64_t>{midnight, midnight + 7 * kHourUs, midnight + 19 * kHourUs}));
}

TEST_F(RestartTest, ANewDayStartHoldsFromTheNextDayStartOfTheOldRule) {
  d.Start();
  const base::SiteId site("site");
  constexpr std::int64_t kHourUs = 3'600'000'000;
  d.policy.sites[0].day_start = absl::Hours(6);
  d.SetPolicy(7200);
  // The day that is under way goes on until the first start of the new rule.
  EXPECT_EQ(d.book.DayAt(site, BookDriver::kStartUs + 7200)->end_us,
            BookDriver::kStartUs + 30 * kHourUs);
  d.policy.sites[0].day_start = absl::ZeroDuration();
  d.SetPolicy(7300);  // taken back before it held
  EXPECT_EQ(d.book.DayAt(site, BookDriver::kStartUs + 7200)->end_us,
            BookDriver::kStartUs + 24 * kHourUs);
}

TEST_F(RestartTest, NewLimitsAreJudgedWithTheNextBatch) {
  d.policy.quotas = {Rule("daily", quota::Period::kDay, 1000)};
  d.Start();
  d.Poll({{1, "alice", 0, 0, 1}, {2, "bob", 0, 0, 1}}, 100, 50'000);
  d.Poll({{1, "alice", 0, 400, 2}, {2, "bob", 0, 400, 2}}, 130, 50'030);
  EXPECT_TRUE(d.breaches.empty());
  d.policy.quotas[0].limit_bytes = 300;
  d.policy.overrides.push_back({Key("bob"), "daily", {500, false}});
  d.SetPolicy(140);
  d.Poll({{1, "alice", 0, 400, 2}, {2, "bob", 0, 400, 2}}, 160, 50'060);
  ASSERT_EQ(d.breaches.size(), 1U);
  EXPECT_EQ(d.breaches[0].subscriber, Key("alice"));
  EXPECT_EQ(d.breaches[0].limit_bytes, 300U);
  d.policy.overrides[0].limit = {0, true};
  d.SetPolicy(170);
  d.Poll({{1, "alice", 0, 400, 2}, {2, "bob", 0, 9000, 3}}, 190, 50'090);
  EXPECT_EQ(d.breaches.size(), 1U);
}

TEST_F(RestartTest, AQuotaThatComesTooLateForItsDaysSaysSo) {
  d.policy.quotas = {Rule("daily", quota::Period::kDay, 10'000)};
  d.Start();
  for (int day = 0; day <= 9; ++day) {
    PollDays(d, day, day, 100);
    d.Flush(day * 86'400 + 1);
  }
  d.policy.quotas.push_back(Rule("month", quota::Period::kMonth, 10'000));
  d.SetPolicy(9 * 86'400 + 2);
  PollDays(d, 10, 10, 100);
  ASSERT_EQ(d.Events(), "quota_history_short");
  EXPECT_THAT(d.events[0].detail, ::testing::HasSubstr("from 2026-01-08 on"));
  EXPECT_EQ(d.On(7).download, 100U);
  EXPECT_EQ(d.On(6).download, 0U);
  PollDays(d, 11, 11, 100);
  EXPECT_EQ(d.events.size(), 1U) << "said once";
}

// --- days that are not 24 hours long

TEST_F(RestartTest, DaysOf23And25HoursAreDividedExactly) {
  const absl::TimeZone berlin = Zone("Europe/Berlin");
  d.policy.sites[0].zone = berlin;
  d.policy.quotas = {Rule("month", quota::Period::kMonth, base::kMaxStoredBytes)};
  const auto second_of = [&](int month, int day) {
    const absl::Time at = berlin.At(absl::CivilSecond(2026, month, day)).pre;
    return (absl::ToUnixMicros(at) - BookDriver::kStartUs) / 1'000'000;
  };
  struct Change {
    int month;
    int day;
    int hours;
  };
  for (const Change change : {Change{3, 29, 23}, Change{10, 25, 25}}) {
    BookDriver fresh;
    fresh.policy = d.policy;
    fresh.Start();
    const std::int64_t from = second_of(change.month, change.day - 1);
    const std::int64_t to = second_of(change.month, change.day + 2);
    const auto hours = static_cast<std::uint64_t>((to - from) / 3600);
    EXPECT_EQ(hours, static_cast<std::uint64_t>(48 + change.hours));
    fresh.Poll({{1, "alice", 0, 0, 1}}, from, 50'000);
    fresh.Poll({{1, "alice", 0, hours * 1001, 9}}, to,
               50'000 + static_cast<std::uint64_t>(to - from));
    std::map<int, std::uint64_t> by_day;
    for (const UsageRow& row : fresh.Rows()) by_day[row.day.day()] += row.counted.download;
    const auto of_change = static_cast<std::uint64_t>(change.hours);
    EXPECT_EQ(by_day, (std::map<int, std::uint64_t>{{change.day - 1, 24 * 1001},
                                                    {change.day, of_change * 1001},
                                                    {change.day + 1, 24 * 1001}}));
  }
}

}  // namespace
}  // namespace netsentinel::accounting
