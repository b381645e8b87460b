#include <thread>

#include "common/http/client.h"
#include "tests/integration/aggregator_fixture.h"

// The aggregator on a host whose wall clock is set while it works (libfaketime, which leaves
// CLOCK_BOOTTIME alone), and a collector on another host whose clock is right.
namespace netsentinel {
namespace {

using ::testing::HasSubstr;

class AggregatorClockTest : public AggregatorFixture {
 protected:
  AggregatorClockTest() { SetClock("+0d"); }

  // What the aggregator's wall clock shows, against true time.
  void SetClock(const std::string& offset) {
    std::ofstream(Path("clock.next")) << offset << "\n";
    std::filesystem::rename(Path("clock.next"), Path("clock"));
  }
  void StartUnderSetClock() {
    ASSERT_TRUE(std::filesystem::exists(NS_FAKETIME))
        << NS_FAKETIME << " is missing: run scripts/install-deps test";
    std::filesystem::remove(Path("ports"));
    aggregator_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{"/usr/bin/env", std::string("LD_PRELOAD=") + NS_FAKETIME,
                                 "FAKETIME_TIMESTAMP_FILE=" + Path("clock"), "FAKETIME_NO_CACHE=1",
                                 "FAKETIME_DONT_FAKE_MONOTONIC=1", NS_AGGREGATOR, "--config",
                                 Path("aggregator.yaml"), "--ports-file", Path("ports")},
        Path("log"));
    ports_ = test::WaitForPorts(Path("ports"));
    ASSERT_TRUE(ports_.contains("grpc")) << Log();
    ASSERT_TRUE(test::WaitUntil([this] { return LogCount("ingest.recovered") > recovered_; }))
        << Log();
    recovered_ = LogCount("ingest.recovered");
  }
  std::unique_ptr<test::IngestClient> HelloWithTime() {
    auto client = Connect("c1");
    v1::Hello hello = test::MakeHello("c1", kSpool, {"r1"});
    hello.set_collector_time_us(absl::ToUnixMicros(absl::Now()));
    client->Send(hello);
    const auto welcome = client->ReadWelcome();
    EXPECT_TRUE(welcome.has_value()) << Log();
    welcome_ = welcome.value_or(v1::Welcome());
    return client;
  }
  // Reads the queue, 1,000 bytes further, and gives what time the aggregator said it is.
  std::int64_t Read(test::IngestClient& client) {
    ++sequence_;
    v1::SnapshotFrame frame = Snapshot("r1", sequence_, 1000 * sequence_);
    frame.set_collector_time_us(absl::ToUnixMicros(absl::Now()));
    EXPECT_TRUE(client.Send(frame)) << Log();
    const auto ack = client.ReadAck();
    EXPECT_TRUE(ack.has_value()) << Log();
    return ack.has_value() ? ack->aggregator_time_us() : -1;
  }
  std::uint64_t Counted() { return 1000 * (sequence_ - 1); }

  std::uint64_t sequence_ = 0;
};

struct Step {
  std::string name;
  std::string offset;
  int seconds;
};
class ClockStepTest : public AggregatorClockTest, public ::testing::WithParamInterface<Step> {};

TEST_P(ClockStepTest, AStepOfTheWallClockAndBackMovesNoByteToAnotherDay) {
  StartUnderSetClock();
  const auto client = HelloWithTime();
  Read(*client);
  Read(*client);
  SetClock(GetParam().offset);
  for (int i = 0; i < GetParam().seconds; ++i) {
    const std::int64_t said_us = Read(*client);
    EXPECT_LT(absl::AbsDuration(absl::FromUnixMicros(said_us) - absl::Now()), absl::Seconds(10));
    // The time that the case is about: the clock stays wrong for as many seconds.
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  EXPECT_GE(LogCount("clock.wrong"), 1) << Log();
  SetClock("+0d");
  Read(*client);
  EXPECT_TRUE(test::WaitUntil([this] { return LogCount("clock.agreed") >= 1; })) << Log();
  EXPECT_EQ(Ranking()["r1/alice"], Counted());
  // It is so for good: read back from what was stored meanwhile.
  Kill();
  StartUnderSetClock();
  const auto again = HelloWithTime();
  Read(*again);
  EXPECT_EQ(Ranking()["r1/alice"], Counted());
}

INSTANTIATE_TEST_SUITE_P(Steps, ClockStepTest,
                         ::testing::Values(Step{"FortyDaysForFourSeconds", "+40d", 4},
                                           Step{"MoreThanADayForFifteenSeconds", "+25h", 15},
                                           Step{"ThreeHoursBack", "-3h", 6}),
                         [](const auto& step) { return step.param.name; });

TEST_F(AggregatorClockTest, AStartWithAWrongClockCountsByTheCollectorsStampsAndSaysSo) {
  SetClock("+20h");  // the test's certificates last a day
  StartUnderSetClock();
  const auto client = HelloWithTime();
  EXPECT_EQ(welcome_.aggregator_time_us(), 0) << "a wrong time is not handed on";
  EXPECT_EQ(Read(*client), 0);
  EXPECT_EQ(Read(*client), 0);
  EXPECT_EQ(Ranking()["r1/alice"], Counted());
  const auto ready = http::Fetch({"127.0.0.1", ports_.at("http")}, "/readyz");
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_THAT(ready->body, HasSubstr("no day closes"));
}

TEST_F(AggregatorClockTest, AnotherStartWithAWrongClockGoesOnByTheTimeOfTheOneBefore) {
  StartUnderSetClock();
  {
    const auto client = HelloWithTime();
    Read(*client);
    Read(*client);
    ASSERT_EQ(Ranking()["r1/alice"], Counted());
  }
  aggregator_->Stop(SIGTERM);
  SetClock("+20h");
  StartUnderSetClock();
  const auto client = HelloWithTime();
  const std::int64_t said_us = Read(*client);
  EXPECT_LT(absl::AbsDuration(absl::FromUnixMicros(said_us) - absl::Now()), absl::Seconds(10));
  EXPECT_EQ(Ranking()["r1/alice"], Counted());
}

}  // namespace
}  // namespace netsentinel
