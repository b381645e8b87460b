#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/aggregator/query/question_fixture.h"

namespace netsentinel::query {
namespace {

using accounting::kDay;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kMB = 1'000'000;

class RankingServiceTest : public QuestionFixture {
 protected:
  static quota::Rule Rule(const std::string& id, quota::Period period, std::uint64_t limit,
                          std::vector<std::uint32_t> thresholds = {80, 100}) {
    quota::Rule rule;
    rule.id = id;
    rule.period = period;
    rule.limit_bytes = limit;
    rule.thresholds_percent = std::move(thresholds);
    return rule;
  }
  // Downloads of alice, bob and carol on r1 during a day that begins with `before`.
  void Day(std::int64_t day, const std::vector<std::uint64_t>& before,
           const std::vector<std::uint64_t>& after) {
    Poll(day * kDay, before);
    Poll(day * kDay + 3600, after);
  }
  void Poll(std::int64_t second, const std::vector<std::uint64_t>& downloads) {
    std::vector<accounting::Row> rows;
    const char* const names[] = {"alice", "bob", "carol"};
    for (std::size_t i = 0; i < downloads.size(); ++i) {
      rows.push_back({i + 1, names[i], 0, downloads[i], downloads[i] / 100});
    }
    driver_.Poll(rows, second, static_cast<std::uint64_t>(second) + 1000);
  }
  // "1 alice near 83 % daily", or without a standing "1 alice -".
  static std::vector<std::string> Rows(const v1::GetRankingResponse& response) {
    std::vector<std::string> rows;
    for (const v1::RankingRow& row : response.rows()) {
      std::string text = absl::StrCat(row.rank(), " ", row.subscriber().name().name(), " ");
      if (row.has_standing()) {
        const v1::Standing& standing = row.standing();
        absl::StrAppend(&text, v1::StandingState_Name(standing.state()).substr(15), " ",
                        standing.percent(), " % ", standing.quota_id());
      } else {
        absl::StrAppend(&text, "-");
      }
      rows.push_back(text);
    }
    return rows;
  }
};

TEST_F(RankingServiceTest, OverIsFromTheLimitOnAndNearFromTheFirstThreshold) {
  driver_.policy.quotas = {Rule("daily", quota::Period::kDay, 50 * kMB)};
  driver_.Start();
  Day(2, {0, 0, 0}, {41'500'000, 60 * kMB, kMB});
  Serve();
  const v1::GetRankingResponse all = Ranking("", "");
  EXPECT_THAT(Rows(all), ElementsAre("1 bob OVER 120 % daily", "2 alice NEAR 83 % daily",
                                     "3 carol WITHIN 2 % daily"));
  const v1::Standing& alice = all.rows(1).standing();
  EXPECT_EQ(alice.limit_bytes(), 50 * kMB);
  EXPECT_EQ(alice.used_bytes(), 41'500'000U);
  EXPECT_EQ(alice.remaining_bytes(), 8'500'000U);
  EXPECT_EQ(alice.basis(), v1::QUOTA_BASIS_DOWNLOAD);
  EXPECT_EQ(alice.period(), v1::QUOTA_PERIOD_DAY);
  EXPECT_EQ(alice.first_day(), "2026-01-03");
  EXPECT_EQ(alice.last_day(), "2026-01-03");
  EXPECT_EQ(all.matching_count(), 3U);
}

TEST_F(RankingServiceTest, WhoIsOverOrNearIsFoundInTheWholeRanking) {
  driver_.policy.quotas = {Rule("daily", quota::Period::kDay, 50 * kMB)};
  driver_.Start();
  Day(2, {0, 0, 0}, {41'500'000, kMB, 60 * kMB});
  Serve();
  const v1::GetRankingResponse over = Ranking("", "", "site", v1::STANDING_STATE_OVER);
  EXPECT_THAT(Rows(over), ElementsAre("1 carol OVER 120 % daily"));
  EXPECT_EQ(over.matching_count(), 1U);
  EXPECT_EQ(over.subscriber_count(), 3U);
  const v1::GetRankingResponse near = Ranking("", "", "site", v1::STANDING_STATE_NEAR, 1);
  EXPECT_THAT(Rows(near), ElementsAre("1 carol OVER 120 % daily"));
  EXPECT_EQ(near.matching_count(), 2U);
  const v1::GetRankingResponse cut = Ranking("", "", "site", v1::STANDING_STATE_UNSPECIFIED, 2);
  EXPECT_EQ(cut.rows_size(), 2);
  EXPECT_EQ(cut.matching_count(), 3U);
}

TEST_F(RankingServiceTest, NobodysStandingIsReckonedForACallerThatHasGone) {
  driver_.policy.quotas = {Rule("daily", quota::Period::kDay, 50 * kMB)};
  driver_.Start();
  driver_.Poll(accounting::Many(0, 2'000, 0), 2 * kDay, 2 * kDay + 1000);
  driver_.Poll(accounting::Many(0, 2'000, 60 * kMB), 2 * kDay + 3600, 2 * kDay + 4600);
  Serve();
  v1::GetRankingRequest request;
  request.set_site_id("site");
  request.set_at_least(v1::STANDING_STATE_OVER);
  v1::GetRankingResponse response;
  int looks = 0;
  EXPECT_THAT(service_.Ranking(
                  request, [&] { return ++looks == 3; }, response),
              test::StatusIs(absl::StatusCode::kCancelled, ::testing::_));
  EXPECT_GT(response.matching_count(), 0U);
  EXPECT_LT(response.matching_count(), 1'000U);
}

TEST_F(RankingServiceTest, AnAlertThatComesLateDoesNotMoveTheLimit) {
  driver_.policy.quotas = {Rule("daily", quota::Period::kDay, 50 * kMB, {120})};
  driver_.Start();
  Day(2, {0, 0, 0}, {51 * kMB, 49 * kMB, 61 * kMB});
  Serve();
  EXPECT_THAT(Rows(Ranking("", "")),
              ElementsAre("1 carol OVER 122 % daily", "2 alice OVER 102 % daily",
                          "3 bob WITHIN 98 % daily"));
}

TEST_F(RankingServiceTest, TodayShowsTheWorstOfARunningPeriodAndAnotherSpanItsOwnOnly) {
  driver_.policy.quotas = {Rule("daily", quota::Period::kDay, 50 * kMB),
                           Rule("monthly", quota::Period::kMonth, 100 * kMB)};
  driver_.Start();
  Day(0, {0, 0, 0}, {90 * kMB, 10 * kMB, kMB});
  Day(1, {90 * kMB, 10 * kMB, kMB}, {100 * kMB, 55 * kMB, 2 * kMB});
  Day(2, {100 * kMB, 55 * kMB, 2 * kMB}, {101 * kMB, 56 * kMB, 44 * kMB});
  Serve();
  // For the month alice has 101 % though today she moved next to nothing.
  EXPECT_THAT(Rows(Ranking("", "")),
              ElementsAre("1 carol NEAR 84 % daily", "2 alice OVER 101 % monthly",
                          "3 bob WITHIN 56 % monthly"));
  EXPECT_THAT(Rows(Ranking("2026-01-02", "2026-01-02")),
              ElementsAre("1 bob NEAR 90 % daily", "2 alice WITHIN 20 % daily",
                          "3 carol WITHIN 2 % daily"));
  // The month so far, and two days that are the period of nothing.
  EXPECT_THAT(Rows(Ranking("2026-01-01", "")),
              ElementsAre("1 alice OVER 101 % monthly", "2 bob WITHIN 56 % monthly",
                          "3 carol WITHIN 44 % monthly"));
  EXPECT_THAT(Rows(Ranking("2026-01-01", "2026-01-02")),
              ElementsAre("1 alice -", "2 bob -", "3 carol -"));
}

TEST_F(RankingServiceTest, WhoIsOverForTheMonthIsListedOnADayWithoutTraffic) {
  driver_.policy.quotas = {Rule("monthly", quota::Period::kMonth, 50 * kMB)};
  driver_.Start();
  // alice and carol move nothing on the third; carol is far from her limit.
  Day(0, {0, 0, 0}, {60 * kMB, 45 * kMB, kMB});
  Day(2, {60 * kMB, 45 * kMB, kMB}, {60 * kMB, 46 * kMB, kMB});
  Serve();
  EXPECT_THAT(Rows(Ranking("", "")), ElementsAre("1 bob NEAR 92 % monthly"));
  const v1::GetRankingResponse over = Ranking("", "", "site", v1::STANDING_STATE_OVER);
  EXPECT_THAT(Rows(over), ElementsAre("2 alice OVER 120 % monthly"));
  EXPECT_EQ(over.matching_count(), 1U);
  EXPECT_EQ(over.subscriber_count(), 1U) << "of the day, as without the filter";
  EXPECT_EQ(over.rows(0).usage().counted().download_bytes(), 0U);
  EXPECT_THAT(Rows(Ranking("", "", "site", v1::STANDING_STATE_NEAR)),
              ElementsAre("1 bob NEAR 92 % monthly", "2 alice OVER 120 % monthly"));
  // A day that is over is the period of no monthly quota.
  EXPECT_THAT(Rows(Ranking("2026-01-02", "2026-01-02", "site", v1::STANDING_STATE_OVER)),
              IsEmpty());
}

TEST_F(RankingServiceTest, ADayBeforeReadingBeganIsNotObserved) {
  driver_.Start();
  const std::int64_t began = accounting::BookDriver::kStartUs + (2 * kDay + 49'680) * 1'000'000;
  store::CommitBatch batch;
  batch.read_days = {{site_, r1_, absl::CivilDay(2026, 1, 3)}};
  batch.first_readings = {{site_, r1_, began}};
  Commit(batch);
  Serve();
  const v1::GetRankingResponse before = Ranking("2026-01-02", "2026-01-02");
  ASSERT_EQ(before.observations_size(), 1);
  EXPECT_EQ(before.observations(0).state(), v1::OBSERVATION_STATE_NOTHING);
  EXPECT_EQ(before.observations(0).reading_began_us(), began);
  EXPECT_LE(before.observations(0).end_us(), began);
  EXPECT_EQ(before.observations(0).time_zone(), "UTC");
  const v1::GetRankingResponse today = Ranking("", "");
  ASSERT_EQ(today.observations(0).routers_size(), 2);
  EXPECT_EQ(today.observations(0).state(), v1::OBSERVATION_STATE_PARTLY);
  EXPECT_EQ(today.observations(0).routers(0).router_id(), "r1");
  EXPECT_TRUE(today.observations(0).routers(0).read());
  EXPECT_EQ(today.observations(0).routers(0).reading_began_us(), began);
  EXPECT_EQ(today.observations(0).routers(1).router_id(), "r2");
  EXPECT_FALSE(today.observations(0).routers(1).read());
  EXPECT_EQ(today.observations(0).routers(1).reading_began_us(), 0);
  EXPECT_EQ(Ranking("", "", "").observations_size(), 2);
}

TEST_F(RankingServiceTest, EventsAreThoseOfTheSiteTheRouterAndTheDays) {
  driver_.Start();
  const auto event = [](const char* router, std::int64_t second) {
    accounting::EventRecord record;
    record.at_us = accounting::BookDriver::kStartUs + second * 1'000'000;
    record.router = base::RouterId(router);
    record.kind = "kind";
    record.detail = absl::StrCat(router, " ", second);
    return record;
  };
  store::CommitBatch batch;
  batch.events = {event("r1", 10), event("r2", 20), event("e1", 30), event("r1", kDay),
                  event("", 40)};
  Commit(batch);
  Serve();
  const auto ask = [&](const std::string& site, const std::string& router, const std::string& first,
                       const std::string& last, std::uint32_t limit = 0) {
    v1::ListEventsRequest request;
    request.set_site_id(site);
    request.set_router_id(router);
    request.set_first_day(first);
    request.set_last_day(last);
    request.set_limit(limit);
    const v1::ListEventsResponse response = Ask(&GrpcUsageService::ListEvents, request);
    std::vector<std::string> details;
    for (const v1::Event& one : response.events()) details.push_back(one.detail());
    if (!status_.ok()) details.push_back(status_.error_message());
    details.push_back(absl::StrCat(response.matching_count()));
    return details;
  };
  EXPECT_THAT(ask("", "", "", "", 2), ElementsAre(" 40", absl::StrCat("r1 ", kDay), "5"));
  EXPECT_THAT(ask("site", "", "2026-01-01", "2026-01-01"), ElementsAre("r2 20", "r1 10", "2"));
  EXPECT_THAT(ask("", "r1", "2026-01-02", ""), ElementsAre(absl::StrCat("r1 ", kDay), "1"));
  EXPECT_THAT(ask("site", "e1", "", ""), ElementsAre("site \"site\" has no router \"e1\"", "0"));
  EXPECT_THAT(ask("mars", "", "", ""),
              ElementsAre("there is no site \"mars\"; `netsentinelctl routers` lists them", "0"));
  EXPECT_THAT(ask("", "nope", "", ""), ElementsAre(HasSubstr("there is no router \"nope\""), "0"));
  EXPECT_THAT(ask("", "", "2026-01-01", ""), ElementsAre(HasSubstr("of one site"), "0"));
  EXPECT_THAT(ask("site", "", "", "2026-01-01"),
              ElementsAre(HasSubstr("without a first day"), "0"));
  EXPECT_THAT(ask("site", "", "2026-01-09", ""), ElementsAre(HasSubstr("has not begun"), "0"));
}

TEST_F(RankingServiceTest, BreachesShowWhatTheBasisCountsAndAreFoundByName) {
  driver_.Start();
  store::CommitBatch batch;
  for (const char* router : {"r1", "r2"}) {
    store::BreachRow row;
    row.breach_id = std::string(63, 'a') + router[1];
    row.subscriber = {site_, base::RouterId(router), "alice"};
    row.quota_id = "daily";
    row.period_start = absl::CivilDay(2026, 1, 2);
    row.time_zone = "UTC";
    row.basis = 1;
    row.limit_bytes = 100 * kMB;
    row.used = {30 * kMB, 110 * kMB};
    row.crossed_at_us = accounting::BookDriver::kStartUs + (kDay + 5) * 1'000'000;
    batch.breaches.push_back(row);
  }
  Commit(batch);
  Serve();
  v1::ListBreachesRequest request;
  request.set_site_id("site");
  request.set_first_day("2026-01-02");
  EXPECT_EQ(Ask(&GrpcUsageService::ListBreaches, request).matching_count(), 2U);
  request.set_router_id("r2");
  request.mutable_name()->set_display_name("alice");
  const v1::ListBreachesResponse found = Ask(&GrpcUsageService::ListBreaches, request);
  ASSERT_EQ(found.breaches_size(), 1);
  EXPECT_EQ(found.breaches(0).subscriber().router_id(), "r2");
  EXPECT_EQ(found.breaches(0).basis(), v1::QUOTA_BASIS_DOWNLOAD);
  EXPECT_EQ(found.breaches(0).period(), v1::QUOTA_PERIOD_DAY);
  EXPECT_EQ(found.breaches(0).used_bytes(), 110 * kMB);
  EXPECT_EQ(found.breaches(0).used_percent(), 110U);
  EXPECT_EQ(found.breaches(0).time_zone(), "UTC");
  request.set_first_day("2026-01-01");
  request.set_last_day("2026-01-01");
  EXPECT_THAT(Ask(&GrpcUsageService::ListBreaches, request).breaches(), IsEmpty());
  request.clear_first_day();
  request.clear_last_day();
  request.mutable_name()->set_display_name("bob");
  EXPECT_THAT(Ask(&GrpcUsageService::ListBreaches, request).breaches(), IsEmpty());
}

}  // namespace
}  // namespace netsentinel::query
