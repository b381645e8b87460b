#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/aggregator/ingest/stream_fixture.h"

// What a stream or a restart may cost.
namespace netsentinel::ingest {
namespace {

using ::testing::HasSubstr;

class EngineBoundsTest : public StreamFixture {
 protected:
  void SetUp() override { ASSERT_NO_FATAL_FAILURE(OpenStores()); }
  std::shared_ptr<RecordingSink> Open(StreamId stream) {
    auto sink = std::make_shared<RecordingSink>();
    events_.Post({stream, StreamOpened{sink, base::CollectorId("c1")}, nullptr});
    return sink;
  }
  std::uint64_t Hello(StreamId stream, RecordingSink& sink) {
    v1::IngestRequest request;
    *request.mutable_hello() = test::MakeHello("c1", Spool(), {"r1"});
    Post(stream, request);
    const auto welcome = sink.Wait<WelcomeMessage>();
    EXPECT_TRUE(welcome.has_value());
    return welcome.has_value() ? welcome->routers.at(0).lease->lease_epoch : 0;
  }

  EngineSettings settings_ = LabSettings();
  const EnginePolicy policy_ = LabPolicy("policy");
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

TEST_F(EngineBoundsTest, ALargeCheckpointIsReadInSlicesAndGivesTheSameFigures) {
  constexpr std::size_t kQueues = 9'000;
  settings_.flush_interval = absl::Hours(1);
  Run(settings_, policy_, NoSignals());
  const auto sink = Open(1);
  const std::uint64_t epoch = Hello(1, *sink);
  for (std::uint64_t sequence = 1; sequence <= 2; ++sequence) {
    std::vector<test::ClientQueue> rows;
    for (std::size_t i = 0; i < kQueues; ++i) {
      rows.push_back({absl::StrCat("customer-with-a-name-", i), 0, sequence * (1'000 + i)});
    }
    v1::IngestRequest request;
    *request.mutable_snapshot() =
        test::MakeSnapshot({"r1", epoch, Spool(), sequence, sequence - 1}, rows, absl::Now());
    Post(1, request);
  }
  const std::uint64_t sum = kQueues * 1'000 + kQueues * (kQueues - 1) / 2;
  ASSERT_TRUE(test::WaitUntil([&] { return Counted() == sum; })) << Counted();
  Stop();

  for (const std::size_t slice : {std::size_t{1}, std::size_t{64} << 10, std::size_t{1} << 30}) {
    SCOPED_TRACE(slice);
    ASSERT_OK_AND_ASSIGN(auto again, factory_->Connect());
    store_ = std::make_unique<store::FlakyStore>(std::move(again));
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Minutes(5)));
    fence_ = lease.fence;
    settings_.checkpoint_slice_bytes = slice;
    book_.Replace(std::make_unique<accounting::Book>());
    Run(settings_, policy_, NoSignals());
    EXPECT_TRUE(test::WaitUntil([&] { return Counted() == sum; })) << Counted();
    Stop();
    EXPECT_THAT(result_, test::IsOk());
    EXPECT_GT(store_->checkpoint_bytes(), 500U << 10);
    if (slice < store_->checkpoint_bytes()) {
      EXPECT_LT(store_->largest_checkpoint_page(), store_->checkpoint_bytes() / 4);
    }
  }
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
