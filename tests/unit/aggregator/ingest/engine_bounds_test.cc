#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/ingest/wire.h"
#include "tests/support/child_process.h"
#include "tests/support/ingest_client.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/aggregator/ingest/engine_fixture.h"

// What a stream or a restart may cost.
namespace netsentinel::ingest {
namespace {

using ::testing::HasSubstr;

const std::string kBoundsSpool(16, 'b');

// Keeps what an engine sends and how it closed the stream.
class KeepingSink final : public StreamSink {
 public:
  void Send(AggregatorMessage message) override {
    base::MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
  }
  void Close(absl::Status status) override {
    base::MutexLock lock(mutex_);
    closed_ = std::move(status);
  }
  template <typename Message>
  std::optional<Message> Last() {
    base::MutexLock lock(mutex_);
    std::optional<Message> found;
    for (const AggregatorMessage& message : messages_) {
      if (const auto* wanted = std::get_if<Message>(&message)) found = *wanted;
    }
    return found;
  }
  std::optional<absl::Status> Closed() {
    base::MutexLock lock(mutex_);
    return closed_;
  }
  bool Paused() const override { return paused.load(); }

  std::atomic<bool> paused{false};

 private:
  base::Mutex mutex_;
  std::vector<AggregatorMessage> messages_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
};

class EngineBoundsTest : public EngineFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OpenStores());
    settings_.instance = "test";
    settings_.store_lease_ttl = absl::Minutes(5);
    settings_.store_backoff = {.initial = absl::Milliseconds(5), .maximum = absl::Milliseconds(20)};
    policy_.text = "policy";
    policy_.accounting.sites.push_back(
        {base::SiteId("lab"), absl::UTCTimeZone(), absl::ZeroDuration(), {}});
    accounting::RouterSettings router;
    router.id = base::RouterId("r1");
    router.site = base::SiteId("lab");
    policy_.accounting.routers.push_back(router);
    policy_.admission[router.id] = {.collectors = {base::CollectorId("c1")},
                                    .poll_interval = absl::ZeroDuration(),
                                    .site = router.site};
  }
  std::shared_ptr<KeepingSink> Open(StreamId stream) {
    auto sink = std::make_shared<KeepingSink>();
    events_.Post({stream, StreamOpened{sink, base::CollectorId("c1")}, nullptr});
    return sink;
  }
  void Post(StreamId stream, const v1::IngestRequest& request) {
    auto message = FromWire(std::make_shared<v1::IngestRequest>(request));
    ASSERT_THAT(message, test::IsOk());
    events_.Post({stream, *std::move(message), nullptr});
  }
  std::uint64_t Hello(StreamId stream, KeepingSink& sink) {
    v1::IngestRequest request;
    *request.mutable_hello() = test::MakeHello("c1", kBoundsSpool, {"r1"});
    Post(stream, request);
    EXPECT_TRUE(test::WaitUntil([&] { return sink.Last<WelcomeMessage>().has_value(); }));
    const auto welcome = sink.Last<WelcomeMessage>();
    return welcome->routers.at(0).lease->lease_epoch;
  }
  v1::IngestRequest Snapshot(std::uint64_t epoch, std::uint64_t sequence, std::uint64_t download) {
    v1::IngestRequest request;
    *request.mutable_snapshot() = test::MakeSnapshot(
        {"r1", epoch, kBoundsSpool, sequence, sequence - 1}, {{"alice", 0, download}}, absl::Now());
    return request;
  }
  std::uint64_t Counted() {
    return book_.Read([](const accounting::Book& book) {
      std::uint64_t sum = 0;
      for (const accounting::UsageRow& row : book.Usage(
               base::SiteId("lab"), absl::CivilDay(2020, 1, 1), absl::CivilDay(2100, 1, 1))) {
        sum += row.counted.download;
      }
      return sum;
    });
  }

  EngineSettings settings_;
  EnginePolicy policy_;
};

TEST_F(EngineBoundsTest, AStreamWithoutAHelloIsEndedAndOneWithAHelloLivesOn) {
  settings_.hello_deadline = absl::Milliseconds(200);
  Run(settings_, policy_, NoSignals());
  const auto polite = Open(1);
  Hello(1, *polite);
  const auto silent = Open(2);
  ASSERT_TRUE(test::WaitUntil([&] { return silent->Closed().has_value(); }));
  EXPECT_THAT(*silent->Closed(), test::StatusIs(absl::StatusCode::kDeadlineExceeded,
                                                HasSubstr("no hello came within 200ms")));
  EXPECT_FALSE(polite->Closed().has_value());
  EXPECT_EQ(logger_.Count("ingest.silent"), 1U);
}

