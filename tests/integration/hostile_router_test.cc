// A router whose names and comments are without measure, against the real programs: it is refused
// in words, nobody else notices, and nothing of it stands in the way of a restart.
#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <unistd.h>

#include "tests/integration/collector_fixture.h"
#include "tests/support/scripted_router.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int kQueues = 3'000;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Sanitizers keep shadows and what was freed.
constexpr int kSlower = 6;
#else
constexpr int kSlower = 1;
#endif
constexpr std::uint64_t kMemoryMiB = 512 * kSlower;
constexpr std::uint64_t kCollectorMiB = 256 * kSlower;
// Of processor time: how long that takes depends on who else runs here.
constexpr absl::Duration kRestart = absl::Seconds(5 * kSlower);

// The most memory that the process has had, in MiB.
std::uint64_t MostMemoryMiB(pid_t pid) {
  const std::string status = test::ReadWhole(absl::StrCat("/proc/", pid, "/status"));
  const std::size_t at = status.find("VmHWM:");
  if (at == std::string::npos) return 0;
  const std::size_t first = status.find_first_of("0123456789", at);
  std::uint64_t kib = 0;
  EXPECT_TRUE(absl::SimpleAtoi(
      status.substr(first, status.find_first_not_of("0123456789", first) - first), &kib));
  return kib / 1024;
}

// The processor time that the process has used.
absl::Duration ProcessorTime(pid_t pid) {
  const std::string stat = test::ReadWhole(absl::StrCat("/proc/", pid, "/stat"));
  // Behind the name in brackets: state, then 10 numbers, then user and system time in ticks.
  const std::vector<std::string> words = absl::StrSplit(stat.substr(stat.rfind(')') + 2), ' ');
  std::int64_t user = 0;
  std::int64_t system = 0;
  EXPECT_TRUE(words.size() > 12 && absl::SimpleAtoi(words[11], &user) &&
              absl::SimpleAtoi(words[12], &system))
      << stat;
  return absl::Seconds(user + system) / ::sysconf(_SC_CLK_TCK);
}

// The texts of one queue.
struct Shape {
  std::size_t name = 8;
  std::size_t description = 0;  // of target and comment each
};

std::string Padded(const std::string& begin, std::size_t bytes) {
  return begin + std::string(bytes - std::min(bytes, begin.size()), 'x');
}

class HostileRouterTest : public CollectorFixture {
 protected:
  HostileRouterTest() { flush_interval_ = "1s"; }

