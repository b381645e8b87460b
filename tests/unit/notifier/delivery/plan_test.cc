#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "notifier/delivery/alert_codec.h"
#include "notifier/delivery/alert_desk.h"
#include "notifier/delivery/grouping.h"
#include "notifier/delivery/passage.h"
#include "notifier/delivery/retry_plan.h"
#include "notifier/delivery/schedule.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::delivery {
namespace {

using channel::Outcome;
using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;

TEST(RetryPlanTest, DoublesFromOneMinuteToThirty) {
  const std::vector<int> minutes = {1, 2, 4, 8, 16, 30, 30};
  for (std::size_t i = 0; i < minutes.size(); ++i) {
    EXPECT_EQ(PlanNext(Outcome::kRetry, {.attempts = static_cast<int>(i) + 1}, {}).delay,
              absl::Minutes(minutes[i]));
  }
  EXPECT_EQ(PlanNext(Outcome::kRetry, {.attempts = 2'000'000'000}, {}).delay, absl::Minutes(30));
}

TEST(RetryPlanTest, DecidesByOutcome) {
  EXPECT_EQ(PlanNext(Outcome::kDelivered, {}, {}), (NextStep{.step = Step::kDone}));
  EXPECT_EQ(PlanNext(Outcome::kRetrySlowly, {}, {}),
            (NextStep{.step = Step::kTryAgain, .delay = absl::Minutes(15)}));
  EXPECT_EQ(
      PlanNext(Outcome::kMisconfigured, {.channel_failures = 1}, {}),
      (NextStep{.step = Step::kTryAgain, .channel_rest = absl::Minutes(15), .counts = false}));
  EXPECT_EQ(PlanNext(Outcome::kNotPermitted, {}, {}),
            (NextStep{.step = Step::kTryAgain, .delay = absl::Minutes(15)}));
}

TEST(RetryPlanTest, GivesAWrongAddressUpAtTheThirdRefusalWhileOthersPass) {
  const NextStep later{.step = Step::kTryAgain, .delay = absl::Minutes(15)};
  EXPECT_EQ(PlanNext(Outcome::kRejected, {.attempts = 1}, {}), later);
  EXPECT_EQ(PlanNext(Outcome::kRejected, {.attempts = 2}, {}), later);
  EXPECT_EQ(PlanNext(Outcome::kRejected, {.attempts = 3}, {}), (NextStep{.step = Step::kPark}));
  EXPECT_EQ(PlanNext(Outcome::kRejected, {.attempts = 500, .others_pass = false}, {}), later);
}

TEST(RetryPlanTest, RestsTheChannelLongerEachTimeItIsDown) {
  const std::vector<int> seconds = {5, 10, 20, 40, 80, 160, 300, 300};
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    EXPECT_EQ(
        PlanNext(Outcome::kChannelDown, {.channel_failures = static_cast<int>(i) + 1}, {}),
        (NextStep{
            .step = Step::kTryAgain, .channel_rest = absl::Seconds(seconds[i]), .counts = false}));
  }
}

TEST(RetryPlanTest, GivesUpAfterFiveDaysInWhichOthersPassedAndNotBefore) {
  const absl::Duration days = absl::Hours(5 * 24);
  for (const Outcome outcome : {Outcome::kRetry, Outcome::kRetrySlowly, Outcome::kNotPermitted}) {
    EXPECT_EQ(PlanNext(outcome, {.passing = days}, {}).step, Step::kPark);
    EXPECT_EQ(PlanNext(outcome, {.passing = days - absl::Seconds(1)}, {}).step, Step::kTryAgain);
  }
}

TEST(RetryPlanTest, NeverGivesUpWhatOnlyTheChannelKeepsWaiting) {
  for (const Outcome outcome : {Outcome::kChannelDown, Outcome::kMisconfigured}) {
    EXPECT_EQ(PlanNext(outcome, {.passing = absl::Hours(365 * 24)}, {}).step, Step::kTryAgain);
  }
}

TEST(RetryPlanTest, RepeatsACutOffAttemptAtOnceAndLaterOnesByThePlan) {
  EXPECT_EQ(PlanAfterCrash(1, {}), absl::ZeroDuration());
  EXPECT_EQ(PlanAfterCrash(2, {}), absl::Minutes(1));
  EXPECT_EQ(PlanAfterCrash(3, {}), absl::Minutes(2));
  EXPECT_EQ(PlanAfterCrash(90, {}), absl::Minutes(30));
}

absl::TimeZone Zone(const std::string& name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(name, &zone)) << name;
  return zone;
}

absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error)) << error;
  return time;
}

