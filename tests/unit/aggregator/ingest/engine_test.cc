#include "aggregator/ingest/engine.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/aggregator/ingest/stream_fixture.h"

namespace netsentinel::ingest {
namespace {

// An engine on its thread over a store whose calls can be made to fail; router r1 of collector c1.
class EngineTest : public StreamFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OpenStores());
    ASSERT_OK_AND_ASSIGN(other_, factory_->Connect());
    settings_.flush_interval = absl::Milliseconds(50);
    Start(LabPolicy("first"));
  }
  void Start(const EnginePolicy& policy) {
    EngineSignals signals = NoSignals();
    signals.readiness = [this](const absl::Status& status) {
      base::MutexLock lock(mutex_);
      ready_ = status;
    };
    signals.flushing = [this](const absl::Status& status) {
      base::MutexLock lock(mutex_);
      flushes_.push_back(status);
    };
    Run(settings_, policy, std::move(signals));
  }

  // Opens a stream and gives the welcome of r1.
  RouterWelcome Hello(StreamId stream, const std::shared_ptr<RecordingSink>& sink,
                      std::uint64_t offered_epoch = 0, const std::string& collector = "c1") {
    events_.Post({stream, StreamOpened{sink, base::CollectorId(collector)}, nullptr});
    v1::IngestRequest request;
    *request.mutable_hello() = test::MakeHello(collector, Spool(), {"r1"});
    if (offered_epoch > 0) {
      v1::SpoolPosition& position = *request.mutable_hello()->mutable_routers(0)->add_positions();
      position.set_menu(v1::MENU_SIMPLE);
      position.set_lease_epoch(offered_epoch);
      position.set_oldest_sequence(1);
      position.set_newest_sequence(2);
    }
    Post(stream, request);
    const std::optional<WelcomeMessage> welcome = sink->Wait<WelcomeMessage>();
    EXPECT_TRUE(welcome.has_value() && welcome->routers.size() == 1) << logger_.Text();
    if (!welcome.has_value() || welcome->routers.empty()) return {};
    return welcome->routers[0];
  }
  void SendSnapshot(StreamId stream, std::uint64_t epoch, std::uint64_t sequence,
                    std::uint64_t download, absl::Time at = absl::Now()) {
    Post(stream, Snapshot(epoch, sequence, download, at));
  }

  bool WaitReady(absl::StatusCode code) {
    return test::WaitUntil([&] {
      base::MutexLock lock(mutex_);
      return ready_.has_value() && ready_->code() == code;
    });
  }
  std::size_t Flushes() {
    base::MutexLock lock(mutex_);
    return flushes_.size();
  }

  std::unique_ptr<store::Store> other_;
  base::Mutex mutex_;
  EngineSettings settings_ = LabSettings();
  std::optional<absl::Status> ready_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Status> flushes_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(EngineTest, ReadsTheStoreBackAfterACommitThatNobodyKnowsOf) {
  StreamId stream = 0;
  std::uint64_t sequence = 0;
  std::uint64_t download = 1000;
  for (const bool stores : {true, false}) {
    SCOPED_TRACE(stores);
    auto sink = std::make_shared<RecordingSink>();
    RouterWelcome welcome = Hello(++stream, sink);
    ASSERT_TRUE(welcome.lease.has_value());
    SendSnapshot(stream, welcome.lease->lease_epoch, ++sequence, download += 1000);
    ASSERT_TRUE(sink->Wait<AckMessage>().has_value()) << logger_.Text();
    store_->FailCommit(absl::UnknownError("the connection died"), stores);
    SendSnapshot(stream, welcome.lease->lease_epoch, ++sequence, download += 1000);
    ASSERT_TRUE(sink->WaitClosed()) << logger_.Text();

    sink = std::make_shared<RecordingSink>();
    welcome = Hello(++stream, sink);
    ASSERT_EQ(welcome.resume_points.size(), 1U);
    EXPECT_EQ(welcome.resume_points[0].position.sequence, stores ? sequence : sequence - 1);
    SendSnapshot(stream, welcome.lease->lease_epoch, sequence, download);
    const std::optional<AckMessage> ack = sink->Wait<AckMessage>();
    ASSERT_TRUE(ack.has_value()) << logger_.Text();
    EXPECT_EQ(ack->sequence, sequence);
    EXPECT_EQ(Counted(), download - 2000);
  }
  EXPECT_EQ(logger_.Count("ingest.reload"), 2U);
}

