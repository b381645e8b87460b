#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "common/base/varint.h"
#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "tests/support/child_process.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/common/rpc/echo_service.h"
#include "tests/unit/common/rpc/server_surroundings.h"

namespace netsentinel::rpc {
namespace {

using test::IsOk;
using test::StatusIs;

class LimitsTest : public testing::Test {
 protected:
  void Serve(ServerOptions options) {
    options.address = {"127.0.0.1", 0};
    options.security.insecure = true;
    const std::vector<grpc::Service*> services = {&service_};
    auto server = Server::Start(options, around_.authority, services, around_.all());
    ASSERT_THAT(server, IsOk());
    server_ = *std::move(server);
    ASSERT_OK_AND_ASSIGN(
        channel_,
        MakeChannel({.peer = {absl::StrCat("127.0.0.1:", server_->port()), {true, {}}}}, clock_));
  }
  static std::chrono::system_clock::time_point Soon() {
    return std::chrono::system_clock::now() + std::chrono::seconds(60);
  }
  // A call whose request has `bytes` in a field that nobody knows, and `metadata` in a header.
  absl::Status Call(std::size_t bytes, std::size_t metadata) {
    // Field 15, length-delimited.
    std::string request = "\x7A";
    base::AppendVarint(request, bytes);
    request.append(bytes, 'x');
    v1::ListRouterStatesRequest message;
    if (!message.ParseFromString(request)) return absl::InternalError("the test is wrong");
    grpc::ClientContext context;
    context.set_deadline(Soon());
    if (metadata > 0) context.AddMetadata("x-note", std::string(metadata, 'n'));
    v1::ListRouterStatesResponse response;
    return FromGrpc(
        v1::CollectorService::NewStub(channel_)->ListRouterStates(&context, message, &response));
  }

  ServerSurroundings around_;
  const io::SystemClock& clock_ = around_.clock;
  EchoService service_{around_.authority, Role::kViewer};
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

constexpr std::size_t kMessageMax = std::size_t{4} << 20;

TEST_F(LimitsTest, AMessageOfMoreThanFourMebibytesEndsItsCallOnly) {
  Serve({});
  EXPECT_THAT(Call(kMessageMax - 64, 0), IsOk());
  EXPECT_THAT(Call(kMessageMax + 1, 0), StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
  EXPECT_THAT(Call(1, 0), IsOk());
  EXPECT_EQ(service_.callers().size(), 2U);
}

// gRPC may close the connection of whoever sends them; then the next call opens another.
TEST_F(LimitsTest, HeadersOfMoreThanEightKibibytesAreRefusedAndTheServerGoesOn) {
  Serve({});
  EXPECT_THAT(Call(1, 7000), IsOk());
  EXPECT_FALSE(Call(1, 9000).ok());
  EXPECT_EQ(service_.callers().size(), 1U);
  EXPECT_TRUE(test::WaitUntil([&] { return Call(1, 0).ok(); }));
}

TEST_F(LimitsTest, AConnectionThatIsOldEnoughIsClosedAndTheNextCallOpensAnother) {
  ServerOptions options;
  options.max_connection_age = absl::Seconds(1);
  options.max_connection_age_grace = absl::Seconds(1);
  Serve(options);
  EXPECT_THAT(Call(1, 0), IsOk());
  ASSERT_EQ(channel_->GetState(false), GRPC_CHANNEL_READY);
  EXPECT_TRUE(channel_->WaitForStateChange(GRPC_CHANNEL_READY, Soon()));
  EXPECT_THAT(Call(1, 0), IsOk());
}

TEST_F(LimitsTest, AProxyOfTheEnvironmentIsUsedOnlyWhereItIsConfigured) {
  Serve({});
  for (const char* name : {"grpc_proxy", "http_proxy", "https_proxy"}) {
    ::setenv(name, "http://127.0.0.1:9", 1);
  }
  const std::string target = absl::StrCat("127.0.0.1:", server_->port());
  ASSERT_OK_AND_ASSIGN(channel_, MakeChannel({.peer = {target, {true, {}}}}, clock_));
  EXPECT_THAT(Call(1, 0), IsOk());
  ASSERT_OK_AND_ASSIGN(channel_, MakeChannel({.peer = {target, {true, {}}, true}}, clock_));
  EXPECT_THAT(Call(1, 0), StatusIs(absl::StatusCode::kUnavailable, testing::_));
  for (const char* name : {"grpc_proxy", "http_proxy", "https_proxy"}) ::unsetenv(name);
}

}  // namespace
}  // namespace netsentinel::rpc
