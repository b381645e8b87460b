#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/log/capturing_logger.h"
#include "notifier/delivery/delivery_worker.h"
#include "notifier/delivery/report_desk.h"
#include "tests/support/child_process.h"
#include "tests/support/fake_clock.h"
#include "tests/support/sample_report.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::delivery {
namespace {

using channel::Outcome;
using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

struct Sent {
  std::string letter_id;
  std::string recipient;
  std::string subject;
  absl::Time date;
};

// Answers what the test says; by default it delivers.
class ScriptedChannel final : public channel::Channel {
 public:
  absl::string_view name() const override { return "smtp"; }
  channel::SendResult Send(const channel::Letter& letter, const std::string& recipient) override {
    sent.push_back({letter.id, recipient, letter.subject, letter.date});
    const auto answer = answers.find(recipient);
    return {.outcome = answer == answers.end() ? otherwise : answer->second, .detail = "as told"};
  }
  std::map<std::string, Outcome> answers;
  Outcome otherwise = Outcome::kDelivered;
  std::vector<Sent> sent;
};

class FakeSource final : public UsageSource {
 public:
  absl::StatusOr<std::vector<Site>> ListSites() override {
    if (!up.ok()) return up;
    return sites;
  }
  absl::StatusOr<report::DayRanking> GetRanking(const std::string& site_id,
                                                const std::string& day) override {
    if (!up.ok()) return up;
    asked.push_back(absl::StrCat(site_id, " ", day));
    return test::SampleDay(2, day, false);
  }
  absl::Status up;
  std::vector<Site> sites;
  std::vector<std::string> asked;
};

report::Alert SampleAlert(int number, const std::string& site = "lahore") {
  return {.breach_id = absl::StrFormat("%064x", number),
          .site_id = site,
          .router_id = "hq-core",
          .name = absl::StrCat("user-", number),
          .quota_id = "default",
          .period = report::QuotaPeriod::kDay,
          .period_start = "2026-01-01",
          .time_zone = "Asia/Karachi",
          .basis = report::QuotaBasis::kDownload,
          .limit_bytes = 10ULL << 30,
          .threshold_percent = 100,
          .used = {0, 11ULL << 30},
          .crossed_at = absl::FromUnixSeconds(1767225600 + number),
          .crossed_at_local = "2026-01-01 05:00:01 +05:00"};
}

// A notifier without its gRPC services, on a clock that the test moves. Start() again is a restart.
class DeskTest : public ::testing::Test {
 protected:
  DeskTest() { Start(); }

  void Start() {
    worker_.reset();
    reports_.reset();
    desk_.reset();
    queue_.reset();
    auto queue = SqliteDeliveryQueue::Open(folder_.path() + "/queue.db", {}, clock_.WallNow());
    ASSERT_THAT(queue, IsOk());
    queue_ = *std::move(queue);
    auto renderer = report::HtmlRenderer::Create();
    ASSERT_THAT(renderer, IsOk());
    renderer_ = *std::move(renderer);
    desk_ = std::make_unique<AlertDesk>(
        AlertSettings{.channel = "smtp", .recipients = recipients_, .group = {}}, *queue_,
        *renderer_);
    worker_ = std::make_unique<DeliveryWorker>(
        WorkerParts{clock_, *queue_, channel_, *desk_, wakeup_, logger_, metrics_, readiness_,
                    liveness_.AddPulse("worker", absl::Hours(1))},
        RetryPolicy{});
    reports_ = std::make_unique<ReportDesk>(
        std::vector<ReportSettings>{
            {.name = "daily", .at = {18, 15}, .sites = {}, .recipients = {"boss@example"}}},
        "smtp", ReportParts{clock_, *queue_, source_, *renderer_, wakeup_, logger_, readiness_});
  }

  absl::Duration Work() { return worker_->RunOnce(std::stop_token()); }
  void Accept(const std::vector<report::Alert>& alerts) {
    ASSERT_THAT(queue_->Accept(alerts, clock_.WallNow()), IsOk());
  }
  std::vector<std::string> Recipients() const {
    std::vector<std::string> out;
    for (const Sent& sent : channel_.sent) out.push_back(sent.recipient);
    return out;
  }
  std::vector<std::string> Subjects() const {
    std::vector<std::string> out;
    for (const Sent& sent : channel_.sent) out.push_back(sent.subject);
    return out;
  }
  Status StatusFor(const std::string& recipient) {
    auto list = queue_->List(1000);
    EXPECT_THAT(list, IsOk());
    for (const DeliveryRecord& record : *list) {
      if (record.recipient == recipient) return record.status;
    }
    ADD_FAILURE() << "no delivery for " << recipient;
    return Status::kWaiting;
  }
  void AddKarachi() {
    Site site{.id = "lahore", .zone = {}, .day_start = {}, .current_day = ""};
    ASSERT_TRUE(absl::LoadTimeZone("Asia/Karachi", &site.zone));
    source_.sites = {site};
    Today();
  }
  // The source's current day by the clock.
  void Today() {
    for (Site& site : source_.sites) {
      site.current_day = IsoDate(LocalDayOf(clock_.WallNow(), site.day_start, site.zone));
    }
  }