TEST_F(EngineTest, EveryDayOnWhichARouterWasReadIsStoredWithItsSnapshot) {
  const base::SiteId lab("lab");
  const base::RouterId r1("r1");
  auto sink = std::make_shared<RecordingSink>();
  const RouterWelcome welcome = Hello(1, sink);
  ASSERT_TRUE(welcome.lease.has_value());
  const absl::Time now = absl::Now();
  const auto day = [&](int ago) {
    return absl::ToCivilDay(now - absl::Hours(24 * ago), absl::UTCTimeZone());
  };
  std::uint64_t sequence = 0;
  const auto send = [&](absl::Time at) {
    ++sequence;
    SendSnapshot(1, welcome.lease->lease_epoch, sequence, 1000 * sequence, at);
    ASSERT_TRUE(test::WaitUntil([&] {
      const std::optional<AckMessage> ack = sink->Wait<AckMessage>();
      return ack.has_value() && ack->sequence == sequence;
    })) << logger_.Text();
  };
  // A spool brings what was read while the aggregator was away: three days ago, twice, and now.
  send(now - absl::Hours(72));
  send(now - absl::Hours(72) + absl::Milliseconds(1));
  send(now);
  const auto read = [&](int first_ago, int last_ago) {
    const auto readings = other_->Readings(lab, day(first_ago), day(last_ago));
    return readings.ok() ? readings->read_in_span.size() : 99;
  };
  EXPECT_EQ(read(3, 3), 1U);
  EXPECT_EQ(read(2, 1), 0U);
  EXPECT_EQ(read(0, 0), 1U);
  EXPECT_THAT(readings_.Readings(lab, day(0), day(0))->read_in_span, ::testing::ElementsAre(r1));
  ASSERT_OK_AND_ASSIGN(const auto firsts, other_->FirstReadings());
  ASSERT_EQ(firsts.size(), 1U);
  EXPECT_EQ(firsts[0].router, r1);
  EXPECT_EQ(firsts[0].site, lab);
  EXPECT_EQ(firsts[0].at_us, absl::ToUnixMicros(now - absl::Hours(72)));
}

TEST_F(EngineTest, SaysThatAFlushFailedAndWritesItsRowsAgain) {
  flush_store_->FailFlush(absl::ResourceExhaustedError("the disk is full"));
  auto sink = std::make_shared<RecordingSink>();
  const RouterWelcome welcome = Hello(1, sink);
  ASSERT_TRUE(welcome.lease.has_value());
  SendSnapshot(1, welcome.lease->lease_epoch, 1, 1000);
  SendSnapshot(1, welcome.lease->lease_epoch, 2, 6000);
  const auto stored = [&] {
    std::uint64_t sum = 0;
    const auto rows = other_->UsageBetween(base::SiteId("lab"), absl::CivilDay(2020, 1, 1),
                                           absl::ToCivilDay(absl::Now(), absl::UTCTimeZone()) + 1);
    if (rows.ok()) {
      for (const store::StoredUsage& usage : *rows) sum += usage.row.counted.download;
    }
    return sum;
  };
  EXPECT_TRUE(test::WaitUntil([&] {
    base::MutexLock lock(mutex_);
    return flushes_.size() > 1 && flushes_.back().ok() && stored() == 5000;
  })) << logger_.Text();
  base::MutexLock lock(mutex_);
  EXPECT_TRUE(absl::IsResourceExhausted(flushes_.front()));
}

TEST_F(EngineTest, AChangedPolicyIsARevisionBeforeAnythingIsCountedUnderIt) {
  auto sink = std::make_shared<RecordingSink>();
  Hello(1, sink);
  EnginePolicy changed = LabPolicy("second");
  changed.accounting.sites[0].zone = absl::FixedTimeZone(3600);
  store_->FailImport(absl::UnavailableError("away"), false);
  engine_->SetPolicy(changed);
  ASSERT_TRUE(logger_.WaitFor("policy.waits")) << logger_.Text();
  ASSERT_TRUE(sink->WaitClosed()) << logger_.Text();
  ASSERT_OK_AND_ASSIGN(const store::PolicyRevision revision, other_->LatestPolicy());
  EXPECT_EQ(revision.revision, 1U);
  EXPECT_EQ(revision.content, "second");

  // One that cannot be used leaves no trace.
  EnginePolicy broken = LabPolicy("third");
  broken.accounting.routers[0].site = base::SiteId("nowhere");
  engine_->SetPolicy(broken);
  ASSERT_TRUE(logger_.WaitFor("policy.refused")) << logger_.Text();
  EXPECT_EQ(other_->LatestPolicy()->revision, 1U);
}

