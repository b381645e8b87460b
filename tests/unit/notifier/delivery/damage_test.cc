// The delivery queue's file when it is damaged, full, of an older version or somebody else's.
#include <filesystem>
#include <fstream>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "notifier/delivery/alert_codec.h"
#include "notifier/delivery/queue_watch.h"
#include "notifier/delivery/row_checksum.h"
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

class DamageTest : public DeskTest {
 protected:
  // Closes the queue, whose log then is part of the file.
  void Close() { ChangeFile("SELECT 1"); }
  std::string Bytes() const {
    std::ifstream file(Path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void Write(const std::string& bytes) const {
    std::ofstream(Path(), std::ios::binary | std::ios::trunc) << bytes;
  }
  // Changes the one place of the closed file where `what` stands.
  void FlipIn(const std::string& what) {
    Close();
    std::string bytes = Bytes();
    const std::size_t at = bytes.find(what);
    ASSERT_NE(at, std::string::npos) << what;
    for (std::size_t next = at; next != std::string::npos; next = bytes.find(what, next + 1)) {
      bytes[next + what.size() / 2] ^= 0x01;
    }
    Write(bytes);
  }
  std::vector<std::string> DamagedFiles() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.find(".damaged-") != std::string::npos) found.push_back(name);
    }
    return found;
  }
  SetAside Damage() {
    auto damage = queue_->DamageSince(absl::UnixEpoch());
    EXPECT_THAT(damage, IsOk());
    return damage.value_or(SetAside());
  }
  WatchParts Parts() { return {clock_, *queue_, logger_, metrics_, readiness_, liveness_}; }
};

TEST(RowChecksumTest, EveryFieldAndTheirOrderCount) {
  const std::uint32_t checksum = RowChecksum({"a", "bc"}, {1, 2});
  EXPECT_EQ(checksum, RowChecksum({"a", "bc"}, {1, 2}));
  EXPECT_NE(checksum, RowChecksum({"ab", "c"}, {1, 2}));
  EXPECT_NE(checksum, RowChecksum({"bc", "a"}, {1, 2}));
  EXPECT_NE(checksum, RowChecksum({"a", "bc"}, {2, 1}));
  EXPECT_NE(checksum, RowChecksum({"a", "bc"}, {1}));
}

TEST_F(DamageTest, AMailWithOneFlippedBitIsNotSentButMadeAnewFromItsAlert) {
  channel_.otherwise = Outcome::kChannelDown;
  Accept({SampleAlert(1)});
  Work();
  FlipIn("passed 100 % of 10.00 GiB download for the day");
  channel_.otherwise = Outcome::kDelivered;
  channel_.sent.clear();
  Start();
  Work();
  ASSERT_THAT(channel_.sent, SizeIs(1));
  EXPECT_THAT(channel_.sent[0].subject, HasSubstr("user-1 passed 100 %"));
  EXPECT_THAT(channel_.sent[0].text, HasSubstr("passed 100 % of 10.00 GiB download for the day"));
  EXPECT_EQ(StatusFor("noc@example"), Status::kDelivered);
  EXPECT_THAT(Damage().reason, HasSubstr("made anew from its alerts"));
  EXPECT_THAT(logger_.Text(), HasSubstr("delivery.damaged"));
}

TEST_F(DamageTest, AMailThatSomebodyHasIsNotSentDamagedToTheOthers) {
  recipients_ = {"a@example", "b@example"};
  Start();
  channel_.answers = {{"b@example", Outcome::kRetry}};
  Accept({SampleAlert(1)});
  Work();
  FlipIn("passed 100 % of 10.00 GiB download for the day");
  channel_.answers.clear();
  channel_.sent.clear();
  Start();
  clock_.Advance(absl::Hours(1));
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
  EXPECT_EQ(StatusFor("a@example"), Status::kDelivered);
  EXPECT_EQ(StatusFor("b@example"), Status::kParked);
}

TEST_F(DamageTest, ADeliveryWithAFlippedAddressIsGivenUpAndTheOthersGo) {
  recipients_ = {"alpha@example", "bravo@example"};
  Start();
  channel_.otherwise = Outcome::kChannelDown;
  Accept({SampleAlert(1)});
  Work();
  FlipIn("alpha@example");
  channel_.otherwise = Outcome::kDelivered;
  channel_.sent.clear();
  Start();
  Work();
  EXPECT_THAT(Recipients(), ElementsAre("bravo@example"));
  ASSERT_OK_AND_ASSIGN(const auto counts, queue_->Counts());
  EXPECT_EQ(counts.parked, 1);
  EXPECT_EQ(Damage().count, 1);
}

