#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/notifier/delivery/desk_fixture.h"

namespace netsentinel::delivery {
namespace {

using channel::Outcome;
using test::IsOk;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

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
  EXPECT_EQ(StatusFor("a@example"), Status::kWaiting);
  EXPECT_EQ(StatusFor("b@example"), Status::kWaiting);
  EXPECT_EQ(StatusFor("c@example"), Status::kDelivered);
  clock_.Advance(absl::Seconds(59));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(3));
  channel_.answers.erase("b@example");
  clock_.Advance(absl::Seconds(1));
  Work();
  EXPECT_EQ(StatusFor("b@example"), Status::kDelivered);
}

TEST_F(DeskTest, TheFirstMailOfASiteGoesBeforeTheDigestsOfOthers) {
  Accept({SampleAlert(1), SampleAlert(2, "karachi")});
  Work();
  Accept({SampleAlert(3), SampleAlert(4, "karachi")});
  channel_.otherwise = Outcome::kChannelDown;
  clock_.Advance(absl::Seconds(60));
  Work();
  clock_.Advance(absl::Minutes(2));
  Accept({SampleAlert(5, "multan")});
  channel_.otherwise = Outcome::kDelivered;
  channel_.sent.clear();
  Work();
  EXPECT_THAT(Subjects(),
              ElementsAre(HasSubstr("multan: user-5"), HasSubstr("user-4"), HasSubstr("user-3")));
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

TEST_F(DeskTest, ParksWhatCouldNotBeDeliveredForFiveDaysInWhichOthersGotMails) {
  for (const Outcome outcome : {Outcome::kRetry, Outcome::kRetrySlowly, Outcome::kNotPermitted}) {
    const int number = static_cast<int>(outcome);
    recipients_ = {absl::StrCat("a", number, "@example"), "b@example"};
    Start();
    channel_.answers = {{recipients_[0], outcome}};
    int half_days = 0;
    for (; half_days < 14; ++half_days) {
      // Somebody gets a mail twice a day.
      Accept({SampleAlert(1000 * number + half_days)});
      Work();
      ASSERT_OK_AND_ASSIGN(const auto counts, queue_->Counts());
      if (counts.parked > 0) break;
      clock_.Advance(absl::Hours(12));
    }
    EXPECT_EQ(half_days, 11) << number;
    channel_.answers.clear();
    clock_.Advance(absl::Minutes(31));
    Work();
    ASSERT_THAT(queue_->Purge(clock_.WallNow() + absl::Hours(41 * 24)), IsOk());
  }
}

TEST_F(DeskTest, WhileNobodysMailPassesNothingIsGivenUpHoweverLong) {
  recipients_ = {"a@example", "b@example"};
  for (const Outcome outcome : {Outcome::kRetry, Outcome::kRetrySlowly, Outcome::kNotPermitted}) {
    channel_.otherwise = Outcome::kDelivered;
    Accept({SampleAlert(100 + static_cast<int>(outcome))});
    Start();
    Work();
    clock_.Advance(absl::Minutes(2));
    channel_.otherwise = outcome;
    channel_.sent.clear();
    Accept({SampleAlert(static_cast<int>(outcome))});
    Work();
    clock_.Advance(absl::Minutes(1));
    Work();
    EXPECT_THAT(readiness_.Text(), HasSubstr("smtp: not ready: the server lets no mail pass"));
    for (int half_days = 0; half_days < 12; ++half_days) {
      Work();
      clock_.Advance(absl::Hours(12));
      if (half_days == 6) Start();  // A restart forgets nothing of it.
    }
    Work();
    EXPECT_THAT(readiness_.Text(), HasSubstr("smtp: not ready: the server lets no mail pass"));
    channel_.otherwise = Outcome::kDelivered;
    clock_.Advance(absl::Minutes(31));
    Work();
    ASSERT_OK_AND_ASSIGN(const auto counts, queue_->Counts());
    EXPECT_EQ(counts.parked, 0);
    EXPECT_EQ(counts.waiting, 0);
    EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
    clock_.Advance(absl::Minutes(2));
    Work();
  }
}

TEST_F(DeskTest, RestsBetweenAFewAttemptsWhileNobodysMailPasses) {
  for (int i = 0; i < 60; ++i) recipients_.push_back(absl::StrCat("r", i, "@example"));
  Start();
  channel_.otherwise = Outcome::kNotPermitted;
  Accept({SampleAlert(1)});
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(10));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(10));
  clock_.Advance(absl::Minutes(1));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(20));
  // The first that passes ends it.
  channel_.otherwise = Outcome::kDelivered;
  clock_.Advance(absl::Minutes(1));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(61));
}

