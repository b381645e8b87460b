#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "notifier/report/alert_text.h"
#include "notifier/report/ranking_text.h"
#include "notifier/report/safe_text.h"
#include "notifier/report/shares.h"
#include "notifier/report/words.h"
#include "tests/support/golden.h"
#include "tests/support/sample_report.h"

namespace netsentinel::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(SharesTest, GivesThousandthsByLargestRemainder) {
  EXPECT_THAT(SharesPermille({1, 1, 1}, 0), ElementsAre(334, 333, 333, 0));
  EXPECT_THAT(SharesPermille({2, 1}, 1), ElementsAre(500, 250, 250));
  EXPECT_THAT(SharesPermille({0, 0}, 0), ElementsAre(0, 0, 0));
  EXPECT_THAT(SharesPermille({}, 5), ElementsAre(1000));
  EXPECT_THAT(SharesPermille({~0ULL, ~0ULL}, 0), ElementsAre(500, 500, 0));
}

TEST(SharesTest, AddUpToAThousandForAnyTotals) {
  base::SeededRandom random(3);
  for (int round = 0; round < 3'000; ++round) {
    std::vector<std::uint64_t> totals(random.Next() % 60);
    for (std::uint64_t& total : totals) total = random.Next() >> (random.Next() % 64);
    const std::uint64_t others = random.Next() % 2 == 0 ? 0 : random.Next() >> 20;
    const std::vector<std::uint32_t> shares = SharesPermille(totals, others);
    const bool any = others != 0 || std::any_of(totals.begin(), totals.end(),
                                                [](std::uint64_t total) { return total != 0; });
    ASSERT_EQ(std::accumulate(shares.begin(), shares.end(), 0U), any ? 1000U : 0U);
  }
}

TEST(SharesTest, KeepsSharesThatAddUpAndReplacesOthers) {
  DayRanking day = test::SampleDay(3, "2026-03-26", true);
  day.rows[0].share_permille = 500;
  day.rows[1].share_permille = 499;
  day.rows[2].share_permille = 1;
  NormalizeShares(day);
  EXPECT_EQ(day.rows[1].share_permille, 499U);
  day.rows[1].share_permille = 498;
  NormalizeShares(day);
  EXPECT_EQ(day.rows[0].share_permille + day.rows[1].share_permille + day.rows[2].share_permille,
            1000U);
}

TEST(ShareRowsTest, GivesEachDayHalfAndTheRestToTheOther) {
  const auto shown = [](std::size_t day, std::size_t before) {
    const RowShares rows = ShareRows(day, before, 200);
    return std::vector<std::size_t>{rows.day, rows.day_before};
  };
  EXPECT_THAT(shown(0, 0), ElementsAre(0, 0));
  EXPECT_THAT(shown(40, 40), ElementsAre(40, 40));
  EXPECT_THAT(shown(5000, 5000), ElementsAre(100, 100));
  EXPECT_THAT(shown(5000, 30), ElementsAre(170, 30));
  EXPECT_THAT(shown(30, 5000), ElementsAre(30, 170));
  EXPECT_THAT(shown(5000, 0), ElementsAre(200, 0));
}

std::string Text(const RankedReport& report) {
  return RankingText(report, RankingCsv(report).rows);
}

TEST(RankingTextTest, IsWhatTheGoldenFileSays) {
  test::ExpectGolden(Text(test::SampleReport(8)), "notifier/report.txt");
}

TEST(RankingTextTest, SaysWhenNothingMoved) {
  const std::string text = Text(test::SampleReport(0));
  EXPECT_THAT(text, HasSubstr("Thursday 26 March 2026, so far\n"));
  EXPECT_THAT(text, HasSubstr("Wednesday 25 March 2026, complete\n"));
  EXPECT_THAT(text, HasSubstr("No subscriber moved any traffic."));
}

TEST(RankingTextTest, CountsTheRowsThatOnlyTheFileHas) {
  const std::string text = Text(test::SampleReport(5000));
  EXPECT_THAT(text, HasSubstr("4,900 more subscribers are in the CSV file attached to the mail."));
  EXPECT_THAT(text, HasSubstr("\n100. customer-00099"));
  EXPECT_THAT(text, Not(HasSubstr("\n101. ")));
}

TEST(RankingTextTest, NamesTheRoutersThatAreStillOpen) {
  EXPECT_THAT(Text(test::SampleReport(2)), HasSubstr("Wednesday 25 March 2026, not closed yet"));
  EXPECT_THAT(Text(test::SampleReport(2)),
              HasSubstr("Still open, later readings may add to this day: gulberg-2."));
}

// A day of nobody at the site "lahore".
DayRanking EmptyDay(Observation observation) {
  DayRanking day;
  day.day = "2026-11-29";
  day.observation = observation;
  return day;
}

