#include "notifier/audit/sqlite_audit_queue.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::audit {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

AuditEntry Entry(const std::string& id) {
  AuditEntry entry;
  entry.entry_id = id;
  entry.at = absl::FromUnixMicros(77);
  entry.role = "operator";
  entry.name = "anna";
  entry.serial = "0A";
  entry.fingerprint = "ff";
  entry.address = "10.0.0.7:1";
  entry.on_behalf_of = "boss";
  entry.action = "report.send";
  entry.subject = "report daily";
  entry.reason = "asked";
  return entry;
}

class SqliteAuditQueueTest : public testing::Test {
 protected:
  void Open(std::int64_t limit = 10) {
    queue_.reset();
    ASSERT_OK_AND_ASSIGN(queue_,
                         SqliteAuditQueue::Open(folder_.path() + "/audit.db", clock_, limit));
  }
  std::vector<std::string> Waiting() {
    const auto entries = queue_->Waiting(100);
    if (!entries.ok()) return {std::string(entries.status().message())};
    std::vector<std::string> texts;
    for (const AuditEntry& entry : *entries) {
      texts.push_back(absl::StrCat(entry.entry_id, ": ", entry.after));
    }
    return texts;
  }

  std::string Path() const { return folder_.path() + "/audit.db"; }
  // Writes over a part of the file, which is open or closed.
  void Spoil(std::size_t from, std::size_t bytes) {
    std::fstream file(Path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(from));
    file << std::string(bytes, '\x55');
  }

  test::TempFolder folder_;
  test::FakeClock clock_{absl::FromUnixSeconds(1767225600)};
  std::unique_ptr<SqliteAuditQueue> queue_;
};

TEST_F(SqliteAuditQueueTest, AnEntryWaitsOnlyOnceItsOutcomeIsThereAndComesBackWhole) {
  Open();
  ASSERT_THAT(queue_->Begin(Entry("a")), IsOk());
  EXPECT_THAT(Waiting(), IsEmpty());
  ASSERT_THAT(queue_->Finish("a", "2 mails queued"), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditEntry> entries, queue_->Waiting(100));
  ASSERT_THAT(entries, SizeIs(1));
  EXPECT_EQ(entries[0].at, absl::FromUnixMicros(77));
  EXPECT_EQ(entries[0].name, "anna");
  EXPECT_EQ(entries[0].serial, "0A");
  EXPECT_EQ(entries[0].fingerprint, "ff");
  EXPECT_EQ(entries[0].address, "10.0.0.7:1");
  EXPECT_EQ(entries[0].on_behalf_of, "boss");
  EXPECT_EQ(entries[0].subject, "report daily");
  EXPECT_EQ(entries[0].reason, "asked");
  EXPECT_EQ(entries[0].after, "2 mails queued");
  ASSERT_THAT(queue_->HandedOver(entries), IsOk());
  EXPECT_THAT(Waiting(), IsEmpty());
}

TEST_F(SqliteAuditQueueTest, WhatWasBegunSurvivesTheProcessAndSaysThatNobodyKnowsWhatCameOfIt) {
  Open();
  ASSERT_THAT(queue_->Begin(Entry("cut off")), IsOk());
  ASSERT_THAT(queue_->Begin(Entry("done")), IsOk());
  ASSERT_THAT(queue_->Finish("done", "sent"), IsOk());
  Open();
  EXPECT_THAT(Waiting(), ElementsAre(HasSubstr("cut off: not known"), "done: sent"));
}

TEST_F(SqliteAuditQueueTest, AFullQueueRefusesTheChangeRatherThanForgettingOne) {
  Open(/*limit=*/2);
  ASSERT_THAT(queue_->Begin(Entry("a")), IsOk());
  ASSERT_THAT(queue_->Begin(Entry("b")), IsOk());
  ASSERT_THAT(queue_->Finish("a", "x"), IsOk());
  EXPECT_THAT(queue_->Begin(Entry("c")),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("wait for the aggregator")));
  ASSERT_THAT(queue_->HandedOver({Entry("a")}), IsOk());
  EXPECT_THAT(queue_->Begin(Entry("c")), IsOk());
}

TEST_F(SqliteAuditQueueTest, WhatIsSetAsideIsKeptAndCountedAndTakesNoRoom) {
  Open(/*limit=*/1);
  ASSERT_THAT(queue_->Begin(Entry("a")), IsOk());
  ASSERT_THAT(queue_->Finish("a", "x"), IsOk());
  ASSERT_THAT(queue_->SetAside("a", "no UUID"), IsOk());
  EXPECT_THAT(Waiting(), IsEmpty());
  Open(/*limit=*/1);
  ASSERT_OK_AND_ASSIGN(const AuditCounts counts, queue_->Counts());
  EXPECT_EQ(counts.waiting, 0);
  EXPECT_EQ(counts.refused, 1);
  EXPECT_THAT(queue_->Begin(Entry("b")), IsOk());
}