  test::TempFolder folder_;
  test::FakeClock clock_{absl::FromUnixSeconds(1767225600)};  // 2026-01-01 05:00 in Asia/Karachi
  std::vector<std::string> recipients_ = {"noc@example"};
  ScriptedChannel channel_;
  FakeSource source_;
  Wakeup wakeup_;
  log::CapturingLogger logger_;
  metrics::Registry metrics_;
  http::Readiness readiness_;
  http::Liveness liveness_{clock_};
  std::unique_ptr<SqliteDeliveryQueue> queue_;
  std::unique_ptr<report::HtmlRenderer> renderer_;
  std::unique_ptr<AlertDesk> desk_;
  std::unique_ptr<DeliveryWorker> worker_;
  std::unique_ptr<ReportDesk> reports_;
};

TEST_F(DeskTest, SendsTheFirstAlertAtOnceAndTheRestOfTheWindowAsOneDigest) {
  Accept({SampleAlert(1), SampleAlert(2)});
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("user-1 passed 100 % of 10.00 GiB download")));
  Accept({SampleAlert(3)});
  EXPECT_LE(Work(), absl::Seconds(60));
  EXPECT_THAT(channel_.sent, SizeIs(1));
  clock_.Advance(absl::Seconds(60));
  Work();
  EXPECT_THAT(Subjects(),
              ElementsAre(HasSubstr("user-1"), HasSubstr("2 quota alerts, first user-2")));
  // The window after a quiet one begins anew.
  clock_.Advance(absl::Seconds(61));
  Work();
  Accept({SampleAlert(4)});
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(3));
}

TEST_F(DeskTest, GroupsEachSiteByItself) {
  Accept({SampleAlert(1, "lahore"), SampleAlert(2, "karachi")});
  Work();
  EXPECT_THAT(Subjects(),
              UnorderedElementsAre(HasSubstr("lahore: user-1"), HasSubstr("karachi: user-2")));
}

TEST_F(DeskTest, TakesAKnownIdAgainWithoutSendingItAgain) {
  Accept({SampleAlert(1)});
  Work();
  Accept({SampleAlert(1)});
  clock_.Advance(absl::Hours(39 * 24));
  Start();
  Accept({SampleAlert(1)});
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
}

TEST_F(DeskTest, ForgetsDeliveredIdsAfterFortyDays) {
  Accept({SampleAlert(1)});
  Work();
  clock_.Advance(absl::Hours(41 * 24));
  ASSERT_THAT(queue_->Purge(clock_.WallNow()), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto list, queue_->List(10));
  EXPECT_THAT(list, IsEmpty());
  Accept({SampleAlert(1)});
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(2));
}

TEST_F(DeskTest, OneRefusedRecipientHoldsUpNobody) {
  recipients_ = {"a@example", "b@example", "c@example"};
  Start();
  channel_.answers = {{"a@example", Outcome::kRejected}, {"b@example", Outcome::kRetry}};
  Accept({SampleAlert(1)});
  Work();
  EXPECT_THAT(Recipients(), ElementsAre("a@example", "b@example", "c@example"));
  EXPECT_EQ(StatusFor("a@example"), Status::kParked);
  EXPECT_EQ(StatusFor("b@example"), Status::kWaiting);
  EXPECT_EQ(StatusFor("c@example"), Status::kDelivered);
  clock_.Advance(absl::Seconds(59));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(3));
  channel_.answers.clear();
  clock_.Advance(absl::Seconds(1));
  Work();
  EXPECT_EQ(StatusFor("b@example"), Status::kDelivered);
  EXPECT_THAT(logger_.Text(), HasSubstr("delivery.parked"));
}

TEST_F(DeskTest, TriesAMisconfiguredChannelOnceAQuarterOfAnHour) {
  recipients_ = {"a@example", "b@example"};
  Start();
  channel_.otherwise = Outcome::kMisconfigured;
  Accept({SampleAlert(1)});
  for (int minute = 0; minute < 45; ++minute) {
    Work();
    clock_.Advance(absl::Minutes(1));
  }
  EXPECT_THAT(channel_.sent, SizeIs(3));
  EXPECT_THAT(readiness_.Text(), HasSubstr("smtp: not ready: as told"));
  channel_.otherwise = Outcome::kDelivered;
  clock_.Advance(absl::Minutes(15));
  Work();
  EXPECT_EQ(StatusFor("a@example"), Status::kDelivered);
  EXPECT_EQ(StatusFor("b@example"), Status::kDelivered);
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
}

