#include <algorithm>
#include <atomic>
#include <thread>

#include "common/base/random.h"
#include "common/http/client.h"
#include "tests/integration/aggregator_fixture.h"
#include "tests/support/mariadb_server.h"

namespace netsentinel {
namespace {

constexpr std::uint64_t kSnapshots = 300;
constexpr std::uint64_t kKills = 6;
constexpr std::size_t kQueues = 20;

// A collector that owns the truth: counters only it writes, kept in a spool that never forgets.
class AggregatorCrashTest : public AggregatorFixture {
 protected:
  AggregatorCrashTest() {
    std::vector<test::ClientQueue> counters(kQueues);
    for (std::size_t i = 0; i < kQueues; ++i) counters[i].name = absl::StrCat("user-", i);
    begun_ = absl::Now();
    for (std::uint64_t sequence = 1; sequence <= kSnapshots; ++sequence) {
      for (test::ClientQueue& queue : counters) {
        queue.upload += random_.Next() % 1000;
        queue.download += random_.Next() % 100'000;
      }
      spool_.push_back(counters);
    }
  }

  // Sends what follows the resume point until all is acknowledged or the stream ends.
  bool SendAll() {
    test::IngestClient client(Channel(rpc::Role::kCollector, "c1"));
    client.Send(test::MakeHello("c1", kSpool, {"r1"}));
    const auto welcome = client.ReadWelcome();
    if (!welcome.has_value()) return false;
    welcome_ = *welcome;
    std::uint64_t sequence = Resume("r1");
    EXPECT_GE(sequence, acknowledged_) << "an acknowledged snapshot is lost";
    std::uint64_t sent = sequence;
    while (sequence < kSnapshots) {
      // A small window, so that kills fall between commits.
      while (sent < kSnapshots && sent - sequence < 5) {
        ++sent;
        const absl::Time at = begun_ + absl::Milliseconds(10) * static_cast<int>(sent);
        if (!client.Send(test::MakeSnapshot({"r1", EpochOf(sent), kSpool, sent, sent - 1},
                                            spool_[sent - 1], at))) {
          return false;
        }
      }
      const auto ack = client.ReadAck();
      if (!ack.has_value()) return false;
      sequence = ack->sequence();
      acknowledged_ = std::max(acknowledged_.load(), sequence);
    }
    return true;
  }
  // The lease epoch a snapshot was first sent under stays with it, as in a spool.
  std::uint64_t EpochOf(std::uint64_t sequence) {
    return epochs_.try_emplace(sequence, Epoch("r1")).first->second;
  }
  void ExpectExactTotals() {
    const std::map<std::string, std::uint64_t> figures = Ranking();
    for (std::size_t i = 0; i < kQueues; ++i) {
      const auto row = figures.find(absl::StrCat("r1/user-", i));
      ASSERT_NE(row, figures.end()) << i;
      EXPECT_EQ(row->second, spool_.back()[i].download - spool_.front()[i].download) << i;
    }
  }
  int ReadyStatus() {
    const auto answer = http::Fetch({.host = "127.0.0.1", .port = ports_.at("http")}, "/readyz");
    return answer.ok() ? answer->status : 0;
  }

