#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io/files.h"
#include "tests/integration/aggregator_fixture.h"
#include "tests/support/status_matchers.h"

// The real collector between simulated routers and the real aggregator.
namespace netsentinel {
namespace {

// The simulator's control channel.
class Control {
 public:
  explicit Control(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Control() { ::close(socket_); }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;
  // Sends a command and expects its answer to be positive.
  void Do(const std::string& command) {
    const std::string line = command + "\n";
    ASSERT_EQ(::write(socket_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    std::string answer;
    for (char byte = 0; byte != '\n'; answer.push_back(byte)) {
      ASSERT_EQ(::read(socket_, &byte, 1), 1) << command;
    }
    ASSERT_NE(answer.find("\"ok\":true"), std::string::npos) << command << " " << answer;
  }

 private:
  const int socket_;
};

class CollectorDeliveryTest : public AggregatorFixture {
 protected:
  CollectorDeliveryTest() {
    more_routers_ =
        "  - {id: good, site: lab, collectors: [c1], line_rate: 1000Gbps, poll_interval: 1s}\n";
    WriteConfig();
    std::ofstream(Path("lab.yaml"))
        << "routers:\n"
        << "  - {id: good, users: [{name: ns, password: pw, policies: [read, api]}],\n"
        << "     queues: [{name: alice}]}\n"
        << "  - {id: other, users: [{name: ns, password: pw, policies: [read, api]}],\n"
        << "     queues: [{name: bob}]}\n";
    EXPECT_THAT(io::WriteFileDurably(Path("password"), "pw", 0600), test::IsOk());
    EXPECT_THAT(io::MakeFolder(Path("state")), test::IsOk());
  }
  void StartSimulator() {
    simulator_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_SIMULATOR, "--scenario", Path("lab.yaml"), "--ports-file",
                                 Path("routers.json"), "--control",
                                 absl::StrCat("unix:", Path("control"))},
        Path("simulator.log"));
    ASSERT_TRUE(test::WaitUntil([this] { return io::Exists(Path("routers.json")); }))
        << test::ReadWhole(Path("simulator.log"));
    control_ = std::make_unique<Control>(Path("control"));
  }
  // The `api` port of a router in the simulator's ports file.
  int RouterPort(const std::string& router) const {
    const std::string text = test::ReadWhole(Path("routers.json"));
    const std::size_t at = text.find("\"api\"", text.find(absl::StrCat("\"", router, "\"")));
    const std::size_t first = text.find_first_of("0123456789", at);
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(
        text.substr(first, text.find_first_not_of("0123456789", first) - first), &port))
        << text;
    return port;
  }
  void StartCollector() {
    const config::TlsFiles files = certificates_.Issue(rpc::Role::kCollector, "c1");
    std::ofstream file(Path("collector.yaml"));
    file << "collector: {id: c1, state_dir: " << Path("state") << "}\n"
         << "aggregator: {target: \"127.0.0.1:" << ports_.at("grpc") << "\", tls: {ca: " << files.ca
         << ", cert: " << files.cert << ", key: " << files.key << "}}\n"
         << "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nrouters:\n";
    for (const std::string router : {"good", "other"}) {
      file << "  - {id: " << router << ", address: \"127.0.0.1:" << RouterPort(router)
           << "\", transport: api, username: ns, password_file: " << Path("password")
           << ", queues: [simple], poll_interval: 1s}\n";
    }
    file.close();
    collector_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_COLLECTOR, "--config", Path("collector.yaml")},
        Path("collector.log"));
  }
  std::string CollectorLog() const { return test::ReadWhole(Path("collector.log")); }
  // Waits until the aggregator has counted so many bytes of alice.
  bool Counted(std::uint64_t bytes) {
    return test::WaitUntil([&] { return Ranking()["good/alice"] == bytes; },
                           std::chrono::seconds(30));
  }
  void Move(std::uint64_t bytes) {
    control_->Do(
        absl::StrCat(R"({"router":"good","do":"move","queue":"alice","up":0,"down":)", bytes, "}"));
  }
  void AwaitPoll() { control_->Do(R"({"router":"good","do":"wait","snapshots":1})"); }

  std::unique_ptr<test::ChildProcess> simulator_, collector_;
  std::unique_ptr<Control> control_;
};

TEST_F(CollectorDeliveryTest, BesideARouterThatIsNotGrantedTheOtherIsCountedOnceThroughAKill) {
  Start();
  StartSimulator();
  StartCollector();
  AwaitPoll();
  Move(5'000'000);
  ASSERT_TRUE(Counted(5'000'000)) << CollectorLog();
  EXPECT_NE(CollectorLog().find("not granted"), std::string::npos) << CollectorLog();
  EXPECT_EQ(Ranking().count("other/bob"), 0U);

  // Killed with what it has read perhaps acknowledged and perhaps not, and away for more traffic.
  Move(300);
  AwaitPoll();
  collector_->Stop(SIGKILL);
  Move(4'000);
  StartCollector();
  AwaitPoll();
  ASSERT_TRUE(Counted(5'004'300)) << CollectorLog();
  AwaitPoll();
  AwaitPoll();
  EXPECT_EQ(Ranking()["good/alice"], 5'004'300U);

  const int status = collector_->Stop(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << CollectorLog();
}

TEST_F(CollectorDeliveryTest, WhatWasReadWhileTheAggregatorWasAwayIsDeliveredToTheNextOne) {
  Start();
  StartSimulator();
  StartCollector();
  AwaitPoll();
  Move(1'000);
  ASSERT_TRUE(Counted(1'000)) << CollectorLog();
  collector_->Stop(SIGTERM);
  Kill();
  // It finds nobody at the old address, and spools.
  StartCollector();
  Move(20);
  AwaitPoll();
  Move(3);
  AwaitPoll();
  collector_->Stop(SIGTERM);
  Start();
  StartCollector();
  EXPECT_TRUE(Counted(1'023)) << CollectorLog();
}

}  // namespace
}  // namespace netsentinel