struct DueCase {
  std::string zone;
  LocalTime time;
  std::string now;
  std::string date;
  std::string at;
};

TEST(ScheduleTest, FindsTheLatestRunByTheTable) {
  const std::vector<DueCase> cases = {
      {"Asia/Karachi",
       {18, 15},
       "2026-03-26T18:15:00+05:00",
       "2026-03-26",
       "2026-03-26T18:15:00+05:00"},
      {"Asia/Karachi",
       {18, 15},
       "2026-03-26T18:14:59.999+05:00",
       "2026-03-25",
       "2026-03-25T18:15:00+05:00"},
      {"Asia/Karachi",
       {0, 0},
       "2026-03-26T00:00:00+05:00",
       "2026-03-26",
       "2026-03-26T00:00:00+05:00"},
      // Spring: 02:30 does not exist in Berlin; the run comes with the first instant after the gap.
      {"Europe/Berlin",
       {2, 30},
       "2026-03-29T01:59:59+01:00",
       "2026-03-28",
       "2026-03-28T02:30:00+01:00"},
      {"Europe/Berlin",
       {2, 30},
       "2026-03-29T03:00:00+02:00",
       "2026-03-29",
       "2026-03-29T03:00:00+02:00"},
      // Autumn: 02:30 comes twice; the first one counts, the second is no new run.
      {"Europe/Berlin",
       {2, 30},
       "2026-10-25T02:30:00+02:00",
       "2026-10-25",
       "2026-10-25T02:30:00+02:00"},
      {"Europe/Berlin",
       {2, 30},
       "2026-10-25T02:30:00+01:00",
       "2026-10-25",
       "2026-10-25T02:30:00+02:00"},
      // A gap at midnight.
      {"America/Santiago",
       {0, 0},
       "2026-09-06T01:30:00-03:00",
       "2026-09-06",
       "2026-09-06T01:00:00-03:00"},
      // Samoa had no 30 December 2011: it is due where it would have begun, with the 31st.
      {"Pacific/Apia",
       {18, 15},
       "2011-12-31T12:00:00+14:00",
       "2011-12-30",
       "2011-12-31T00:00:00+14:00"},
  };
  for (const DueCase& one : cases) {
    const Due due = LatestDue(one.time, Zone(one.zone), At(one.now));
    EXPECT_EQ(IsoDate(due.date), one.date) << one.zone << " " << one.now;
    EXPECT_EQ(due.at, At(one.at)) << one.zone << " " << one.now;
  }
}

TEST(ScheduleTest, RunsOncePerLocalDayThroughTheYear) {
  for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"}) {
    const absl::TimeZone zone = Zone(name);
    for (const LocalTime time : {LocalTime{2, 30}, LocalTime{18, 15}, LocalTime{0, 0}}) {
      absl::Time now = At("2026-01-01T12:00:00Z");
      absl::CivilDay date = LatestDue(time, zone, now).date;
      for (int day = 0; day < 400; ++day) {
        const Due next = NextDue(time, zone, now);
        ASSERT_EQ(next.date, date + 1) << name;
        ASSERT_GT(next.at, now);
        ASSERT_EQ(LatestDue(time, zone, next.at).date, next.date);
        ASSERT_EQ(LatestDue(time, zone, next.at - absl::Microseconds(1)).date, date);
        now = next.at;
        date = next.date;
      }
    }
  }
}

TEST(ScheduleTest, KnowsTheLocalDayWhereDaysStartLate) {
  const absl::TimeZone zone = Zone("Asia/Karachi");
  EXPECT_EQ(IsoDate(LocalDayOf(At("2026-03-26T05:59:59+05:00"), {6, 0}, zone)), "2026-03-25");
  EXPECT_EQ(IsoDate(LocalDayOf(At("2026-03-26T06:00:00+05:00"), {6, 0}, zone)), "2026-03-26");
}

struct GroupCase {
  std::string what;
  GroupState state;
  GroupStep step;
};

