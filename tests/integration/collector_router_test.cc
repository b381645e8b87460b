// Simulated routers, the collector and the aggregator as processes: what one router says must
// neither be lost nor hold up another.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/integration/aggregator_fixture.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CollectorRouterTest : public AggregatorFixture {
 protected:
  // `first` and `second` are further keys of the simulated routers r1 and r2.
  void StartRouters(const std::string& first, const std::string& second) {
    std::ofstream(Path("routers.yaml"))
        << "routers:\n"
        << "  - {id: r1, users: [{name: u, password: p}], " << first << "}\n"
        << "  - {id: r2, users: [{name: u, password: p}], " << second << "}\n";
    simulator_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_SIMULATOR, "--scenario", Path("routers.yaml"), "--ports-file",
                                 Path("router-ports")},
        Path("simulator-log"));
  }
  int RouterPort(const std::string& router) {
    const std::string ports = test::WaitForFile(Path("router-ports"));
    const std::string key = absl::StrCat("\"", router, "\":{\"address\":\"127.0.0.1\",\"api\":");
    const std::size_t at = ports.find(key);
    EXPECT_NE(at, std::string::npos) << ports << test::ReadWhole(Path("simulator-log"));
    return at == std::string::npos ? 0 : std::stoi(ports.substr(at + key.size()));
  }
  void StartCollector() {
    const config::TlsFiles files = certificates_.Issue(rpc::Role::kCollector, "c1");
    std::ofstream(Path("password")) << "p";
    std::filesystem::permissions(Path("password"), std::filesystem::perms::owner_read);
    std::ofstream file(Path("collector.yaml"));
    file << "collector: {id: c1, state_dir: " << Path("collector") << "}\n"
         << "aggregator: {target: \"127.0.0.1:" << ports_.at("grpc") << "\", tls: {ca: " << files.ca
         << ", cert: " << files.cert << ", key: " << files.key << "}}\n"
         << "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n"
         << "routers:\n";
    for (const char* router : {"r1", "r2"}) {
      file << "  - {id: " << router << ", address: \"127.0.0.1:" << RouterPort(router)
           << "\", transport: api, username: u, password_file: " << Path("password")
           << ", poll_interval: 1s}\n";
    }
    file.close();
    collector_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_COLLECTOR, "--config", Path("collector.yaml")},
        Path("collector-log"));
  }
  // Bytes beyond the baseline: read, spooled, sent, committed and acknowledged at least twice.
  bool Counted(const std::string& subscriber) {
    return test::WaitUntil([this, &subscriber] { return Ranking()[subscriber] > 0; },
                           std::chrono::seconds(60));
  }
  std::string Logs() const { return absl::StrCat(test::ReadWhole(Path("collector-log")), Log()); }

  std::unique_ptr<test::ChildProcess> simulator_, collector_;
};

TEST_F(CollectorRouterTest, ADeviceThatIsNotUtf8SpoilsNoStream) {
  Start();
  StartRouters(
      "serial_number_hex: \"5346ff\", version_hex: \"372eff\", board_name_hex: \"ff\", "
      "identity_hex: \"e9\", queues: [{name: alice, down_rate: 100000}]",
      "queues: [{name: bob, down_rate: 100000}]");
  StartCollector();
  EXPECT_TRUE(Counted("r2/bob")) << Logs();
  EXPECT_TRUE(Counted("r1/alice")) << Logs();
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListRoutersRequest request;
  v1::ListRoutersResponse response;
  const grpc::Status status = v1::UsageService::NewStub(Channel(rpc::Role::kViewer, "eve"))
                                  ->ListRouters(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::string serial_number;
  for (const v1::RouterInfo& router : response.routers()) {
    if (router.router_id() == "r1") serial_number = router.device().serial_number();
  }
  EXPECT_THAT(serial_number, AllOf(StartsWith("SF\\"), EndsWith("xFF")));
  EXPECT_THAT(test::ReadWhole(Path("collector-log")), HasSubstr("routers.plain_api"));
}

TEST_F(CollectorRouterTest, AQueueOfFourHundredTargetsIsCounted) {
  Start();
  std::string targets;
  for (int n = 0; n < 400; ++n) {
    absl::StrAppend(&targets, n == 0 ? "" : ",", "10.", n / 250, ".", n % 250, ".1/32");
  }
  StartRouters(absl::StrCat("queues: [{name: wide, target: \"", targets, "\", comment: \"",
                            std::string(9000, 'c'), "\", down_rate: 100000}]"),
               "queues: [{name: bob, down_rate: 100000}]");
  StartCollector();
  EXPECT_TRUE(Counted("r1/wide")) << Logs();
  EXPECT_TRUE(Counted("r2/bob")) << Logs();
  EXPECT_THAT(Logs(), Not(HasSubstr("refus")));
}

}  // namespace
}  // namespace netsentinel