TEST_F(SqliteAuditQueueTest, ADamagedHeadIsMovedAsideAndANewFileBegun) {
  Open();
  ASSERT_THAT(queue_->Begin(Entry("a")), IsOk());
  EXPECT_FALSE(queue_->Damage().has_value());
  queue_.reset();
  Spoil(0, 100);
  Open();
  EXPECT_THAT(queue_->TakeIncidents(), ElementsAre(HasSubstr("/audit.db.damaged-1767225600")));
  EXPECT_THAT(queue_->TakeIncidents(), IsEmpty());
  ASSERT_TRUE(queue_->Damage().has_value());
  EXPECT_EQ(queue_->Damage()->at, clock_.WallNow());
  ASSERT_THAT(queue_->Begin(Entry("b")), IsOk());
  ASSERT_THAT(queue_->Finish("b", "sent"), IsOk());
  EXPECT_THAT(Waiting(), ElementsAre("b: sent"));
  // It is known of after a restart, and told once.
  Open();
  EXPECT_THAT(queue_->TakeIncidents(), IsEmpty());
  EXPECT_TRUE(queue_->Damage().has_value());
}

TEST_F(SqliteAuditQueueTest, EveryDamagedPageEndsInAQueueThatWorksWithWhatCouldBeRead) {
  Open(/*limit=*/1000);
  for (int i = 0; i < 60; ++i) {
    const std::string id = absl::StrCat("entry-", i);
    ASSERT_THAT(queue_->Begin(Entry(id)), IsOk());
    ASSERT_THAT(queue_->Finish(id, std::string(300, 'x')), IsOk());
  }
  queue_.reset();
  const std::uintmax_t size = std::filesystem::file_size(Path());
  std::filesystem::copy_file(Path(), Path() + ".sound");
  std::size_t most = 0;
  for (std::uintmax_t page = 0; page < size; page += 4096) {
    SCOPED_TRACE(page);
    std::filesystem::copy_file(Path() + ".sound", Path(),
                               std::filesystem::copy_options::overwrite_existing);
    Spoil(page, 4096);
    Open(/*limit=*/1000);
    clock_.Advance(absl::Seconds(1));
    ASSERT_THAT(queue_->Begin(Entry("next")), IsOk());
    ASSERT_THAT(queue_->Finish("next", "sent"), IsOk());
    EXPECT_THAT(Waiting(), testing::Contains("next: sent"));
    most = std::max(most, Waiting().size());
    queue_.reset();
  }
  EXPECT_GT(most, 30U);
}

TEST_F(SqliteAuditQueueTest, APageThatGoesBadWhileItRunsStopsNoChange) {
  Open(/*limit=*/1000);
  for (int i = 0; i < 60; ++i) {
    const std::string id = absl::StrCat("entry-", i);
    ASSERT_THAT(queue_->Begin(Entry(id)), IsOk());
    ASSERT_THAT(queue_->Finish(id, std::string(300, 'x')), IsOk());
  }
  queue_.reset();
  Open(/*limit=*/1000);
  const std::uintmax_t size = std::filesystem::file_size(Path());
  // Behind the head and the table's description, while it is open.
  Spoil(4096, static_cast<std::size_t>(size) - 4096);
  // What the process remembers of the file is no more than a few pages.
  for (int i = 0; i < 3; ++i) {
    const std::string id = absl::StrCat("later-", i);
    ASSERT_THAT(queue_->Begin(Entry(id)), IsOk());
    ASSERT_THAT(queue_->Finish(id, "sent"), IsOk());
    EXPECT_THAT(Waiting(), testing::Contains(absl::StrCat(id, ": sent")));
  }
}

TEST_F(SqliteAuditQueueTest, AFlippedVersionNumberStopsNoStartAndANewerOneDoes) {
  Open();
  ASSERT_THAT(queue_->Begin(Entry("a")), IsOk());
  const auto set_version = [&](const std::string& version) {
    queue_.reset();
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<sqlite::Database> file,
                         sqlite::Database::Open(Path(), {}));
    ASSERT_THAT(file->Execute("PRAGMA user_version = " + version), IsOk());
  };
  for (const char* flipped : {"0", "1073741825"}) {
    set_version(flipped);
    Open();
    EXPECT_THAT(queue_->TakeIncidents(), IsEmpty());
    EXPECT_THAT(Waiting(), SizeIs(1));
  }
  set_version("2");
  EXPECT_THAT(SqliteAuditQueue::Open(Path(), clock_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("upgrade the notifier")));
}

TEST_F(SqliteAuditQueueTest, ASecondProcessIsRefused) {
  Open();
  EXPECT_FALSE(SqliteAuditQueue::Open(folder_.path() + "/audit.db", clock_).ok());
}

}  // namespace
}  // namespace netsentinel::audit