  base::SeededRandom random_{20261123};
  absl::Time begun_;
  std::vector<std::vector<test::ClientQueue>> spool_;
  std::map<std::uint64_t, std::uint64_t> epochs_;
  std::atomic<std::uint64_t> acknowledged_{0};
};

TEST_F(AggregatorCrashTest, LosesAndDoublesNothingWhenKilledAtRandomMoments) {
  Start();
  for (std::uint64_t kill = 0; kill < kKills; ++kill) {
    std::thread collector([this] { SendAll(); });
    const std::uint64_t when = kill * kSnapshots / kKills + random_.Next() % 40;
    EXPECT_TRUE(test::WaitUntil([&] { return acknowledged_ >= when; })) << Log();
    std::this_thread::sleep_for(std::chrono::microseconds(random_.Next() % 10'000));
    Kill();
    collector.join();
    Start();
  }
  ASSERT_TRUE(SendAll()) << Log();
  ExpectExactTotals();
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  Start();
  ExpectExactTotals();
}

TEST_F(AggregatorCrashTest, LosesAndDoublesNothingWhenTheDatabaseIsKilled) {
  auto database = test::MariaDbServer::Start();
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_TRUE((*database)->Run("CREATE DATABASE netsentinel CHARACTER SET utf8mb4").ok());
  store_url_ = absl::StrCat("mysql://root@127.0.0.1:", (*database)->port(), "/netsentinel");
  WriteConfig();
  Start();
  bool done = false;
  std::thread collector(
      [&] { done = test::WaitUntil([this] { return SendAll(); }, std::chrono::seconds(60)); });
  for (const std::uint64_t when : {kSnapshots / 4, kSnapshots / 2}) {
    EXPECT_TRUE(test::WaitUntil([&] { return acknowledged_ >= when; })) << Log();
    (*database)->Kill();
    EXPECT_TRUE(test::WaitUntil([this] { return ReadyStatus() == 503; })) << Log();
    EXPECT_TRUE((*database)->Restart().ok());
    EXPECT_TRUE(test::WaitUntil([this] { return ReadyStatus() == 200; })) << Log();
  }
  collector.join();
  ASSERT_TRUE(done) << Log();
  ExpectExactTotals();
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
}

// Queues whose names are all quotes but for a number, so that they take the most room in SQL.
std::vector<test::ClientQueue> LongNames(std::size_t count, std::uint64_t download) {
  std::vector<test::ClientQueue> queues(count);
  for (std::size_t i = 0; i < count; ++i) {
    queues[i] = {absl::StrCat(i, std::string(300, '\'')), 0, download};
  }
  return queues;
}

TEST_F(AggregatorCrashTest, ARouterTooLargeForTheDatabaseIsRefusedAloneAndLongStateIsKept) {
  auto database = test::MariaDbServer::Start();
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_TRUE((*database)
                  ->Run("SET GLOBAL max_allowed_packet = 1048576;"
                        "CREATE DATABASE netsentinel CHARACTER SET utf8mb4")
                  .ok());
  store_url_ = absl::StrCat("mysql://root@127.0.0.1:", (*database)->port(), "/netsentinel");
  WriteConfig();
  Start();
  auto client = Hello("c1", {"r1", "r2"});
  const auto send = [&](const std::string& router, std::uint64_t sequence, std::size_t queues,
                        std::uint64_t download) {
    client->Send(test::MakeSnapshot({router, Epoch(router), kSpool, sequence, sequence - 1},
                                    LongNames(queues, download), absl::Now()));
  };
  send("r1", 1, 3000, 1000);
  send("r2", 1, 1300, 1000);
  bool refused = false;
  bool acknowledged = false;
  while (!refused || !acknowledged) {
    const auto answer = client->Read();
    ASSERT_TRUE(answer.has_value()) << Log();
    if (answer->has_refusal()) {
      refused = true;
      EXPECT_EQ(answer->refusal().router_id(), "r1");
      EXPECT_EQ(answer->refusal().reason(), v1::REFUSAL_REASON_TOO_LARGE);
      EXPECT_THAT(answer->refusal().detail(), ::testing::HasSubstr("raise max_allowed_packet"));
    } else if (answer->has_ack()) {
      acknowledged = true;
      EXPECT_EQ(answer->ack().router_id(), "r2");
    }
  }
  // The dictionary's part of the checkpoint is longer than a packet then.
  send("r2", 2, 2600, 2000);
  ASSERT_TRUE(client->ReadAck().has_value()) << Log();
  send("r2", 3, 2600, 5000);
  ASSERT_TRUE(client->ReadAck().has_value()) << Log();
  ASSERT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  EXPECT_EQ(LogCount("flush_failed"), 0) << Log();
  Start();
  const std::map<std::string, std::uint64_t> figures = Ranking();
  EXPECT_EQ(figures.at(absl::StrCat("r2/0", std::string(300, '\''))), 4000U);
  EXPECT_EQ(figures.at(absl::StrCat("r2/2599", std::string(300, '\''))), 5000U);
}

}  // namespace
}  // namespace netsentinel