  // One snapshot of r1 whose names, or whose comments, are those of `round`.
  void SendHuge(test::IngestClient& client, std::uint64_t sequence, std::uint64_t previous,
                const Shape& shape, const std::string& name_round,
                const std::string& comment_round) {
    constexpr int kPart = 300;
    v1::SnapshotFrame whole =
        test::MakeSnapshot({"r1", Epoch("r1"), kSpool, sequence, previous}, {}, absl::Now());
    whole.mutable_header()->set_queue_count(kQueues);
    const v1::SnapshotHeader header = whole.header();
    for (int first = 0; first < kQueues; first += kPart) {
      v1::SnapshotFrame part = whole;
      part.clear_header();
      if (first == 0) *part.mutable_header() = header;
      part.set_part(static_cast<std::uint32_t>(first / kPart));
      part.set_last_part(first + kPart == kQueues);
      for (int i = first; i < first + kPart; ++i) {
        v1::QueueDescriptor* queue = part.add_added();
        queue->set_row_id(static_cast<std::uint64_t>(i) + 1);
        queue->set_name(Padded(absl::StrCat(name_round, "-", i, "-"), shape.name));
        queue->set_target(Padded(comment_round, shape.description));
        queue->set_comment(Padded(comment_round, shape.description));
        part.add_queue_index(i == first ? static_cast<std::uint32_t>(first) : 1);
        part.add_upload(1'000);
        part.add_download(static_cast<std::int64_t>(sequence) * 1'000);
        part.add_packets(100);
      }
      if (!client.Send(part)) return;
    }
  }
  // A collector that comes, again and again where a busy host lets its handshake time out.
  std::unique_ptr<test::IngestClient> Come(const std::string& collector, const std::string& router,
                                           const std::string& spool) {
    std::unique_ptr<test::IngestClient> client;
    const bool welcomed = test::WaitUntil(
        [&] {
          client = Connect(collector);
          client->Send(test::MakeHello(collector, spool, {router}));
          const auto welcome = client->ReadWelcome();
          if (welcome.has_value()) welcome_ = *welcome;
          return welcome.has_value();
        },
        std::chrono::seconds(60));
    EXPECT_TRUE(welcomed) << Log();
    return client;
  }
  std::unique_ptr<test::IngestClient> Again() { return Come("c1", "r1", kSpool); }

  void ExpectOtherServed(test::IngestClient& other, std::uint64_t sequence) {
    const absl::Time begin = absl::Now();
    v1::SnapshotFrame frame =
        test::MakeSnapshot({"other", other_epoch_, std::string(16, 'o'), sequence, sequence - 1},
                           {{"bob", 0, sequence * 1'000}}, absl::Now());
    ASSERT_TRUE(other.Send(frame));
    ASSERT_TRUE(other.ReadAck().has_value()) << Log();
    EXPECT_LT(absl::Now() - begin, absl::Seconds(30));
  }
  v1::MenuInfo SimpleMenu(const std::string& router) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListRoutersResponse response;
    const grpc::Status status = v1::UsageService::NewStub(Channel(rpc::Role::kViewer, "eve"))
                                    ->ListRouters(&context, v1::ListRoutersRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    for (const v1::RouterInfo& one : response.routers()) {
      if (one.router_id() != router) continue;
      for (const v1::MenuInfo& menu : one.menus()) {
        if (menu.menu() == v1::MENU_SIMPLE) return menu;
      }
    }
    return {};
  }
  void ExpectRestart() {
    const std::uint64_t before = MostMemoryMiB(aggregator_->pid());
    EXPECT_LT(before, kMemoryMiB);
    Kill();
    Start();
    const absl::Duration took = ProcessorTime(aggregator_->pid());
    EXPECT_LT(took, kRestart);
    const std::uint64_t after = MostMemoryMiB(aggregator_->pid());
    EXPECT_LT(after, kMemoryMiB);
    std::printf(
        "memory at most %d MiB, after the restart %d MiB; it took %d ms of processor time\n",
        static_cast<int>(before), static_cast<int>(after),
        static_cast<int>(absl::ToInt64Milliseconds(took)));
  }
  void SayHelloAsOther() {
    other_ = Come("c2", "other", std::string(16, 'o'));
    other_epoch_ = Epoch("other");
  }

  std::unique_ptr<test::IngestClient> other_;
  std::uint64_t other_epoch_ = 0;
};

TEST_F(HostileRouterTest, TextsOfThirtyMegabytesAPollEndAsOneRefusedRouter) {
  Start();
  SayHelloAsOther();
  for (std::uint64_t round = 1; round <= 10; ++round) {
    const auto client = Again();
    SendHuge(*client, round, 0, {.name = 1'900, .description = 3'900}, absl::StrCat("n", round),
             absl::StrCat("c", round));
    const auto refusal = client->ReadRefusal();
    ASSERT_TRUE(refusal.has_value()) << Log();
    EXPECT_EQ(refusal->reason(), v1::REFUSAL_REASON_TOO_LARGE);
    EXPECT_THAT(refusal->detail(), AllOf(HasSubstr("of 3000 queues have "),
                                         HasSubstr("the limit for so many is 9156608")));
    ExpectOtherServed(*other_, round);
  }
  EXPECT_THAT(SimpleMenu("r1").detail(), HasSubstr("shorten them on the router"));
  EXPECT_THAT(Events("r1"), Contains("refused"));
  ExpectRestart();

  const auto client = Again();
  client->Send(Snapshot("r1", 20, 1'000));
  EXPECT_TRUE(client->ReadAck().has_value()) << "it behaves again: " << Log();
}

TEST_F(HostileRouterTest, NewNamesInEveryPollAreRefusedAndKnownOnesAreTakenOn) {
  Start();
  SayHelloAsOther();
  std::uint64_t taken = 0;
  for (std::uint64_t round = 1; round <= 8; ++round) {
    const auto client = Again();
    SendHuge(*client, round, taken, {.name = 1'900, .description = 100}, absl::StrCat("n", round),
             "c");
    const auto answer = client->ReadUntil(
        [](const v1::IngestResponse& one) { return one.has_ack() || one.has_refusal(); });
    ASSERT_TRUE(answer.has_value()) << Log();
    if (answer->has_ack()) taken = round;
    if (round > 1) {
      EXPECT_THAT(answer->refusal().detail(), AllOf(HasSubstr("never seen before"),
                                                    HasSubstr("a router of 3000 queues may show")));
    }
    ExpectOtherServed(*other_, round);
  }
  EXPECT_EQ(taken, 1U);
  ExpectRestart();
  const auto client = Again();
  SendHuge(*client, 20, taken, {.name = 1'900, .description = 100}, "n1", "c");
  EXPECT_TRUE(client->ReadAck().has_value()) << "its known names are taken: " << Log();
}

// As much as is allowed, and all of it new in each poll: it is counted, and neither memory nor a
// restart grows with the polls.
TEST_F(HostileRouterTest, TextsJustBelowTheLimitThatChangeInEveryPollAreBounded) {
  Start();
  SayHelloAsOther();
  const auto client = Again();
  for (std::uint64_t round = 1; round <= 8; ++round) {
    SendHuge(*client, round, round - 1, {.name = 40, .description = 1'400}, "n",
             absl::StrCat("c", round));
    ASSERT_TRUE(client->ReadAck().has_value()) << Log();
    ExpectOtherServed(*other_, round);
  }
  ExpectRestart();
}

// The same with a collector in between, which spools none of it.
TEST_F(HostileRouterTest, ACollectorSpoolsNothingOfItAndReadsTheOthersOn) {
  // Login, then names without measure, others each time, to whoever prints queues.
  int polls = 0;
  test::ScriptedRouter hostile([&polls](test::RouterConnection& connection) {
    connection.AcceptLogin();
    while (const auto command = connection.Read()) {
      const std::string tag = test::TagOf(*command);
      const bool count =
          std::find(command->begin(), command->end(), "=count-only=") != command->end();
      if (command->front() == "/system/resource/print") {
        connection.Send(
            {{"!re", tag, "=uptime=1h", "=version=7.16.2", "=board-name=CHR"}, {"!done", tag}});
      } else if (command->front() == "/system/routerboard/print") {
        connection.Send({{"!re", tag, "=routerboard=yes", "=model=CCR", "=serial-number=H0571LE"},
                         {"!done", tag}});
      } else if (command->front() == "/system/identity/print") {
        connection.Send({{"!re", tag, "=name=hostile"}, {"!done", tag}});
      } else if (command->front() == "/queue/simple/print" && count) {
        connection.Send({{"!done", tag, absl::StrCat("=ret=", kQueues)}});
      } else if (command->front() == "/queue/simple/print") {
        ++polls;
        std::vector<test::SentenceWords> rows;
        for (int i = 0; i < kQueues; ++i) {
          rows.push_back({"!re", tag, absl::StrCat("=.id=*", absl::Hex(i + 1)),
                          absl::StrCat("=name=", Padded(absl::StrCat(polls, "-", i), 1'900)),
                          absl::StrCat("=target=", std::string(3'900, 't')),
                          absl::StrCat("=comment=", std::string(3'900, 'c')), "=bytes=1/2",
                          "=packets=1/1", "=disabled=false"});
        }
        rows.push_back({"!done", tag});
        connection.Send(rows);
      } else {
        connection.Send({{"!done", tag}});
      }
    }
  });
  Start();
  StartSimulator({{"r2", "queues: [{name: bob, down_rate: 100000}]"}});
  more_collector_routers_ =
      absl::StrCat("  - {id: r1, address: \"127.0.0.1:", hostile.port(),
                   "\", transport: api, username: ns, password_file: ", Path("password"),
                   ", poll_interval: 1s}\n");
  StartCollector();
  ASSERT_TRUE(test::WaitUntil(
      [this] { return SimpleMenu("r1").detail().find("29100000 bytes") != std::string::npos; },
      std::chrono::seconds(60)))
      << CollectorLog();
  EXPECT_TRUE(
      test::WaitUntil([this] { return Ranking()["r2/bob"] > 0; }, std::chrono::seconds(60)));
  EXPECT_TRUE(test::WaitUntil([&] { return Events("r1").size() > 0; }, std::chrono::seconds(30)));
  EXPECT_THAT(Events("r1"), Contains("incomplete_reply"));
  EXPECT_LT(MostMemoryMiB(collector_->pid()), kCollectorMiB);
  std::uintmax_t spool = 0;
  for (const char* part : {"state/spool.db", "state/spool.db-wal"}) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(Path(part), error);
    if (!error) spool += size;
  }
  EXPECT_LT(spool, 8U << 20);
}

}  // namespace
}  // namespace netsentinel
