#include <future>
#include <string>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/notifier/delivery/desk_fixture.h"

namespace netsentinel::delivery {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(DeskTest, SendsTheReportWhenItIsDueAndOnce) {
  AddKarachi();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
  clock_.Advance(absl::Hours(13) + absl::Minutes(15));  // 18:15 in Karachi
  reports_->RunOnce();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("lahore 2026-01-01 so far")));
  EXPECT_THAT(source_.asked, ElementsAre("lahore 2026-01-01", "lahore 2025-12-31"));
  EXPECT_EQ(channel_.sent[0].date, clock_.WallNow());
  Start();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
}

TEST_F(DeskTest, SendsTheLatestMissedReportOnStartWithItsOwnDateAndOnce) {
  AddKarachi();
  reports_->RunOnce();
  clock_.Advance(absl::Hours(2 * 24 + 20));  // 2026-01-04 01:00: three runs were missed
  Today();
  Start();
  reports_->RunOnce();
  reports_->RunOnce();
  Work();
  ASSERT_THAT(Subjects(), ElementsAre(HasSubstr("lahore 2026-01-03: ")));
  EXPECT_EQ(absl::FormatTime("%Y-%m-%d %H:%M", channel_.sent[0].date, source_.sites[0].zone),
            "2026-01-03 18:15");
  Start();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
}

TEST_F(DeskTest, OwesNoReportFromBeforeItsFirstStart) {
  AddKarachi();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
  Start();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
}

TEST_F(DeskTest, WaitsForAnAggregatorThatIsAwayAndSaysSo) {
  AddKarachi();
  source_.up = absl::UnavailableError("aggregator.example:7443: connection refused");
  clock_.Advance(absl::Hours(13) + absl::Minutes(15));
  EXPECT_LE(reports_->RunOnce(), absl::Seconds(60));
  EXPECT_THAT(readiness_.Text(), HasSubstr("aggregator: not ready: cannot make reports: "
                                           "aggregator.example:7443: connection refused"));
  source_.up = absl::OkStatus();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
}

TEST_F(DeskTest, AReportThatIsDueWhileAStandbyAnswersWaitsForFigures) {
  AddKarachi();
  reports_->RunOnce();
  clock_.Advance(absl::Hours(13) + absl::Minutes(15));
  source_.failing = {{"lahore", absl::UnavailableError("aggregator a:7443: this aggregator has no "
                                                       "figures: it is a standby")}};
  reports_->RunOnce();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
  EXPECT_THAT(readiness_.Text(), HasSubstr("it is a standby; they wait, trying again in"));
  source_.failing.clear();
  reports_->RunOnce();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("lahore 2026-01-01 so far")));
}

TEST_F(DeskTest, RendersAndSendsReportsWhenAsked) {
  AddKarachi();
  ASSERT_OK_AND_ASSIGN(const report::Rendering rendering, reports_->Render("", "lahore", ""));
  EXPECT_THAT(rendering.subject, HasSubstr("lahore 2026-01-01 so far"));
  ASSERT_OK_AND_ASSIGN(const auto ids,
                       reports_->Send({.report = "daily", .site_id = "", .day = "2025-12-30"}));
  EXPECT_THAT(ids, SizeIs(1));
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("lahore 2025-12-30: ")));
  EXPECT_THAT(reports_->Render("weekly", "lahore", ""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("it has: daily")));
  EXPECT_THAT(reports_->Render("", "quetta", ""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("the aggregator knows: lahore")));
  EXPECT_THAT(reports_->Render("", "lahore", "soon"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2026-03-29")));
}

TEST_F(DeskTest, CallsADayCompleteOnlyWhenTheSourceSaysThatItIsOver) {
  AddKarachi();
  // However the day is written.
  ASSERT_OK_AND_ASSIGN(report::Rendering rendering, reports_->Render("", "lahore", "2026-1-1"));
  EXPECT_THAT(rendering.subject, HasSubstr("lahore 2026-01-01 so far"));
  EXPECT_THAT(rendering.csv, HasSubstr("lahore,2026-01-01,so far,"));
  EXPECT_THAT(rendering.csv, Not(HasSubstr("2026-01-01,complete")));
  EXPECT_THAT(source_.asked, ElementsAre("lahore 2026-01-01", "lahore 2025-12-31"));
  EXPECT_THAT(reports_->Render("", "lahore", "2026-01-02"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("the day 2026-01-02 has not begun at site lahore, where it is "
                                 "2026-01-01")));
  EXPECT_THAT(reports_->Send({.report = "", .site_id = "lahore", .day = "2026-01-02"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("has not begun")));
}

TEST_F(DeskTest, AReportAtMidnightWaitsForAnAggregatorWhoseClockIsBehind) {
  report_settings_[0].at = {0, 0};
  Start();
  AddKarachi();
  reports_->RunOnce();
  clock_.Advance(absl::Hours(19));  // 2026-01-02 00:00, and the aggregator is at 2026-01-01 still
  EXPECT_LE(reports_->RunOnce(), absl::Seconds(2));
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
  EXPECT_THAT(readiness_.Text(), HasSubstr("the day 2026-01-02 has not begun at site lahore"));
  Today();
  clock_.Advance(absl::Seconds(2));
  reports_->RunOnce();
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("lahore 2026-01-02 so far")));
}