TEST_F(DamageTest, AnyDamagedPageHoldsUpNoAlertThatIsNotOnIt) {
  for (int number = 1; number <= 30; ++number) {
    Accept({SampleAlert(number, absl::StrCat("site-", number))});
  }
  Close();
  const std::string good = Bytes();
  constexpr std::size_t kPage = 4096;
  ASSERT_EQ(good.size() % kPage, 0U);
  std::size_t least = 30;
  for (std::size_t page = 0; page * kPage < good.size(); ++page) {
    for (const auto& old : DamagedFiles()) std::filesystem::remove(folder_.path() + "/" + old);
    std::string bad = good;
    for (std::size_t i = page * kPage; i < (page + 1) * kPage; ++i) {
      bad[i] = static_cast<char>(i * 31 + 7);
    }
    Write(bad);
    channel_.sent.clear();
    Start();
    Work();
    std::set<std::string> subjects;
    for (const Sent& sent : channel_.sent) {
      EXPECT_TRUE(subjects.insert(sent.subject).second) << page << " " << sent.subject;
    }
    // Rows are found by their pages, also where the page that leads to them, or the first one with
    // the schema, is the damaged one.
    std::size_t on_it = 0;
    const std::string content = good.substr(page * kPage, kPage);
    for (std::size_t at = 0; (at = content.find("user-", at)) != std::string::npos; ++at) ++on_it;
    least = std::min(least, subjects.size());
    EXPECT_GE(subjects.size() + on_it, 30U) << page;
    if (subjects.size() < 30) {
      EXPECT_GE(Damage().count, 1) << page;
      EXPECT_THAT(DamagedFiles(), Not(IsEmpty())) << page;
      EXPECT_THAT(logger_.Text(), HasSubstr("delivery.damaged"));
    }
    // It takes and delivers what comes next.
    channel_.sent.clear();
    Accept({SampleAlert(1000, "next")});
    Work();
    EXPECT_THAT(channel_.sent, SizeIs(1)) << page;
    Close();
  }
  // Some page had alerts on it, else this has shown nothing.
  EXPECT_LT(least, 30U);
}

TEST_F(DamageTest, APageThatIsDamagedWhileItRunsIsRepairedWithoutARestart) {
  for (int number = 1; number <= 30; ++number) {
    Accept({SampleAlert(number, absl::StrCat("site-", number))});
  }
  Close();
  std::string bytes = Bytes();
  const std::size_t at = bytes.find("user-17");
  ASSERT_NE(at, std::string::npos);
  // The queue opens, and the page goes bad before it is read.
  Start();
  const std::size_t page = at / 4096 * 4096;
  {
    std::fstream file(Path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(page));
    file << std::string(4096, '\x55');
  }
  Work();
  Work();
  EXPECT_GE(channel_.sent.size(), 15U);
  Accept({SampleAlert(1000, "next")});
  Work();
  EXPECT_THAT(channel_.sent.back().subject, HasSubstr("user-1000"));
  EXPECT_THAT(readiness_.Text(), Not(HasSubstr("queue: not ready")));
}

TEST_F(DeskTest, IsReadyWithTheFirstMailOfABacklog) {
  for (int number = 1; number <= 20; ++number) {
    Accept({SampleAlert(number, absl::StrCat("site-", number))});
  }
  Start();
  readiness_.NotReady("queue", "not opened yet");
  std::vector<std::string> seen;
  channel_.on_send = [&] { seen.push_back(readiness_.Text()); };
  Work();
  ASSERT_THAT(seen, SizeIs(20));
  EXPECT_THAT(seen[0], Not(HasSubstr("queue: not ready")));
}

TEST_F(DamageTest, DamageIsToldWithTheFirstMailOfABacklog) {
  for (int number = 1; number <= 30; ++number) {
    Accept({SampleAlert(number, absl::StrCat("site-", number))});
  }
  FlipIn("user-17");
  Start();
  std::vector<std::string> seen;
  channel_.on_send = [&] { seen.push_back(logger_.Text()); };
  Work();
  ASSERT_GE(seen.size(), 20U);
  EXPECT_THAT(seen[0], HasSubstr("delivery.damaged"));
}

