#include "notifier/audit/audit_sender.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "tests/support/child_process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::audit {
namespace {

using test::IsOk;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// Keeps what it is brought, or fails as it is told.
class RecordingSink final : public AuditSink {
 public:
  absl::Status Record(const std::vector<AuditEntry>& entries) override {
    base::MutexLock lock(mutex_);
    ++calls_;
    if (!failure_.ok()) return failure_;
    for (const AuditEntry& entry : entries) {
      if (poison_.count(entry.entry_id) > 0) return absl::InvalidArgumentError("no UUID");
    }
    for (const AuditEntry& entry : entries) ids_.push_back(entry.entry_id);
    return absl::OkStatus();
  }
  void Fail(absl::Status status) {
    base::MutexLock lock(mutex_);
    failure_ = std::move(status);
  }
  void Poison(const std::string& id) {
    base::MutexLock lock(mutex_);
    poison_.insert(id);
  }
  std::vector<std::string> ids() {
    base::MutexLock lock(mutex_);
    return ids_;
  }
  int calls() {
    base::MutexLock lock(mutex_);
    return calls_;
  }

 private:
  base::Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> poison_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> ids_ ABSL_GUARDED_BY(mutex_);
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

class AuditSenderTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(queue_, SqliteAuditQueue::Open(folder_.path() + "/audit.db", clock_));
    readiness_.MakeAdvisory("audit");
    sender_ = std::make_unique<AuditSender>(
        AuditSenderParts{*queue_, sink_, random_, logger_, readiness_,
                         liveness_.AddPulse("audit", absl::Minutes(10))},
        base::BackoffPolicy{.initial = absl::Milliseconds(10), .maximum = absl::Milliseconds(20)});
  }
  void Put(const std::string& id) {
    AuditEntry entry;
    entry.entry_id = id;
    entry.action = "report.send";
    ASSERT_THAT(queue_->Begin(entry), IsOk());
    ASSERT_THAT(queue_->Finish(id, "sent"), IsOk());
  }
  void Run() {
    thread_ = std::jthread([this](const std::stop_token& stop) { sender_->Run(stop); });
  }
  bool Eventually(const std::function<bool()>& condition) { return test::WaitUntil(condition); }

  test::TempFolder folder_;
  const io::SystemClock clock_;
  base::SeededRandom random_{1};
  log::CapturingLogger logger_;
  http::Readiness readiness_;
  http::Liveness liveness_{clock_};
  RecordingSink sink_;
  std::unique_ptr<SqliteAuditQueue> queue_;
  std::unique_ptr<AuditSender> sender_;
  std::jthread thread_;
};

TEST_F(AuditSenderTest, EverythingThatWaitsIsHandedOverInOrderAndThenGone) {
  std::vector<std::string> all;
  for (int i = 0; i < 120; ++i) {
    all.push_back(absl::StrCat("entry ", i));
    Put(all.back());
  }
  Run();
  EXPECT_TRUE(Eventually([&] { return sink_.ids().size() == 120; }));
  EXPECT_EQ(sink_.ids(), all);
  EXPECT_EQ(sink_.calls(), 2);
  EXPECT_TRUE(Eventually([&] { return queue_->Counts()->waiting == 0; }));
}

TEST_F(AuditSenderTest, WhileTheAggregatorIsAwayEntriesWaitAndReadinessSaysWhatFor) {
  sink_.Fail(absl::UnavailableError("aggregator is away"));
  Put("a");
  Run();
  EXPECT_TRUE(Eventually([&] { return sink_.calls() >= 3; }));
  EXPECT_TRUE(Eventually([&] {
    return readiness_.Text().find("1 entries wait for the aggregator: aggregator is away") !=
           std::string::npos;
  })) << readiness_.Text();
  EXPECT_TRUE(readiness_.ready());
  EXPECT_EQ(logger_.Count("audit.waiting"), 1u) << "once, not at every try";
  Put("b");
  sink_.Fail(absl::OkStatus());
  EXPECT_TRUE(Eventually([&] { return sink_.ids().size() == 2; }));
  EXPECT_THAT(sink_.ids(), ElementsAre("a", "b"));
  EXPECT_TRUE(Eventually([&] { return readiness_.Text() == "ready\n"; })) << readiness_.Text();
}

TEST_F(AuditSenderTest, AnEntryThatIsNeverTakenIsSetAsideAndHoldsUpNoOther) {
  sink_.Poison("bad");
  for (const char* id : {"a", "bad", "b"}) Put(id);
  Run();
  EXPECT_TRUE(Eventually([&] { return queue_->Counts()->waiting == 0; }));
  EXPECT_THAT(sink_.ids(), ElementsAre("a", "b"));
  EXPECT_EQ(queue_->Counts()->refused, 1);
  EXPECT_THAT(logger_.Text(), HasSubstr("audit.refused"));
}

TEST_F(AuditSenderTest, WhatComesWhileItSleepsIsSentWhenItIsWoken) {
  Run();
  EXPECT_TRUE(Eventually([&] { return readiness_.Text() == "ready\n"; }));
  Put("late");
  sender_->Wake();
  EXPECT_TRUE(Eventually([&] { return sink_.ids().size() == 1; }));
}

}  // namespace
}  // namespace netsentinel::audit