// "2026-11-30 13:48" at the site, after EmptyDay.
const absl::Time kBegan = absl::FromUnixSeconds(1'796'028'480);

std::vector<std::string> NotesOf(const DayRanking& day) {
  absl::TimeZone zone;
  absl::LoadTimeZone("Asia/Karachi", &zone);
  return DayNotes(day, zone);
}

TEST(DayNotesTest, ADayBeforeReadingBeganIsNotObserved) {
  DayRanking day = EmptyDay(Observation::kNothing);
  day.reading_began = kBegan;
  day.began_later = true;
  EXPECT_EQ(DayTitle(day), "Sunday 29 November 2026, not observed");
  EXPECT_THAT(NotesOf(day),
              ElementsAre("Not observed: reading began on 30 November 2026 at 13:48."));
  day.reading_began = absl::InfiniteFuture();
  EXPECT_THAT(NotesOf(day), ElementsAre("Not observed: no router of this site has been read yet."));
}

TEST(ReportSubjectTest, CallsADayThatNobodyReadNotObserved) {
  RankedReport report;
  report.site_id = "lahore";
  report.day = EmptyDay(Observation::kNothing);
  EXPECT_EQ(ReportSubject(report), "NetSentinel lahore 2026-11-29: not observed");
  report.day.observation = Observation::kWhole;
  EXPECT_EQ(ReportSubject(report), "NetSentinel lahore 2026-11-29: 0 B, 0 subscribers");
}

TEST(DayNotesTest, ADayOnWhichNoRouterWasReadSaysWhereItsFiguresAreFrom) {
  DayRanking day = EmptyDay(Observation::kNothing);
  day.reading_began = kBegan - absl::Hours(24 * 9);
  EXPECT_EQ(DayTitle(day), "Sunday 29 November 2026, not observed");
  EXPECT_THAT(NotesOf(day),
              ElementsAre("Not observed: no router of this site was read on this day."));
  day.subscriber_count = 1;
  day.total = {1024, 2048};
  EXPECT_THAT(NotesOf(day),
              ElementsAre("Not observed: no router of this site was read on this day. The figures "
                          "are divided from readings before and after it.",
                          HasSubstr("1 subscriber, 3.00 KiB in total")));
}

TEST(DayNotesTest, RoutersThatADayLacksAreNamed) {
  DayRanking day = EmptyDay(Observation::kPartly);
  day.reading_began = kBegan - absl::Hours(24);
  day.open_routers = {"branch"};
  day.observed_routers = {{"hq-core", kBegan - absl::Hours(24), true},
                          {"branch", absl::InfiniteFuture(), false},
                          {"lab", kBegan - absl::Hours(99), false}};
  EXPECT_EQ(DayTitle(day), "Sunday 29 November 2026, not all read");
  EXPECT_THAT(NotesOf(day),
              ElementsAre("No subscriber moved any traffic.",
                          "Not read on this day: branch (never read yet), lab.",
                          "First read on this day, earlier traffic is not in the figures: hq-core "
                          "from 29 November 2026 at 13:48."));
  day.open_routers = {"branch", "lab"};
  EXPECT_EQ(DayTitle(day), "Sunday 29 November 2026, not closed yet");
}

TEST(DayNotesTest, NothingIsClaimedOfADayOfWhichNothingIsKnown) {
  EXPECT_THAT(
      NotesOf(EmptyDay(Observation::kUnknown)),
      ElementsAre("No traffic is known; whether the routers were read is not known either."));
  EXPECT_THAT(NotesOf(EmptyDay(Observation::kWhole)),
              ElementsAre("No subscriber moved any traffic."));
}

TEST(StandingTextTest, SaysHowFullAQuotaIsAndOfWhat) {
  EXPECT_EQ(StandingText(std::nullopt), "none");
  Standing standing{.state = StandingState::kNear,
                    .limit_bytes = 50'000'000,
                    .percent = 83,
                    .counted_state = StandingState::kNear,
                    .counted_percent = 84};
  EXPECT_EQ(StandingText(standing), "near, 83 %");
  EXPECT_EQ(LimitText(standing), "of 47.68 MiB (download, per day)");
  standing.counted_state = StandingState::kOver;
  standing.counted_percent = 101;
  standing.basis = QuotaBasis::kTotal;
  standing.period = QuotaPeriod::kMonth;
  EXPECT_EQ(LimitText(standing), "of 47.68 MiB (total, per month); counted 101 %");
  standing.state = StandingState::kOver;
  standing.percent = 1'234;
  EXPECT_EQ(StandingText(standing), "over, 1,234 %");
}

TEST(RankingCsvTest, IsWhatTheGoldenFileSays) {
  test::ExpectGolden(RankingCsv(test::SampleReport(8)).csv, "notifier/report.csv");
}

TEST(RankingCsvTest, HasEveryRowOfBothDays) {
  const std::string csv = RankingCsv(test::SampleReport(5000)).csv;
  const std::vector<std::string> lines = absl::StrSplit(csv, "\r\n");
  EXPECT_EQ(lines.size(), 10'002U);
  EXPECT_EQ(lines.back(), "");
}

TEST(RankingCsvTest, KeepsToItsSizeAndTheTextSaysWhatIsMissing) {
  const RankedReport report = test::SampleReport(5000);
  const RankingFile file = RankingCsv(report, 100'000);
  EXPECT_LE(file.csv.size(), 100'000U);
  EXPECT_GT(file.csv.size(), 99'000U);
  const std::vector<std::string> lines = absl::StrSplit(file.csv, "\r\n");
  EXPECT_EQ(lines.size(), file.rows.day + file.rows.day_before + 2);
  EXPECT_LE(file.rows.day - file.rows.day_before, 1U);
  EXPECT_THAT(lines[1], HasSubstr("lahore,2026-03-26,so far,1,"));
  EXPECT_THAT(lines[file.rows.day + 1], HasSubstr("lahore,2026-03-25,not closed yet,1,"));
  EXPECT_THAT(RankingText(report, file.rows),
              HasSubstr(GroupDigits(5000 - file.rows.day) +
                        " more subscribers are not in this report, since the CSV file would be "
                        "too large for a mail."));
}

TEST(RankingCsvTest, HasNoCellThatBeginsBehindASemicolon) {
  RankedReport report = test::SampleReport(1);
  report.day.rows[0].name = "a;=1+1";
  EXPECT_THAT(RankingCsv(report).csv, HasSubstr(",a\\x3B=1+1,"));
}

TEST(DayNotesTest, DatesTheLastReadingWhenItIsOfAnotherDay) {
  DayRanking day = test::SampleDay(1, "2026-03-26", true);
  const auto note = [&] { return DayNotes(day, absl::FixedTimeZone(5 * 3600)).front(); };
  EXPECT_EQ(note(), "Up to the last reading at 19:14:55 (UTC+05:00).");
  day.as_of -= absl::Hours(24);
  EXPECT_EQ(note(), "Up to the last reading at 2026-03-25 19:14:55 (UTC+05:00).");
}

TEST(SubjectTest, SaysSiteDayAndSum) {
  RankedReport report = test::SampleReport(1);
  EXPECT_EQ(ReportSubject(report), "NetSentinel lahore 2026-03-26 so far: 60.00 GiB, 1 subscriber");
  report.day.so_far = false;
  EXPECT_EQ(ReportSubject(report), "NetSentinel lahore 2026-03-26: 60.00 GiB, 1 subscriber");
}

Alert SampleAlert() {
  return {.breach_id = std::string(64, 'a'),
          .site_id = "lahore",
          .router_id = "hq-core",
          .name = "ali",
          .quota_id = "default",
          .period = QuotaPeriod::kDay,
          .period_start = "2026-03-26",
          .time_zone = "Asia/Karachi",
          .basis = QuotaBasis::kDownload,
          .limit_bytes = 10ULL << 30,
          .threshold_percent = 100,
          .used = {1ULL << 30, 11ULL << 30},
          .crossed_at = absl::FromUnixSeconds(1774534495),
          .crossed_at_local = "2026-03-26 19:14:55 +05:00"};
}

TEST(AlertTextTest, SaysWhoPassedWhatAndWhen) {
  const Alert alert = SampleAlert();
  EXPECT_EQ(AlertSubject({alert}), "NetSentinel lahore: ali passed 100 % of 10.00 GiB download");
  EXPECT_EQ(AlertText({alert}),
            "ali passed 100 % of 10.00 GiB download for the day 2026-03-26: 11.00 GiB used.\n"
            "Seen at 2026-03-26 19:14:55 +05:00 (Asia/Karachi), site lahore, router hq-core, "
            "quota default; 11.00 GiB down, 1.00 GiB up so far.\n\n"
            "The figures are what was provably used. Each threshold alerts once.\n");
}

TEST(AlertTextTest, CountsAlertsOfADigestAndThoseItDoesNotList) {
  const std::vector<Alert> alerts(203, SampleAlert());
  EXPECT_EQ(AlertSubject(alerts), "NetSentinel lahore: 203 quota alerts, first ali");
  EXPECT_THAT(AlertText(alerts), HasSubstr("3 more alerts are in the attached file."));
}

TEST(AlertTextTest, KeepsLineBreaksOutOfSubjects) {
  Alert alert = SampleAlert();
  alert.name = "x\r\nBcc: everyone@example";
  EXPECT_EQ(AlertSubject({alert}).find_first_of("\r\n"), std::string::npos);
}

}  // namespace
}  // namespace netsentinel::report