TEST(GroupingTest, DecidesByTheTable) {
  const absl::Time now = absl::FromUnixSeconds(1774534495);
  const std::vector<GroupCase> cases = {
      {"nothing", {}, GroupStep::kWait},
      {"first alert", {.pending = 1}, GroupStep::kFirst},
      {"many at once", {.pending = 9}, GroupStep::kFirst},
      {"inside the window",
       {.pending = 3, .in_window = true, .window_end = now + absl::Seconds(1)},
       GroupStep::kWait},
      {"window over", {.pending = 3, .in_window = true, .window_end = now}, GroupStep::kDigest},
      {"window over, nothing came", {.in_window = true, .window_end = now}, GroupStep::kClose},
      {"clock stepped back a day",
       {.pending = 3, .in_window = true, .window_end = now + absl::Hours(24)},
       GroupStep::kDigest},
      {"last mail has reached nobody",
       {.pending = 3, .last_unsent = true, .last_made = now - absl::Minutes(59)},
       GroupStep::kWait},
      {"and for an hour",
       {.pending = 3, .last_unsent = true, .last_made = now - absl::Hours(1)},
       GroupStep::kFirst},
  };
  for (const GroupCase& one : cases) {
    EXPECT_EQ(PlanGroup(one.state, {}, now).step, one.step) << one.what;
  }
}

report::Alert FullAlert() {
  return {.breach_id = std::string(64, 'a'),
          .site_id = "lahore",
          .router_id = "hq-core",
          .name = std::string("a\0\xFF", 3),
          .quota_id = "default",
          .period = report::QuotaPeriod::kWeek,
          .period_start = "2026-03-26",
          .time_zone = "Asia/Karachi",
          .basis = report::QuotaBasis::kTotal,
          .limit_bytes = 10ULL << 30,
          .threshold_percent = 80,
          .used = {1, 9223372036854775807ULL},
          .crossed_at = absl::FromUnixMicros(1774534495123456),
          .crossed_at_local = "2026-03-26 19:14:55 +05:00"};
}

const absl::Time kNoon = absl::FromUnixSeconds(1774526400);

TEST(PassageTest, SaysNothingWhileMailsPassAndOfAFirstLaterNothing) {
  Passage passage;
  EXPECT_EQ(passage.Sentence(kNoon), "");
  passage.Passed("a@example", kNoon);
  passage.PutOff("b@example", "450 greylisted", /*shown=*/false, kNoon);
  EXPECT_EQ(passage.Sentence(kNoon), "");
  passage.Passed("b@example", kNoon + absl::Minutes(1));
  EXPECT_EQ(passage.Sentence(kNoon + absl::Minutes(1)), "");
  EXPECT_FALSE(passage.NobodyPasses(kNoon + absl::Minutes(1)));
}

TEST(PassageTest, TellsAServerThatServesNobodyFromRecipientsWhoseMailsWait) {
  Passage passage;
  passage.Passed("a@example", kNoon);
  passage.PutOff("b@example", "452 mailbox full", /*shown=*/false, kNoon);
  passage.PutOff("b@example", "452 mailbox full", /*shown=*/false, kNoon + absl::Minutes(1));
  EXPECT_EQ(passage.Sentence(kNoon + absl::Minutes(1)),
            "mails of others pass, those to 1 recipient do not: b@example since 2026-03-26 12:00 "
            "UTC: 452 mailbox full");
  EXPECT_FALSE(passage.NobodyPasses(kNoon + absl::Minutes(1)));
  // The one whose mails passed is refused too.
  passage.PutOff("a@example", "550 5.1.8 no", /*shown=*/true, kNoon + absl::Minutes(2));
  EXPECT_TRUE(passage.NobodyPasses(kNoon + absl::Minutes(2)));
  EXPECT_THAT(passage.Sentence(kNoon + absl::Minutes(2)),
              HasSubstr("the server lets no mail pass: 550 5.1.8 no; since 2026-03-26 12:00 UTC"));
}

TEST(PassageTest, WhoseMailWasGivenUpIsNamedForAWeekOrUntilOnePasses) {
  Passage passage;
  passage.Passed("a@example", kNoon);
  passage.GaveUp("typo@example", "550 5.1.1 no such user", kNoon);
  const std::string said =
      "mails were given up to 1 recipient: typo@example at 2026-03-26 12:00 UTC: 550 5.1.1 no such "
      "user; correct the address in the configuration and reload";
  EXPECT_EQ(passage.Sentence(kNoon + absl::Hours(6 * 24)), said);
  EXPECT_EQ(passage.Sentence(kNoon + absl::Hours(8 * 24)), "");
  EXPECT_TRUE(passage.OthersPass("typo@example", kNoon));
  EXPECT_FALSE(passage.OthersPass("a@example", kNoon));
  EXPECT_FALSE(passage.OthersPass("typo@example", kNoon + absl::Hours(25)));
  passage.PutOff("b@example", "452 mailbox full", /*shown=*/true, kNoon);
  EXPECT_EQ(passage.Sentence(kNoon + absl::Minutes(1)),
            "mails of others pass, those to 1 recipient do not: b@example since 2026-03-26 12:00 "
            "UTC: 452 mailbox full; " +
                said);
  passage.Passed("typo@example", kNoon + absl::Hours(1));
  passage.Passed("b@example", kNoon + absl::Hours(1));
  EXPECT_EQ(passage.Sentence(kNoon + absl::Hours(1)), "");
}

