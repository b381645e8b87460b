#include "aggregator/ingest/engine.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/ingest/wire.h"
#include "aggregator/store/sqlite_store.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "tests/support/child_process.h"
#include "tests/support/ingest_client.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/aggregator/ingest/flaky_store.h"

namespace netsentinel::ingest {
namespace {

const std::string kSpool(16, 's');

// What an engine sends down one stream.
class RecordingSink final : public StreamSink {
 public:
  void Send(AggregatorMessage message) override {
    base::MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
  }
  void Close(absl::Status status) override {
    base::MutexLock lock(mutex_);
    closed_ = std::move(status);
  }
  // The first message of this kind, once there is one.
  template <typename Message>
  std::optional<Message> Wait() {
    std::optional<Message> found;
    test::WaitUntil([&] {
      base::MutexLock lock(mutex_);
      for (const AggregatorMessage& message : messages_) {
        if (const auto* wanted = std::get_if<Message>(&message)) found = *wanted;
      }
      return found.has_value();
    });
    return found;
  }
  bool WaitClosed() {
    return test::WaitUntil([&] {
      base::MutexLock lock(mutex_);
      return closed_.has_value();
    });
  }

 private:
  base::Mutex mutex_;
  std::vector<AggregatorMessage> messages_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
};

// An engine on its thread over a store whose calls can be made to fail; router r1 of collector c1.
class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(factory_, store::OpenSqliteStore(folder_.path() + "/store.db"));
    ASSERT_OK_AND_ASSIGN(auto engine_store, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(auto flush_store, factory_->Connect());
    flush_store_ = std::make_unique<store::FlakyStore>(std::move(flush_store));
    ASSERT_OK_AND_ASSIGN(other_, factory_->Connect());
    store_ = std::make_unique<store::FlakyStore>(std::move(engine_store));
    flush_worker_ = std::make_unique<FlushWorker>(*flush_store_);
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Minutes(5)));
    EngineSettings settings;
    settings.instance = "test";
    settings.store_lease_ttl = absl::Minutes(5);
    settings.flush_interval = absl::Milliseconds(50);
    settings.store_backoff = {.initial = absl::Milliseconds(5), .maximum = absl::Milliseconds(20)};
    EngineSignals signals{.breaches_stored = [] {},
                          .readiness = [](const absl::Status&) {},
                          .committed = [](std::size_t, std::size_t, absl::Duration) {},
                          .flushed = [](std::size_t, absl::Duration) {},
                          .flushing =
                              [this](const absl::Status& status) {
                                base::MutexLock lock(mutex_);
                                flushes_.push_back(status);
                              },
                          .refused = [](RefusalReason) {}};
    engine_ = std::make_unique<Engine>(EngineParts{.book = book_,
                                                   .store = *store_,
                                                   .flush_worker = *flush_worker_,
                                                   .events = events_,
                                                   .board = board_,
                                                   .clock = clock_,
                                                   .random = random_,
                                                   .logger = logger_,
                                                   .signals = std::move(signals)},
                                       settings, PolicyNamed("first"));
    thread_ =
        std::thread([this, fence = lease.fence] { result_ = engine_->Run(fence, std::nullopt); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    engine_->Stop();
    thread_.join();
    EXPECT_THAT(result_, test::IsOk());
  }

  static EnginePolicy PolicyNamed(const std::string& text) {
    EnginePolicy policy;
    policy.text = text;
    policy.accounting.sites.push_back(
        {base::SiteId("lab"), absl::UTCTimeZone(), absl::ZeroDuration(), {}});
    accounting::RouterSettings router;
    router.id = base::RouterId("r1");
    router.site = base::SiteId("lab");
    policy.accounting.routers.push_back(router);
    policy.admission[router.id] = {.collectors = {base::CollectorId("c1")},
                                   .poll_interval = absl::ZeroDuration(),
                                   .site = router.site};
    return policy;
  }
  void Post(StreamId stream, const v1::IngestRequest& request) {
    absl::StatusOr<CollectorMessage> message =
        FromWire(std::make_shared<v1::IngestRequest>(request));
    ASSERT_THAT(message, test::IsOk());
    events_.Post({stream, *std::move(message), nullptr});
  }
  // Opens a stream and gives the welcome of r1.
  RouterWelcome Hello(StreamId stream, const std::shared_ptr<RecordingSink>& sink) {
    events_.Post({stream, StreamOpened{sink, base::CollectorId("c1")}, nullptr});
    v1::IngestRequest request;
    *request.mutable_hello() = test::MakeHello("c1", kSpool, {"r1"});
    Post(stream, request);
    const std::optional<WelcomeMessage> welcome = sink->Wait<WelcomeMessage>();
    EXPECT_TRUE(welcome.has_value() && welcome->routers.size() == 1) << logger_.Text();
    if (!welcome.has_value() || welcome->routers.empty()) return {};
    return welcome->routers[0];
  }
  void SendSnapshot(StreamId stream, std::uint64_t epoch, std::uint64_t sequence,
                    std::uint64_t download) {
    v1::IngestRequest request;
    *request.mutable_snapshot() = test::MakeSnapshot({"r1", epoch, kSpool, sequence, sequence - 1},
                                                     {{"alice", 0, download}}, absl::Now());
    Post(stream, request);
  }
  std::uint64_t Counted() {
    return book_.Read([](const accounting::Book& book) {
      std::uint64_t sum = 0;
      for (const accounting::UsageRow& row : book.Usage(
               base::SiteId("lab"), absl::CivilDay(2020, 1, 1), absl::CivilDay(2100, 1, 1))) {
        sum += row.best.download;
      }
      return sum;
    });
  }

  test::TempFolder folder_;
  io::SystemClock clock_;
  base::SeededRandom random_{7};
  log::CapturingLogger logger_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::Store> other_;
  std::unique_ptr<store::FlakyStore> store_, flush_store_;
  base::Mutex mutex_;
  std::vector<absl::Status> flushes_ ABSL_GUARDED_BY(mutex_);
  SharedBook book_;
  EventQueue events_;
  RouterBoard board_;
  std::unique_ptr<FlushWorker> flush_worker_;
  std::unique_ptr<Engine> engine_;
  std::thread thread_;
  absl::Status result_;
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
      for (const store::StoredUsage& usage : *rows) sum += usage.row.best.download;
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
  EnginePolicy changed = PolicyNamed("second");
  changed.accounting.sites[0].zone = absl::FixedTimeZone(3600);
  store_->FailImport(absl::UnavailableError("away"));
  engine_->SetPolicy(changed);
  ASSERT_TRUE(logger_.WaitFor("policy.waits")) << logger_.Text();
  ASSERT_TRUE(sink->WaitClosed()) << logger_.Text();
  ASSERT_OK_AND_ASSIGN(const store::PolicyRevision revision, other_->LatestPolicy());
  EXPECT_EQ(revision.revision, 1U);
  EXPECT_EQ(revision.content, "second");

  // One that cannot be used leaves no trace.
  EnginePolicy broken = PolicyNamed("third");
  broken.accounting.routers[0].site = base::SiteId("nowhere");
  engine_->SetPolicy(broken);
  ASSERT_TRUE(logger_.WaitFor("policy.refused")) << logger_.Text();
  EXPECT_EQ(other_->LatestPolicy()->revision, 1U);
}

}  // namespace
}  // namespace netsentinel::ingest
