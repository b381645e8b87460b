// Simulated routers, the collector and the aggregator as processes: what one router says must
// neither be lost nor hold up another.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/integration/collector_fixture.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CollectorRouterTest : public CollectorFixture {
 protected:
  // `first` and `second` are further keys of the simulated routers r1 and r2.
  void StartRouters(const std::string& first, const std::string& second) {
    StartSimulator({{"r1", first}, {"r2", second}});
  }
  // Bytes beyond the baseline: read, spooled, sent, committed and acknowledged at least twice.
  bool Counted(const std::string& subscriber) {
    return test::WaitUntil([this, &subscriber] { return Ranking()[subscriber] > 0; },
                           std::chrono::seconds(60));
  }
  std::string Logs() const { return absl::StrCat(CollectorLog(), Log()); }
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
  EXPECT_THAT(CollectorLog(), HasSubstr("routers.plain_api"));
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