TEST_F(DeskTest, FoldsAlertsIntoOneDigestWhileNothingCanBeSent) {
  channel_.otherwise = Outcome::kChannelDown;
  for (int number = 1; number <= 50; ++number) {
    Accept({SampleAlert(number)});
    Work();
    clock_.Advance(absl::Minutes(1));
  }
  ASSERT_OK_AND_ASSIGN(const auto waiting, queue_->List(100));
  EXPECT_THAT(waiting, SizeIs(1));
  channel_.otherwise = Outcome::kDelivered;
  channel_.sent.clear();
  clock_.Advance(absl::Minutes(5));
  Work();
  clock_.Advance(absl::Minutes(1));
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("user-1 passed"), HasSubstr("49 quota alerts")));
}

TEST_F(DeskTest, ParksWhatCouldNotBeDeliveredForFiveDays) {
  channel_.otherwise = Outcome::kRetry;
  Accept({SampleAlert(1)});
  for (int half_hours = 0; half_hours < 5 * 48 + 4; ++half_hours) {
    Work();
    clock_.Advance(absl::Minutes(30));
  }
  EXPECT_EQ(StatusFor("noc@example"), Status::kParked);
  const std::size_t attempts = channel_.sent.size();
  clock_.Advance(absl::Hours(24));
  Work();
  EXPECT_EQ(channel_.sent.size(), attempts);
}

TEST_F(DeskTest, SendsTheSameLetterAgainAfterACrashInTheMiddle) {
  Accept({SampleAlert(1)});
  ASSERT_THAT(desk_->FormLetters(clock_.WallNow()), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto task, queue_->Claim("smtp", clock_.WallNow()));
  ASSERT_TRUE(task.has_value());
  // Claimed and never finished: nobody else may take it, and a restart may.
  ASSERT_OK_AND_ASSIGN(const auto none, queue_->Claim("smtp", clock_.WallNow() + absl::Hours(1)));
  EXPECT_FALSE(none.has_value());
  Start();
  Work();
  ASSERT_THAT(channel_.sent, SizeIs(1));
  EXPECT_EQ(channel_.sent[0].letter_id, task->letter.id);
  EXPECT_EQ(channel_.sent[0].date, task->letter.date);
  EXPECT_EQ(channel_.sent[0].date, absl::FromUnixSeconds(1767225601));
}

TEST_F(DeskTest, KeepsAcceptedAlertsThroughARestartBeforeTheLetter) {
  Accept({SampleAlert(1)});
  Start();
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
}

TEST_F(DeskTest, RefusesASecondProcessOnTheSameFile) {
  EXPECT_THAT(SqliteDeliveryQueue::Open(folder_.path() + "/queue.db", {}, clock_.WallNow()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("queue.db")));
}

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

TEST_F(DeskTest, RendersAndSendsReportsWhenAsked) {
  AddKarachi();
  ASSERT_OK_AND_ASSIGN(const report::Rendering rendering, reports_->Render("", "lahore", ""));
  EXPECT_THAT(rendering.subject, HasSubstr("lahore 2026-01-01 so far"));
  ASSERT_OK_AND_ASSIGN(const auto ids, reports_->Send("daily", "", "2025-12-30"));
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

TEST_F(DeskTest, ALetterThatEndsTheProcessAgainAndAgainBacksOff) {
  Accept({SampleAlert(1)});
  ASSERT_THAT(desk_->FormLetters(clock_.WallNow()), IsOk());
  for (int crash = 0; crash < 3; ++crash) {
    ASSERT_OK_AND_ASSIGN(const auto task, queue_->Claim("smtp", clock_.WallNow()));
    ASSERT_TRUE(task.has_value()) << crash;
    Start();
    if (crash == 1) clock_.Advance(absl::Minutes(1));
  }
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
  clock_.Advance(absl::Minutes(2));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
}

TEST(WakeupTest, EndsAWaitFromAnotherThreadAndOnStop) {
  Wakeup wakeup;
  std::stop_source stop;
  std::thread other([&] { wakeup.Wake(); });
  wakeup.Wait(absl::Seconds(100), stop.get_token());
  other.join();
  std::thread stopper([&] { stop.request_stop(); });
  wakeup.Wait(absl::Seconds(100), stop.get_token());
  stopper.join();
}

}  // namespace
}  // namespace netsentinel::delivery
