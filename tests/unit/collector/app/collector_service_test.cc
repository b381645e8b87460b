#include "gtest/gtest.h"

#include "collector/app/grpc_collector_service.h"
#include "tests/support/fake_clock.h"
#include "tests/support/local_caller.h"

namespace netsentinel::app {
namespace {

grpc::StatusCode Asked(rpc::Role role) {
  const test::FakeClock clock;
  const test::LocalCaller caller(clock, {role, "x", true});
  GrpcCollectorService service([] { return DeliveryStatus(); }, caller.authority());
  grpc::ServerContext context;
  v1::ListRouterStatesResponse response;
  return service.ListRouterStates(&context, nullptr, &response).error_code();
}

TEST(CollectorServiceTest, AnswersPeopleAndNoOtherProgram) {
  for (const rpc::Role role : {rpc::Role::kViewer, rpc::Role::kOperator, rpc::Role::kAdmin}) {
    EXPECT_EQ(Asked(role), grpc::StatusCode::OK) << rpc::RoleName(role);
  }
  for (const rpc::Role role :
       {rpc::Role::kCollector, rpc::Role::kAggregator, rpc::Role::kNotifier}) {
    EXPECT_EQ(Asked(role), grpc::StatusCode::PERMISSION_DENIED) << rpc::RoleName(role);
  }
}

}  // namespace
}  // namespace netsentinel::app