TEST(PassageTest, WhatWasBeforeARestartIsKnownByWhatCameLast) {
  const auto said = [](const Passage::Before& before) {
    Passage passage;
    passage.Restore("a@example", before, kNoon);
    return passage.Sentence(kNoon);
  };
  const absl::Time earlier = kNoon - absl::Hours(2);
  const absl::Time later = kNoon - absl::Hours(1);
  EXPECT_EQ(said({.passed_at = later, .put_off_since = earlier, .given_up_at = earlier}), "");
  EXPECT_THAT(said({.passed_at = earlier, .given_up_at = later, .detail = "550 5.1.1 no"}),
              HasSubstr("given up to 1 recipient: a@example at 2026-03-26 11:00 UTC: 550 5.1.1"));
  EXPECT_THAT(said({.put_off_since = later, .given_up_at = earlier, .detail = "452 full"}),
              HasSubstr("the server lets no mail pass: 452 full"));
}

TEST(PassageTest, WhatPassedADayAgoIsNoProof) {
  Passage passage;
  passage.Passed("a@example", kNoon);
  passage.PutOff("b@example", "no", true, kNoon + absl::Hours(24));
  EXPECT_FALSE(passage.NobodyPasses(kNoon + absl::Hours(24)));
  EXPECT_TRUE(passage.NobodyPasses(kNoon + absl::Hours(24) + absl::Seconds(1)));
  // Nor is one who is not tried any more still shown.
  EXPECT_EQ(passage.Sentence(kNoon + absl::Hours(49)), "");
}

TEST(PassageTest, KeepsABoundedNumberOfRecipients) {
  Passage passage;
  for (std::size_t i = 0; i < Passage::kMaxRecipients; ++i) {
    passage.PutOff(absl::StrCat(i), "no", true, kNoon);
  }
  passage.Passed("one more", kNoon);
  EXPECT_TRUE(passage.NobodyPasses(kNoon));
  passage.Passed("one more", kNoon + absl::Hours(25));
  EXPECT_FALSE(passage.NobodyPasses(kNoon + absl::Hours(25)));
}

TEST(AlertCodecTest, GivesEveryFieldBack) {
  const report::Alert alert = FullAlert();
  ASSERT_OK_AND_ASSIGN(const report::Alert back, DecodeAlert(EncodeAlert(alert)));
  EXPECT_EQ(EncodeAlert(back), EncodeAlert(alert));
  EXPECT_EQ(back.name, alert.name);
  EXPECT_EQ(back.used, alert.used);
  EXPECT_EQ(back.crossed_at, alert.crossed_at);
  EXPECT_EQ(back.basis, alert.basis);
  EXPECT_EQ(back.period, alert.period);
}

TEST(AlertCodecTest, RefusesCutAndChangedBytes) {
  const std::string whole = EncodeAlert(FullAlert());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeAlert(whole.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeAlert(whole + "x").ok());
  EXPECT_THAT(DecodeAlert("\x02" + whole.substr(1)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("unknown version")));
}

TEST(CheckAlertTest, NamesWhatCanNeverBeDelivered) {
  EXPECT_THAT(CheckAlert(FullAlert()), IsOk());
  const auto refused = [](auto change, const std::string& why) {
    report::Alert alert = FullAlert();
    change(alert);
    EXPECT_THAT(CheckAlert(alert), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  refused([](report::Alert& a) { a.breach_id = "x"; }, "breach_id");
  refused([](report::Alert& a) { a.site_id = "a b"; }, "site_id");
  refused([](report::Alert& a) { a.name = std::string(5000, 'x'); }, "4 KiB");
  refused([](report::Alert& a) { a.period_start = "yesterday"; }, "period_start");
  refused([](report::Alert& a) { a.crossed_at = absl::FromUnixSeconds(-1); }, "crossed_at_us");
}

}  // namespace
}  // namespace netsentinel::delivery