TEST_F(DeskTest, SendsTheSameLetterAgainAfterACrashInTheMiddle) {
  Accept({SampleAlert(1)});
  ASSERT_THAT(desk_->FormLetters(clock_.WallNow()).failure, IsOk());
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

TEST_F(DeskTest, ALetterThatEndsTheProcessAgainAndAgainBacksOff) {
  Accept({SampleAlert(1)});
  ASSERT_THAT(desk_->FormLetters(clock_.WallNow()).failure, IsOk());
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

TEST_F(DeskTest, AFullQueueGoesOnDeliveringAndThenTakesTheAlertThatWaited) {
  limits_.waiting_deliveries = 2;
  Start();
  channel_.otherwise = Outcome::kChannelDown;
  Accept({SampleAlert(1, "lahore"), SampleAlert(2, "karachi")});
  Work();
  Accept({SampleAlert(3, "quetta")});
  Work();
  EXPECT_THAT(readiness_.Text(),
              HasSubstr("alerts: not ready: some alerts cannot become mails yet, "
                        "they wait: site quetta: as many deliveries wait"));
  channel_.otherwise = Outcome::kDelivered;
  channel_.sent.clear();
  clock_.Advance(absl::Minutes(5));
  Work();
  EXPECT_THAT(Subjects(),
              UnorderedElementsAre(HasSubstr("user-1"), HasSubstr("user-2"), HasSubstr("user-3")));
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
}

TEST_F(DeskTest, ADamagedAlertHoldsUpNeitherItsOwnSiteNorAnother) {
  Accept({SampleAlert(1, "lahore"), SampleAlert(2, "lahore"), SampleAlert(3, "karachi")});
  ChangeFile("UPDATE breaches SET alert = x'07' WHERE id LIKE '%1'");
  Start();
  Work();
  EXPECT_THAT(Subjects(), UnorderedElementsAre(HasSubstr("user-2"), HasSubstr("user-3")));
  EXPECT_THAT(logger_.Text(), HasSubstr("delivery.damaged"));
  EXPECT_THAT(logger_.Text(), HasSubstr("breach 000"));
  ASSERT_OK_AND_ASSIGN(const SetAside damage, queue_->DamageSince(absl::UnixEpoch()));
  EXPECT_EQ(damage.count, 1);
  EXPECT_THAT(damage.reason, HasSubstr("its checksum does not fit"));
  // It is out of the way, for good.
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
  ASSERT_OK_AND_ASSIGN(const auto counts, queue_->Counts());
  EXPECT_EQ(counts.pending_alerts, 0);
}

TEST_F(DeskTest, ABurstLeavesWithTheNextWindowAndEveryAlertStandsInSomeMail) {
  std::vector<report::Alert> alerts;
  for (int number = 1; number <= 20'000; ++number) alerts.push_back(SampleAlert(number));
  for (std::size_t at = 0; at < alerts.size(); at += 500) {
    Accept({alerts.begin() + static_cast<std::ptrdiff_t>(at),
            alerts.begin() + static_cast<std::ptrdiff_t>(at + 500)});
  }
  Work();
  clock_.Advance(absl::Minutes(1));
  Work();
  EXPECT_THAT(Subjects(),
              ElementsAre(HasSubstr("user-1 "), HasSubstr("5,000 quota alerts, first user-2"),
                          HasSubstr("5,000 quota alerts"), HasSubstr("5,000 quota alerts"),
                          HasSubstr("4,999 quota alerts")));
  std::size_t named = 1;
  for (const Sent& sent : channel_.sent) {
    if (sent.csv.empty()) continue;
    EXPECT_EQ(sent.csv_name, "netsentinel-lahore-alerts.csv");
    named += static_cast<std::size_t>(std::count(sent.csv.begin(), sent.csv.end(), '\n')) - 1;
  }
  EXPECT_EQ(named, 20'000U);
  ASSERT_OK_AND_ASSIGN(const auto counts, queue_->Counts());
  EXPECT_EQ(counts.pending_alerts, 0);
}

TEST_F(DeskTest, WhatIsNewGoesOutBeforeTheBurstThatDrains) {
  for (int i = 0; i < 10; ++i) recipients_.push_back(absl::StrCat("r", i, "@example"));
  Start();
  std::vector<report::Alert> alerts;
  for (int number = 1; number <= 15'000; ++number) alerts.push_back(SampleAlert(number));
  Accept(alerts);
  Work();
  channel_.sent.clear();
  clock_.Advance(absl::Minutes(1));
  // While the second mail of the burst is under way, another site's alert comes, and one of the
  // same site.
  channel_.on_send = [this] {
    if (channel_.sent.size() != 2) return;
    Accept({SampleAlert(20'001, "karachi"), SampleAlert(20'002)});
    clock_.Advance(absl::Minutes(1));
  };
  Work();
  ASSERT_THAT(channel_.sent, SizeIs(3 * 11 + 2 * 11));
  for (std::size_t i = 2; i < 2 + 2 * 11; ++i) {
    EXPECT_THAT(channel_.sent[i].subject,
                ::testing::AnyOf(HasSubstr("user-20001"), HasSubstr("user-20002")))
        << i;
  }
}

TEST_F(DeskTest, AlertsGoBeforeReportsThatWait) {
  for (int report = 0; report < 5; ++report) {
    ASSERT_THAT(queue_->AddLetter({.letter = {.id = absl::StrCat("report-", report),
                                              .date = clock_.WallNow(),
                                              .subject = "a report",
                                              .text = "a report"},
                                   .site_id = "lahore",
                                   .channel = "smtp",
                                   .recipients = {"boss@example"}},
                                  clock_.WallNow()),
                IsOk());
  }
  clock_.Advance(absl::Seconds(1));
  Accept({SampleAlert(1)});
  Work();
  ASSERT_THAT(channel_.sent, SizeIs(6));
  EXPECT_THAT(channel_.sent[0].subject, HasSubstr("user-1"));
}

// The next Finish() fails, as on a full disk, and later ones do not.
constexpr char kFinishFailsOnce[] =
    "CREATE TABLE failed(n INTEGER);"
    "CREATE TRIGGER fail_once BEFORE UPDATE OF done_us ON deliveries "
    "WHEN (SELECT count(*) FROM failed) = 0 BEGIN "
    "INSERT INTO failed VALUES(1); SELECT RAISE(FAIL, 'the disk is full'); END";

TEST_F(DeskTest, AResultThatCouldNotBeStoredIsStoredLaterAndTheMailNotSentTwice) {
  Accept({SampleAlert(1)});
  ChangeFile(kFinishFailsOnce);
  Start();
  Work();
  EXPECT_THAT(readiness_.Text(), HasSubstr("queue: not ready"));
  EXPECT_EQ(StatusFor("noc@example"), Status::kWaiting);
  clock_.Advance(absl::Seconds(5));
  Work();
  EXPECT_EQ(StatusFor("noc@example"), Status::kDelivered);
  EXPECT_THAT(channel_.sent, SizeIs(1));
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
}

TEST_F(DeskTest, ARetryWhoseResultCouldNotBeStoredIsMadeWithoutARestart) {
  Accept({SampleAlert(1)});
  ChangeFile(kFinishFailsOnce);
  Start();
  channel_.otherwise = Outcome::kRetry;
  Work();
  channel_.otherwise = Outcome::kDelivered;
  clock_.Advance(absl::Seconds(59));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
  clock_.Advance(absl::Seconds(1));
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(2));
  EXPECT_EQ(StatusFor("noc@example"), Status::kDelivered);
}

TEST_F(DeskTest, WaitsForAsLongAsNothingCanBeSent) {
  for (const Outcome outcome : {Outcome::kChannelDown, Outcome::kMisconfigured}) {
    channel_.otherwise = outcome;
    Accept({SampleAlert(static_cast<int>(outcome))});
    for (int day = 0; day < 10; ++day) {
      Work();
      clock_.Advance(absl::Hours(24));
    }
    EXPECT_EQ(StatusFor("noc@example"), Status::kWaiting);
    // Those attempts reached nobody: the first answer of a server that greylists is its first.
    channel_.otherwise = Outcome::kRetry;
    Work();
    channel_.otherwise = Outcome::kDelivered;
    clock_.Advance(absl::Minutes(1));
    Work();
    EXPECT_EQ(StatusFor("noc@example"), Status::kDelivered);
    clock_.Advance(absl::Hours(24));
    Work();
  }
}

TEST_F(DeskTest, GivesARecipientUpWhomTheServerDoesNotPermitOnlyWhileItServesOthers) {
  recipients_ = {"a@example", "b@example"};
  Start();
  channel_.otherwise = Outcome::kNotPermitted;
  Accept({SampleAlert(1)});
  for (int day = 0; day < 10; ++day) {
    Work();
    clock_.Advance(absl::Hours(24));
  }
  EXPECT_EQ(StatusFor("a@example"), Status::kWaiting);
  EXPECT_THAT(readiness_.Text(),
              HasSubstr("smtp: not ready: the server lets no mail pass: as told"));
  channel_.answers = {{"b@example", Outcome::kDelivered}};
  Work();
  EXPECT_EQ(StatusFor("b@example"), Status::kDelivered);
  EXPECT_THAT(readiness_.Text(),
              HasSubstr("smtp: not ready: mails of others pass, those to 1 recipient do not: "
                        "a@example since 2026-01-01 00:00 UTC: as told"));
  for (int day = 1; day <= 6; ++day) {
    clock_.Advance(absl::Hours(24));
    EXPECT_EQ(StatusFor("a@example"), Status::kWaiting) << day;
    Accept({SampleAlert(1 + day)});
    Work();
    ASSERT_OK_AND_ASSIGN(const auto counts, queue_->Counts());
    EXPECT_EQ(counts.parked, day == 6 ? 1 : 0);
  }
}

TEST_F(DeskTest, ShowsThatNothingCanBeSentBeforeAnythingIsToBe) {
  channel_.probe = Outcome::kChannelDown;
  EXPECT_LE(Work(), absl::Seconds(5));
  EXPECT_THAT(readiness_.Text(), HasSubstr("smtp: not ready: as probed; trying again in 5s"));
  channel_.probe = Outcome::kDelivered;
  clock_.Advance(absl::Seconds(5));
  Work();
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
  EXPECT_EQ(channel_.probes, 2);
  clock_.Advance(absl::Minutes(5) - absl::Seconds(1));
  Accept({SampleAlert(1)});
  Work();  // A delivery shows as much as a probe.
  clock_.Advance(absl::Minutes(5) - absl::Seconds(1));
  Work();
  EXPECT_EQ(channel_.probes, 2);
  channel_.probe = Outcome::kMisconfigured;
  clock_.Advance(absl::Seconds(1));
  Work();
  EXPECT_EQ(channel_.probes, 3);
  EXPECT_THAT(
      readiness_.Text(),
      HasSubstr("smtp: not ready: as probed; trying again in 15m, or at once after SIGHUP"));
}

TEST_F(DeskTest, AStopDuringAProbeOrAMailIsNoErrorOfTheServer) {
  std::stop_source stop;
  channel_.on_probe = [&] { stop.request_stop(); };
  channel_.probe = Outcome::kChannelDown;
  worker_->RunOnce(stop.get_token());
  EXPECT_EQ(channel_.probes, 1);
  EXPECT_THAT(logger_.Text(), Not(HasSubstr("delivery.channel_down")));

  Start();
  Accept({SampleAlert(1)});
  std::stop_source later;
  channel_.on_send = [&] { later.request_stop(); };
  channel_.otherwise = Outcome::kChannelDown;
  worker_->RunOnce(later.get_token());
  EXPECT_THAT(channel_.sent, SizeIs(1));
  EXPECT_THAT(logger_.Text(), Not(HasSubstr("delivery.channel_down")));
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
