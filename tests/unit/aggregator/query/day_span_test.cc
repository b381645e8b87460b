#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/aggregator/query/question_fixture.h"

namespace netsentinel::query {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DaySpanTest : public QuestionFixture {
 protected:
  void SetUp() override {
    QuestionFixture::SetUp();
    driver_.Start();
    Serve();
  }
  // "2026-01-01 2026-01-03", or why not.
  std::string Resolved(const std::string& first, const std::string& last) {
    const absl::StatusOr<DaySpan> span = reader_.Resolve(site_, first, last);
    if (!span.ok()) return std::string(span.status().message());
    return absl::StrCat(absl::FormatCivilTime(span->first), " ", absl::FormatCivilTime(span->last));
  }
  std::string ResolvedTogether(const std::string& first, const std::string& last) {
    const auto catalog = reader_.catalog();
    const auto spans = reader_.Resolve({&catalog->sites[0], &catalog->sites[1]}, first, last);
    if (!spans.ok()) return std::string(spans.status().message());
    std::string text;
    for (const std::optional<DaySpan>& span : *spans) {
      absl::StrAppend(&text, text.empty() ? "" : ", ");
      if (!span.has_value()) {
        absl::StrAppend(&text, "-");
        continue;
      }
      absl::StrAppend(&text, absl::FormatCivilTime(span->first), " ",
                      absl::FormatCivilTime(span->last));
    }
    return text;
  }
};

TEST_F(DaySpanTest, AFirstDayAloneIsUntilTodayAndWhatHasNotBegunIsRefused) {
  EXPECT_EQ(Resolved("", ""), "2026-01-03 2026-01-03");
  EXPECT_EQ(Resolved("2026-01-01", ""), "2026-01-01 2026-01-03");
  EXPECT_EQ(Resolved("2026-01-01", "2026-01-02"), "2026-01-01 2026-01-02");
  EXPECT_EQ(Resolved("2026-01-03", "2026-01-03"), "2026-01-03 2026-01-03");
  EXPECT_EQ(Resolved("2027-01-01", "2027-01-01"),
            "the day 2027-01-01 has not begun at site site, where it is 2026-01-03");
  EXPECT_EQ(Resolved("2026-01-01", "2026-01-04"),
            "the day 2026-01-04 has not begun at site site, where it is 2026-01-03");
  EXPECT_EQ(Resolved("2026-02-01", ""),
            "the day 2026-02-01 has not begun at site site, where it is 2026-01-03");
  EXPECT_EQ(Resolved("", "2026-01-02"),
            "the last day 2026-01-02 is given without a first day: say where to begin");
  EXPECT_EQ(Resolved("2026-01-02", "2026-01-01"),
            "the last day 2026-01-01 lies before the first, 2026-01-02");
  EXPECT_EQ(Resolved("yesterday", ""),
            "not a date: \"yesterday\"; use YYYY-MM-DD, e.g. 2026-03-29");
  EXPECT_EQ(Resolved("2024-01-01", ""), "the span has more than 400 days");
}

TEST_F(DaySpanTest, ADayThatHasNotBegunIsTheCallersMistakeInEveryQuestion) {
  for (const char* first : {"2026-01-01", "2027-01-01"}) {
    v1::GetSubscriberUsageRequest usage;
    usage.mutable_subscriber()->set_router_id("r1");
    usage.mutable_subscriber()->mutable_name()->set_name("alice");
    usage.set_first_day(first);
    usage.set_last_day("2027-01-01");
    Ask(&GrpcUsageService::GetSubscriberUsage, usage);
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << first;
    Ranking(first, "2027-01-01");
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << first;
    v1::ListEventsRequest events;
    events.set_router_id("r1");
    events.set_first_day(first);
    events.set_last_day("2027-01-01");
    Ask(&GrpcUsageService::ListEvents, events);
    EXPECT_EQ(status_.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << first;
  }
}

TEST_F(DaySpanTest, SitesInDifferentDaysEachAnswerAsFarAsTheyAre) {
  EXPECT_EQ(ResolvedTogether("", ""), "2026-01-03 2026-01-03, 2026-01-04 2026-01-04");
  EXPECT_EQ(ResolvedTogether("2026-01-02", ""), "2026-01-02 2026-01-03, 2026-01-02 2026-01-04");
  EXPECT_EQ(ResolvedTogether("2026-01-04", "2026-01-04"), "-, 2026-01-04 2026-01-04");
  EXPECT_EQ(ResolvedTogether("2026-01-03", "2026-01-04"),
            "2026-01-03 2026-01-03, 2026-01-03 2026-01-04");
  EXPECT_EQ(ResolvedTogether("2026-01-05", "2026-01-05"),
            "the day 2026-01-05 has not begun at site site, where it is 2026-01-03");
  EXPECT_EQ(ResolvedTogether("2026-01-03", "2026-01-05"),
            "the day 2026-01-05 has not begun at site site, where it is 2026-01-03");
}

TEST_F(DaySpanTest, EventsOfADayLieBetweenItsBeginAndItsEnd) {
  const auto catalog = reader_.catalog();
  const Catalog::Site& east = catalog->sites[1];
  ASSERT_OK_AND_ASSIGN(const auto one, reader_.InstantsOf({&east}, "2026-01-02", "2026-01-02"));
  const std::int64_t begin = accounting::BookDriver::kStartUs + 19 * 3'600'000'000LL;
  EXPECT_EQ(one, (UsageReader::Instants{begin, begin + 24 * 3'600'000'000LL}));
  ASSERT_OK_AND_ASSIGN(const auto all, reader_.InstantsOf({&east}, "", ""));
  EXPECT_EQ(all, UsageReader::Instants{});
  const auto both = reader_.InstantsOf({&catalog->sites[0], &east}, "2026-01-02", "2026-01-02");
  EXPECT_THAT(both, test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("one site")));
}

TEST_F(DaySpanTest, TheLastDaysAreKnownWhileTheStoreIsAway) {
  StoreSlot away;
  ingest::ReadingBoard board;
  UsageReader reader(shared_, away, away, catalog_, clock_, {}, &board);
  const Catalog::Site& site = reader.catalog()->sites[0];
  const absl::CivilDay today(2026, 1, 3);
  EXPECT_EQ(reader.ObservationOf(site, {today, today, today}).state, Observed::State::kUnknown);
  board.Reset({{site_, r1_, 1}, {site_, r2_, 1}}, {{site_, r1_, today}, {site_, r2_, today}},
              today);
  EXPECT_EQ(reader.ObservationOf(site, {today, today, today}).state, Observed::State::kWhole);
  EXPECT_EQ(reader.ObservationOf(site, {today - 1, today, today}).state, Observed::State::kUnknown);
}

TEST_F(DaySpanTest, WhatWasReadIsToldByRouter) {
  const std::vector<base::RouterId> routers = {r1_, r2_};
  const store::FirstReading first1{site_, r1_, 100}, first2{site_, r2_, 900};
  const auto describe = [&](const store::SiteReadings& readings, std::int64_t begin_us) {
    const Observed observed = Observe(routers, readings, begin_us);
    std::string text = absl::StrCat(static_cast<int>(observed.state), " ", observed.began_us);
    for (const Observed::Router& router : observed.routers) {
      absl::StrAppend(&text, " ", router.id.value(), router.read ? " read " : " not ",
                      router.began_us);
    }
    return text;
  };
  using State = Observed::State;
  EXPECT_EQ(describe({}, 500),
            absl::StrCat(static_cast<int>(State::kNothing), " 0 r1 not 0 r2 not 0"));
  EXPECT_EQ(describe({{first1}, {r1_}}, 500),
            absl::StrCat(static_cast<int>(State::kPartly), " 100 r2 not 0"));
  EXPECT_EQ(describe({{first1, first2}, {r1_, r2_}}, 500),
            absl::StrCat(static_cast<int>(State::kPartly), " 100 r2 read 900"));
  EXPECT_EQ(describe({{first1, first2}, {r1_, r2_}}, 900),
            absl::StrCat(static_cast<int>(State::kWhole), " 100"));
  EXPECT_EQ(describe({{first1, first2}, {}}, 1000),
            absl::StrCat(static_cast<int>(State::kNothing), " 100 r1 not 100 r2 not 900"));
  // A router that is configured no more was read, and is none that is missing.
  EXPECT_EQ(describe({{first1, first2, {site_, base::RouterId("old"), 50}}, {r1_, r2_}}, 900),
            absl::StrCat(static_cast<int>(State::kWhole), " 50"));
}

}  // namespace
}  // namespace netsentinel::query
