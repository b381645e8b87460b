#include "notifier/audit/sqlite_audit_queue.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

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
    ASSERT_OK_AND_ASSIGN(queue_, SqliteAuditQueue::Open(folder_.path() + "/audit.db", limit));
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

  test::TempFolder folder_;
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

TEST_F(SqliteAuditQueueTest, ASecondProcessIsRefused) {
  Open();
  EXPECT_FALSE(SqliteAuditQueue::Open(folder_.path() + "/audit.db").ok());
}

}  // namespace
}  // namespace netsentinel::audit