TEST_F(DamageTest, ReadsAFileOfTheVersionBefore) {
  Close();
  std::filesystem::remove(Path());
  const report::Alert told = SampleAlert(1);
  const report::Alert pending = SampleAlert(2, "karachi");
  {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<sqlite::Database> old,
                         sqlite::Database::Open(Path(), {}));
    ASSERT_THAT(old->Execute(R"(
CREATE TABLE letters(
  id TEXT PRIMARY KEY, site TEXT NOT NULL, is_alert INTEGER NOT NULL, subject TEXT NOT NULL,
  text TEXT NOT NULL, html TEXT NOT NULL, csv_name TEXT NOT NULL, csv BLOB NOT NULL,
  date_us INTEGER NOT NULL, made_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE deliveries(
  row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, letter TEXT NOT NULL, channel TEXT NOT NULL,
  recipient TEXT NOT NULL, status INTEGER NOT NULL, attempts INTEGER NOT NULL,
  claimed INTEGER NOT NULL, next_us INTEGER NOT NULL, made_us INTEGER NOT NULL,
  done_us INTEGER NOT NULL, detail TEXT NOT NULL, priority INTEGER NOT NULL DEFAULT 1,
  first_try_us INTEGER NOT NULL DEFAULT 0);
CREATE TABLE breaches(
  id TEXT PRIMARY KEY, site TEXT NOT NULL, alert BLOB NOT NULL, crossed_us INTEGER NOT NULL,
  accepted_us INTEGER NOT NULL, letter TEXT) WITHOUT ROWID;
CREATE TABLE windows(site TEXT PRIMARY KEY, end_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE runs(
  report TEXT NOT NULL, site TEXT NOT NULL, date TEXT NOT NULL,
  PRIMARY KEY(report, site)) WITHOUT ROWID;
INSERT INTO letters VALUES('report', 'lahore', 0, 'a report', 'text', '', 'x.csv', x'6161', 1, 1);
INSERT INTO letters VALUES('alert', 'lahore', 1, 'an alert', 'text', '', '', x'', 1, 1);
INSERT INTO deliveries VALUES(7, 'd7', 'report', 'smtp', 'boss@example', 1, 0, 0, 1, 1, 0, '', 1, 0);
INSERT INTO deliveries VALUES(8, 'd8', 'alert', 'smtp', 'noc@example', 1, 3, 1, 1, 1, 0, '', 0, 5);
INSERT INTO runs VALUES('daily', 'lahore', '2026-01-01');
PRAGMA user_version = 2;
)"),
                IsOk());
    ASSERT_OK_AND_ASSIGN(sqlite::Statement insert,
                         old->Prepare("INSERT INTO breaches VALUES(?, ?, ?, 1, 1, ?)"));
    for (const auto& [alert, letter] : {std::pair(told, "alert"), std::pair(pending, "")}) {
      insert.BindText(1, alert.breach_id);
      insert.BindText(2, alert.site_id);
      insert.BindBlob(3, EncodeAlert(alert));
      if (*letter == '\0') {
        insert.BindNull(4);
      } else {
        insert.BindText(4, letter);
      }
      ASSERT_THAT(insert.Run(), IsOk());
    }
  }
  Start();
  clock_.Advance(absl::Hours(1));
  Work();
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("user-2"), "an alert", "a report"));
  EXPECT_EQ(channel_.sent[2].csv, "aa");
  ASSERT_OK_AND_ASSIGN(const auto run, queue_->LastRun("daily", "lahore"));
  EXPECT_EQ(run, "2026-01-01");
  EXPECT_EQ(Damage().count, 0);
  EXPECT_THAT(DamagedFiles(), IsEmpty());
  // And as its own afterwards.
  channel_.sent.clear();
  Start();
  Accept({told, pending});
  clock_.Advance(absl::Hours(1));
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
}

TEST_F(DamageTest, AReplacementThatWasCutOffIsFinishedByTheNextStart) {
  Accept({SampleAlert(1)});
  Close();
  std::filesystem::copy_file(Path(), Path() + ".ready");
  std::filesystem::remove(Path());
  Start();
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
  EXPECT_FALSE(std::filesystem::exists(Path() + ".ready"));
}