TEST_F(DeskTest, ReportSettingsChangeWhileTheAggregatorHangs) {
  AddKarachi();
  std::promise<void> hanging;
  std::promise<void> go_on;
  std::shared_future<void> released = go_on.get_future().share();
  source_.on_list = [&, first = true]() mutable {
    if (std::exchange(first, false)) hanging.set_value();
    released.wait();
  };
  std::jthread loop([&] { reports_->RunOnce(); });
  hanging.get_future().wait();
  reports_->Change({});  // Would wait for ever.
  go_on.set_value();
  loop.join();
  source_.on_list = nullptr;
  EXPECT_THAT(reports_->Render("daily", "lahore", ""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no report")));
}

TEST_F(DeskTest, ARoundEndsWhenTheAggregatorDoesNotAnswerAndBeatsAtEverySite) {
  for (const char* id : {"a", "b", "c"}) AddKarachi(id);
  clock_.Advance(absl::Hours(13) + absl::Minutes(15));
  int beats = 0;
  source_.failing = {{"b", absl::DeadlineExceededError("too slow")}};
  reports_->RunOnce([&beats] { ++beats; });
  EXPECT_EQ(beats, 2);
  EXPECT_THAT(source_.asked, ElementsAre("a 2026-01-01", "a 2025-12-31"));
  // Another error is the site's own.
  source_.failing = {{"b", absl::InternalError("odd")}};
  reports_->RunOnce([&beats] { ++beats; });
  EXPECT_EQ(beats, 5);
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr(" a "), HasSubstr(" c ")));
}

TEST_F(DeskTest, NamesSitesThatTheAggregatorDoesNotKnow) {
  report_settings_[0].sites = {"lahore", "lahroe"};
  Start();
  AddKarachi();
  reports_->RunOnce();
  const std::string sentence =
      "report daily: the aggregator knows no site \"lahroe\", it knows: lahore; did you mean "
      "lahore?";
  EXPECT_THAT(readiness_.Text(), HasSubstr("reports: not ready: " + sentence));
  EXPECT_THAT(logger_.Text(), HasSubstr("report.site_unusable"));
  EXPECT_THAT(reports_->Send({.report = "daily", .site_id = "", .day = ""}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(sentence)));
  report_settings_[0].sites = {"lahore"};
  reports_->Change(report_settings_);
  reports_->RunOnce();
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
}

TEST_F(DeskTest, OneSiteThatCannotBeUsedHoldsUpNoOther) {
  AddKarachi("a");
  source_.sites[0].fault = "site a: time zone \"Mars/Base\" is not known on this host";
  AddKarachi("b");
  reports_->RunOnce();
  clock_.Advance(absl::Hours(13) + absl::Minutes(15));
  reports_->RunOnce();
  EXPECT_THAT(readiness_.Text(), HasSubstr("reports: not ready: no report is made: site a"));
  EXPECT_THAT(reports_->Send({.report = "", .site_id = "", .day = ""}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("Mars/Base\" is not known on this host; the reports of the other "
                                 "sites were queued")));
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr(" b "), HasSubstr(" b ")));
}

TEST_F(DeskTest, QueuesNothingWhenOneOfSeveralReportsCannotBeRendered) {
  AddKarachi("a");
  AddKarachi("b");
  source_.failing = {{"b", absl::InternalError("odd")}};
  EXPECT_THAT(reports_->Send({.report = "", .site_id = "", .day = ""}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("site b: odd; nothing was queued")));
  EXPECT_THAT(
      reports_->Send({.report = "", .site_id = "a", .day = "", .gone = [] { return true; }}),
      StatusIs(absl::StatusCode::kCancelled, HasSubstr("nothing was queued")));
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
}

TEST_F(DeskTest, NamesWhatWasQueuedBeforeTheQueueWasFull) {
  limits_.waiting_deliveries = 1;
  Start();
  AddKarachi("a");
  AddKarachi("b");
  EXPECT_THAT(reports_->Send({.report = "", .site_id = "", .day = ""}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("queued before it: a")));
}

TEST_F(DeskTest, AClockThatWasOnceAheadSilencesNothing) {
  AddKarachi();
  ASSERT_THAT(queue_->SetLastRun({"daily", "lahore", "2026-06-01"}), IsOk());
  clock_.Advance(absl::Hours(13) + absl::Minutes(15));
  reports_->RunOnce();
  reports_->RunOnce();
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("lahore 2026-01-01")));
}

TEST_F(DeskTest, AReportOrSiteThatIsAddedInTheEveningWasNotMissed) {
  AddKarachi();
  reports_->RunOnce();
  clock_.Advance(absl::Hours(15));  // 20:00
  reports_->RunOnce();
  EXPECT_THAT(source_.asked, ElementsAre("lahore 2026-01-01", "lahore 2025-12-31"));
  AddKarachi("multan");
  report_settings_.push_back(report_settings_[0]);
  report_settings_[1].name = "second";
  reports_->Change(report_settings_);
  clock_.Advance(absl::Minutes(6));
  reports_->RunOnce();
  EXPECT_THAT(source_.asked, SizeIs(2));
  clock_.Advance(absl::Hours(24));
  Today();
  reports_->RunOnce();
  EXPECT_THAT(source_.asked, SizeIs(10));  // Two reports of two sites, two days each.
}

}  // namespace
}  // namespace netsentinel::delivery