// Else what is committed meanwhile might be replayed under rules that are newer than it.
TEST_F(EngineTest, NothingIsCommittedWhileNobodyKnowsWhichPolicyIsStored) {
  StreamId stream = 0;
  for (const bool stores : {true, false}) {
    SCOPED_TRACE(stores);
    auto sink = std::make_shared<RecordingSink>();
    const RouterWelcome welcome = Hello(++stream, sink);
    ASSERT_TRUE(welcome.lease.has_value());
    store_->FailImport(absl::UnknownError("the connection died"), stores,
                       [&] { SendSnapshot(stream, welcome.lease->lease_epoch, 1, 1000); });
    std::optional<std::size_t> committed;
    store_->BeforeLatestPolicy([&] { committed = other_->Watermarks()->size(); });
    const std::string text = absl::StrCat("policy ", stream);
    engine_->SetPolicy(LabPolicy(text));
    ASSERT_TRUE(sink->WaitClosed()) << logger_.Text();
    EXPECT_EQ(committed, 0U);
    EXPECT_EQ(other_->LatestPolicy()->content, text);
    EXPECT_EQ(other_->LatestPolicy()->revision, stream) << "once each";
  }
}

// A newer policy that cannot be used does not leave it unknown for good.
TEST_F(EngineTest, APolicyThatIsRefusedDoesNotHideThatAnotherIsUnknown) {
  store_->FailImport(absl::UnknownError("the connection died"), true, [&] {
    EnginePolicy broken = LabPolicy("broken");
    broken.accounting.routers[0].site = base::SiteId("nowhere");
    engine_->SetPolicy(broken);
  });
  engine_->SetPolicy(LabPolicy("second"));
  ASSERT_TRUE(logger_.WaitFor("policy.refused")) << logger_.Text();
  ASSERT_TRUE(logger_.WaitFor("policy.imported")) << logger_.Text();
  EXPECT_EQ(other_->LatestPolicy()->content, "first") << "what is counted by";
  auto sink = std::make_shared<RecordingSink>();
  const RouterWelcome welcome = Hello(1, sink);
  ASSERT_TRUE(welcome.lease.has_value());
  SendSnapshot(1, welcome.lease->lease_epoch, 1, 1000);
  EXPECT_TRUE(sink->Wait<AckMessage>().has_value()) << logger_.Text();
}

// A standby took the lease while the journal was read: nothing of it is served.
TEST_F(EngineTest, LosingTheLeaseWhileReadingBackEndsIt) {
  auto sink = std::make_shared<RecordingSink>();
  const RouterWelcome welcome = Hello(1, sink);
  ASSERT_TRUE(welcome.lease.has_value());
  SendSnapshot(1, welcome.lease->lease_epoch, 1, 1000);
  ASSERT_TRUE(sink->Wait<AckMessage>().has_value()) << logger_.Text();
  Stop();
  ASSERT_THAT(result_, test::IsOk());

  book_.Replace(std::make_unique<accounting::Book>());
  store_->BeforeJournal([&] {
    ASSERT_THAT(other_->ReleaseLease("test", fence_), test::IsOk());
    ASSERT_THAT(other_->AcquireLease("standby", absl::Minutes(5)), test::IsOk());
  });
  Start(LabPolicy("first"));
  thread_.join();
  EXPECT_TRUE(absl::IsAborted(result_)) << result_;
  EXPECT_TRUE(book_.Read([](const accounting::Book& book) { return book.Menus().empty(); }));
}

TEST_F(EngineTest, TheLeaseIsKeptWhileTheStateIsReadBack) {
  Stop();
  ASSERT_THAT(store_->RenewLease("test", fence_, absl::Milliseconds(1)), test::IsOk());
  absl::Status standby;
  store_->BeforeJournal(
      [&] { standby = other_->AcquireLease("standby", absl::Minutes(5)).status(); });
  Start(LabPolicy("first"));
  auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(Hello(1, sink).lease.has_value()) << logger_.Text();
  EXPECT_TRUE(absl::IsFailedPrecondition(standby)) << standby;
}

// What a restart replays is bounded: beyond that snapshots wait where they are.
TEST_F(EngineTest, ALongJournalWaitsForAFlushBeforeMoreIsTaken) {
  Stop();
  settings_.journal_bytes_max = 1;
  flush_store_->FailFlush(absl::ResourceExhaustedError("the disk is full"), 1'000'000);
  Start(LabPolicy("first"));
  auto sink = std::make_shared<RecordingSink>();
  const RouterWelcome welcome = Hello(1, sink);
  ASSERT_TRUE(welcome.lease.has_value());
  SendSnapshot(1, welcome.lease->lease_epoch, 1, 1000);
  ASSERT_TRUE(sink->Wait<AckMessage>().has_value()) << logger_.Text();
  ASSERT_TRUE(WaitReady(absl::StatusCode::kResourceExhausted));
  SendSnapshot(1, welcome.lease->lease_epoch, 2, 6000);
  const std::size_t tried = Flushes();
  ASSERT_TRUE(test::WaitUntil([&] { return Flushes() > tried + 3; })) << logger_.Text();
  EXPECT_EQ(sink->Wait<AckMessage>()->sequence, 1U);
  EXPECT_EQ(other_->Journal(0, 1 << 20)->size(), 1U);

  flush_store_->FailFlush(absl::OkStatus(), 0);
  EXPECT_TRUE(test::WaitUntil([&] { return sink->Wait<AckMessage>()->sequence == 2; }))
      << logger_.Text();
  EXPECT_EQ(Counted(), 5000U);
  EXPECT_TRUE(WaitReady(absl::StatusCode::kOk));
}

