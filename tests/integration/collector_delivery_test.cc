#include <csignal>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/integration/collector_fixture.h"

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

class CollectorDeliveryTest : public CollectorFixture {
 protected:
  CollectorDeliveryTest() {
    more_routers_ =
        "  - {id: good, site: lab, collectors: [c1], line_rate: 1000Gbps, poll_interval: 1s}\n";
    WriteConfig();
  }
  // Routers "good" with alice, and "other", which the aggregator does not grant to c1, with bob.
  void StartRouters() {
    StartSimulator({{"good", "queues: [{name: alice}]"}, {"other", "queues: [{name: bob}]"}},
                   {"--control", absl::StrCat("unix:", Path("control"))});
    control_ = std::make_unique<Control>(Path("control"));
  }
  void StartReading() { StartCollector("queues: [simple]"); }
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

  std::unique_ptr<Control> control_;
};

TEST_F(CollectorDeliveryTest, BesideARouterThatIsNotGrantedTheOtherIsCountedOnceThroughAKill) {
  Start();
  StartRouters();
  StartReading();
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
  StartReading();
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
  StartRouters();
  StartReading();
  AwaitPoll();
  Move(1'000);
  ASSERT_TRUE(Counted(1'000)) << CollectorLog();
  collector_->Stop(SIGTERM);
  Kill();
  // It finds nobody at the old address, and spools.
  StartReading();
  Move(20);
  AwaitPoll();
  Move(3);
  AwaitPoll();
  collector_->Stop(SIGTERM);
  Start();
  StartReading();
  EXPECT_TRUE(Counted(1'023)) << CollectorLog();
}

}  // namespace
}  // namespace netsentinel
