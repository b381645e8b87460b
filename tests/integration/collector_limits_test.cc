// The collector as a process at the limits of its host: descriptors.
#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/grpcpp.h>

#include "common/http/client.h"
#include "common/io/files.h"
#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "netsentinel/v1/collector.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// 224 are kept back, so that 76 sessions fit.
constexpr int kDescriptors = 300;
constexpr int kSessions = 76;
constexpr int kRouters = 110;

class CollectorLimitsTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }

  // One simulated router stands for all: what counts here are the sessions.
  void StartSimulator() {
    std::ofstream(Path("routers.yaml"))
        << "routers:\n  - {id: r, max_sessions: 1000, queues: [{name: alice, down_rate: 1000}], "
           "users: [{name: ns, password: correct-horse, policies: [read, api]}]}\n";
    simulator_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_SIMULATOR, "--scenario", Path("routers.yaml"), "--ports-file",
                                 Path("routers.json")},
        Path("simulator.log"));
    ASSERT_TRUE(test::WaitUntil([this] { return io::Exists(Path("routers.json")); }))
        << test::ReadWhole(Path("simulator.log"));
  }
  std::string RouterPort() const {
    const std::string text = test::ReadWhole(Path("routers.json"));
    const std::size_t first = text.find_first_of("0123456789", text.find("\"api\""));
    return text.substr(first, text.find_first_not_of("0123456789", first) - first);
  }
  void StartCollector() {
    ASSERT_THAT(io::WriteFileDurably(Path("password"), "correct-horse\n", 0600), test::IsOk());
    std::string text =
        absl::StrCat("collector: {id: c1, state_dir: state}\n",
                     "aggregator: {target: \"127.0.0.1:1\", insecure: true}\n",
                     "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nrouters:\n");
    for (int n = 1; n <= kRouters; ++n) {
      absl::StrAppend(&text, "  - {id: r", n, ", address: \"127.0.0.1:", RouterPort(),
                      "\", transport: api, username: ns, password_file: password, ",
                      "poll_interval: 1s}\n");
    }
    ASSERT_THAT(io::WriteFileDurably(Path("collector.yaml"), text), test::IsOk());
    collector_ = std::make_unique<test::Subprocess>(
        "/bin/sh",
        std::vector<std::string>{
            "-c", absl::StrCat("ulimit -n ", kDescriptors, " && exec \"$0\" \"$@\""), NS_COLLECTOR,
            "--config", Path("collector.yaml"), "--ports-file", Path("ports")});
    ports_ = test::WaitForPorts(Path("ports"));
    ASSERT_TRUE(ports_.contains("grpc")) << collector_->Stderr();
  }
  std::string Get(const std::string& path) {
    const auto answer = http::Fetch({.host = "127.0.0.1", .port = ports_.at("http")}, path);
    return answer.ok() ? absl::StrCat(answer->status, " ", answer->body)
                       : answer.status().ToString();
  }
  double Metric(const std::string& name) {
    const std::string page = Get("/metrics");
    for (const absl::string_view line : absl::StrSplit(page, '\n')) {
      double value = 0;
      if (absl::StartsWith(line, name + " ") &&
          absl::SimpleAtod(line.substr(name.size()), &value)) {
        return value;
      }
    }
    return -1;
  }
  // Routers by state, and of those that cannot be read the words.
  std::map<v1::RouterState, std::vector<std::string>> States() {
    const auto channel = rpc::MakeChannel(
        {.peer = {absl::StrCat("127.0.0.1:", ports_.at("grpc")), {true, {}}}}, io::SystemClock());
    std::map<v1::RouterState, std::vector<std::string>> states;
    grpc::ClientContext context;
    v1::ListRouterStatesResponse response;
    const grpc::Status status = v1::CollectorService::NewStub(*channel)->ListRouterStates(
        &context, v1::ListRouterStatesRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    for (const v1::RouterStateReport& state : response.states()) {
      if (state.menu() == v1::MENU_UNSPECIFIED) states[state.state()].push_back(state.detail());
    }
    return states;
  }

  test::TempFolder folder_;
  std::unique_ptr<test::ChildProcess> simulator_;
  std::unique_ptr<test::Subprocess> collector_;
  std::map<std::string, std::uint16_t> ports_;
};

TEST_F(CollectorLimitsTest, WithMoreRoutersThanDescriptorsAllThatFitAreReadAndTheOthersAreNamed) {
  StartSimulator();
  StartCollector();
  EXPECT_TRUE(test::WaitUntil(
      [this] { return States()[v1::ROUTER_STATE_REACHABLE].size() == std::size_t{kSessions}; },
      std::chrono::seconds(60)))
      << collector_->Stderr();
  const auto states = States();
  const auto waiting = states.find(v1::ROUTER_STATE_UNREACHABLE);
  ASSERT_NE(waiting, states.end());
  EXPECT_EQ(waiting->second.size(), std::size_t{kRouters - kSessions});
  for (const std::string& words : waiting->second) {
    EXPECT_THAT(words, AllOf(StartsWith("waits for its turn"), HasSubstr("LimitNOFILE="),
                             HasSubstr(absl::StrCat(kRouters + 224))));
  }
  // What is read is spooled, and all the doors are open.
  const double before = Metric("netsentinel_spool_rows");
  EXPECT_GE(before, kSessions);
  EXPECT_TRUE(
      test::WaitUntil([&] { return Metric("netsentinel_spool_rows") > before + kSessions; }));
  EXPECT_THAT(Get("/readyz"), AllOf(StartsWith("200 ready\n"), HasSubstr("sessions: waiting: "),
                                    HasSubstr("raise that limit")));
  EXPECT_EQ(Get("/healthz"), "200 alive\n");
  EXPECT_TRUE(collector_->WaitForStderr("event=routers.take_turns"));
  EXPECT_THAT(collector_->Stderr(), ::testing::Not(HasSubstr("Too many open files")));
}

}  // namespace
}  // namespace netsentinel