// The database was restored: it has forgotten the epochs that spools hold.
TEST_F(EngineTest, AGrantIsAboveWhatTheSpoolHolds) {
  auto sink = std::make_shared<RecordingSink>();
  const RouterWelcome welcome = Hello(1, sink, 500);
  ASSERT_TRUE(welcome.lease.has_value());
  EXPECT_GT(welcome.lease->lease_epoch, 500U);
}

TEST_F(EngineTest, OverridesThatChangedBesideARefusedPolicyAreTaken) {
  Stop();
  EnginePolicy policy = LabPolicy("first");
  policy.accounting.quotas.push_back({.id = "daily", .limit_bytes = 1000});
  const accounting::SubscriberKey alice{base::SiteId("lab"), base::RouterId("r1"), "alice"};
  store_->BeforeJournal([&] {
    EnginePolicy broken = LabPolicy("broken");
    broken.accounting.routers[0].site = base::SiteId("nowhere");
    store::QuotaOverrideRow row;
    row.subscriber = alice;
    row.quota_id = "daily";
    row.limit_bytes = 77;
    store::AuditRow audit;
    audit.entry_id = "1";
    audit.action = "quota.set";
    ASSERT_THAT(other_->PutQuotaOverride(fence_, row, audit), test::IsOk());
    engine_->SetPolicy(broken);
    engine_->RefreshOverrides();
  });
  Start(policy);
  ASSERT_TRUE(logger_.WaitFor("policy.refused")) << logger_.Text();
  auto sink = std::make_shared<RecordingSink>();
  const RouterWelcome welcome = Hello(1, sink);
  ASSERT_TRUE(welcome.lease.has_value());
  SendSnapshot(1, welcome.lease->lease_epoch, 1, 1000);
  ASSERT_TRUE(sink->Wait<AckMessage>().has_value()) << logger_.Text();
  EXPECT_TRUE(test::WaitUntil([&] {
    const auto quotas = book_.Read([&](const accounting::Book& book) {
      return book.Standings(alice, absl::ToCivilDay(absl::Now(), absl::UTCTimeZone()));
    });
    return quotas.size() == 1 && quotas[0].limit_bytes == 77;
  })) << logger_.Text();
}

// Both may read r1; whoever does not hold the lease keeps a living stream all the while.
TEST_F(EngineTest, ACollectorThatLostItsLeaseIsGrantedItAgainOnTheSameStream) {
  Stop();
  settings_.router_lease_ttl = absl::Milliseconds(50);
  EnginePolicy policy = LabPolicy("first");
  policy.admission[base::RouterId("r1")].collectors.push_back(base::CollectorId("c2"));
  Start(policy);
  auto first = std::make_shared<RecordingSink>();
  ASSERT_TRUE(Hello(1, first).lease.has_value());
  // Nothing of the router comes from the first, so that its lease lapses.
  auto second = std::make_shared<RecordingSink>();
  if (!Hello(2, second, 0, "c2").lease.has_value()) {
    ASSERT_TRUE(second->Wait<LeaseGrantMessage>().has_value()) << logger_.Text();
  }
  const std::optional<WithdrawalMessage> withdrawn = first->Wait<WithdrawalMessage>();
  ASSERT_TRUE(withdrawn.has_value()) << logger_.Text();
  EXPECT_EQ(withdrawn->router, base::RouterId("r1"));
  EXPECT_THAT(withdrawn->reason, ::testing::HasSubstr("collector \"c2\" reads it now"));
  events_.Post({2, StreamClosed{}, nullptr});
  const std::optional<LeaseGrantMessage> again = first->Wait<LeaseGrantMessage>();
  ASSERT_TRUE(again.has_value()) << logger_.Text();
  EXPECT_GT(again->lease_epoch, withdrawn->lease_epoch);
  SendSnapshot(1, again->lease_epoch, 1, 1000);
  EXPECT_TRUE(first->Wait<AckMessage>().has_value()) << logger_.Text();
}

}  // namespace
}  // namespace netsentinel::ingest