TEST_F(EngineBoundsTest, ASnapshotOfWhichNothingMoreComesEndsItsStream) {
  settings_.part_deadline = absl::Milliseconds(200);
  Run(settings_, policy_, NoSignals());
  const auto sink = Open(1);
  const std::uint64_t epoch = Hello(1, *sink);
  v1::IngestRequest half = Snapshot(epoch, 1, 1'000);
  half.mutable_snapshot()->set_last_part(false);
  Post(1, half);
  ASSERT_TRUE(test::WaitUntil([&] { return sink->Closed().has_value(); }));
  EXPECT_THAT(*sink->Closed(), test::StatusIs(absl::StatusCode::kDeadlineExceeded,
                                              HasSubstr("no further part of a snapshot")));
}

TEST_F(EngineBoundsTest, AStreamThatIsNotReadIsNotBlamedForWhatDoesNotCome) {
  settings_.part_deadline = absl::Milliseconds(200);
  settings_.hello_deadline = absl::Milliseconds(600);
  Run(settings_, policy_, NoSignals());
  const auto waiting = Open(1);
  const std::uint64_t epoch = Hello(1, *waiting);
  waiting->paused = true;
  v1::IngestRequest half = Snapshot(epoch, 1, 1'000);
  half.mutable_snapshot()->set_last_part(false);
  Post(1, half);
  // One that says nothing at all shows that the engine has looked, later than the deadline.
  const auto silent = Open(2);
  ASSERT_TRUE(test::WaitUntil([&] { return silent->Closed().has_value(); }));
  EXPECT_FALSE(waiting->Closed().has_value());
  waiting->paused = false;
  ASSERT_TRUE(test::WaitUntil([&] { return waiting->Closed().has_value(); }));
  EXPECT_THAT(*waiting->Closed(), test::StatusIs(absl::StatusCode::kDeadlineExceeded,
                                                 HasSubstr("no further part of a snapshot")));
}

TEST_F(EngineBoundsTest, ACommitTakesAsManyBytesAsItMayAndTheRestGoesWithTheNext) {
  settings_.batch_bytes_max = 1;
  settings_.flush_interval = absl::Hours(1);
  Run(settings_, policy_, NoSignals());
  const auto sink = Open(1);
  const std::uint64_t epoch = Hello(1, *sink);
  for (std::uint64_t i = 1; i <= 20; ++i) Post(1, Snapshot(epoch, i, i * 1'000));
  EXPECT_TRUE(test::WaitUntil([&] {
    const auto ack = sink->Last<AckMessage>();
    return ack.has_value() && ack->sequence == 20;
  }));
  EXPECT_EQ(Counted(), 19'000U);
}

TEST_F(EngineBoundsTest, ALongJournalIsMadeDurableWhileItIsReplayed) {
  settings_.flush_interval = absl::Hours(1);
  Run(settings_, policy_, NoSignals());
  const auto sink = Open(1);
  const std::uint64_t epoch = Hello(1, *sink);
  for (std::uint64_t i = 1; i <= 50; ++i) Post(1, Snapshot(epoch, i, i * 1'000));
  ASSERT_TRUE(test::WaitUntil([&] {
    const auto ack = sink->Last<AckMessage>();
    return ack.has_value() && ack->sequence == 50;
  }));
  // As if it were killed: the last flush does not come about.
  flush_store_->FailFlush(absl::UnavailableError("killed"), 1'000);
  Stop();
  flush_store_->FailFlush(absl::OkStatus(), 0);
  ASSERT_OK_AND_ASSIGN(const auto before, store_->Journal(0, 1 << 20));
  ASSERT_EQ(before.size(), 50U);

  settings_.replay_flush_bytes = 1;
  book_.Replace(std::make_unique<accounting::Book>());
  Run(settings_, policy_, NoSignals());
  ASSERT_TRUE(logger_.WaitFor("ingest.replay_flushed")) << logger_.Text();
  ASSERT_TRUE(test::WaitUntil([&] { return logger_.Count("ingest.recovered") == 2; }));
  EXPECT_EQ(Counted(), 49'000U);
  ASSERT_OK_AND_ASSIGN(auto other, factory_->Connect());
  ASSERT_OK_AND_ASSIGN(const auto after, other->Journal(0, 1 << 20));
  EXPECT_TRUE(after.empty()) << "what is replayed needs no replay any more";
  ASSERT_OK_AND_ASSIGN(const auto rows,
                       other->UsageBetween(base::SiteId("lab"), absl::CivilDay(2020, 1, 1),
                                           absl::ToCivilDay(absl::Now(), absl::UTCTimeZone()) + 1));
  std::uint64_t stored = 0;
  for (const store::StoredUsage& usage : rows) stored += usage.row.counted.download;
  EXPECT_EQ(stored, 49'000U);

  // And it goes on from there.
  const auto again = Open(2);
  const std::uint64_t next = Hello(2, *again);
  Post(2, Snapshot(next, 51, 60'000));
  EXPECT_TRUE(test::WaitUntil([&] { return Counted() == 59'000U; }));
}

}  // namespace
}  // namespace netsentinel::ingest