TEST_F(DamageTest, AFlippedVersionNumberStopsNoStartAndANewerOneDoes) {
  Accept({SampleAlert(1)});
  for (const char* version : {"0", "2", "16777219"}) {
    ChangeFile(absl::StrCat("PRAGMA user_version = ", version));
    Start();
  }
  Work();
  EXPECT_THAT(channel_.sent, SizeIs(1));
  ChangeFile("PRAGMA user_version = 4");
  EXPECT_THAT(SqliteDeliveryQueue::Open(Path(), {}, clock_.WallNow()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("upgrade the notifier")));
}

TEST_F(DamageTest, ASecondNotifierIsRefusedAtOnceInWords) {
  const absl::Time before = absl::Now();
  EXPECT_THAT(SqliteDeliveryQueue::Open(Path(), {}, clock_.WallNow()),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("another notifier has this state_dir open")));
  EXPECT_LT(absl::Now() - before, absl::Seconds(2));
}

TEST_F(DamageTest, AFullDiskIsSaidUntilThereIsRoomAgain) {
  limits_.file_pages = 60;
  Start();
  QueueWatch watch(Parts(), "worker", absl::Minutes(20));
  watch.Look();
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
  int number = 0;
  absl::Status accepted;
  while (accepted.ok() && number < 2'000) {
    report::Alert alert = SampleAlert(++number);
    alert.name = std::string(3000, 'x');
    accepted = queue_->Accept({alert}, clock_.WallNow());
  }
  EXPECT_THAT(accepted, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
  watch.Look();
  EXPECT_THAT(readiness_.Text(),
              HasSubstr("intake: not ready: no alerts are accepted, the aggregator keeps them"));
  EXPECT_THAT(logger_.Text(), HasSubstr("queue.intake_stopped"));
  clock_.Advance(absl::Minutes(1));
  watch.Look();
  EXPECT_FALSE(readiness_.ready());
  ChangeFile("DELETE FROM breaches");
  Start();
  QueueWatch again(Parts(), "worker", absl::Minutes(20));
  again.Look();
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
}

TEST_F(DamageTest, AFullQueueIsSaidUntilSomeOfItIsMail) {
  limits_.pending_alerts = 2;
  Start();
  QueueWatch watch(Parts(), "worker", absl::Minutes(20));
  Accept({SampleAlert(1), SampleAlert(2)});
  watch.Look();
  EXPECT_THAT(readiness_.Text(), HasSubstr("as many alerts wait for a mail as may (2)"));
  Work();
  watch.Look();
  EXPECT_TRUE(readiness_.ready()) << readiness_.Text();
  EXPECT_THAT(logger_.Text(), HasSubstr("queue.intake_works"));
}

TEST_F(DamageTest, ALoopThatDoesNotTurnIsSaidFromOutside) {
  http::Liveness::Pulse& pulse = liveness_.AddPulse("delivery", absl::Minutes(20));
  QueueWatch watch(Parts(), "delivery", absl::Minutes(20));
  clock_.Advance(absl::Minutes(2));
  watch.Look();
  EXPECT_TRUE(readiness_.ready());
  EXPECT_THAT(readiness_.Text(),
              HasSubstr("delivery: waiting: one mail has been under way for 2m"));
  clock_.Advance(absl::Minutes(19));
  watch.Look();
  EXPECT_FALSE(readiness_.ready());
  EXPECT_THAT(readiness_.Text(), HasSubstr("worker: not ready: the delivery loop has been stuck"));
  pulse.Beat();
  watch.Look();
  EXPECT_EQ(readiness_.Text(), "ready\n");
}

TEST_F(DamageTest, DamageIsShownForAWeek) {
  Accept({SampleAlert(1)});
  ChangeFile("UPDATE breaches SET crossed_us = crossed_us + 1");
  Start();
  Work();
  EXPECT_THAT(channel_.sent, IsEmpty());
  QueueWatch watch(Parts(), "worker", absl::Hours(1000));
  watch.Look();
  EXPECT_TRUE(readiness_.ready());
  EXPECT_THAT(readiness_.Text(),
              HasSubstr("damage: waiting: the delivery queue's file was damaged"));
  clock_.Advance(absl::Hours(7 * 24) + absl::Seconds(1));
  watch.Look();
  EXPECT_THAT(readiness_.Text(), Not(HasSubstr("damage")));
}

}  // namespace
}  // namespace netsentinel::delivery
