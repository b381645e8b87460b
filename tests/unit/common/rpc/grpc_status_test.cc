#include "common/rpc/grpc_status.h"

#include <string>

#include "gtest/gtest.h"
#include <grpcpp/support/status.h>

namespace netsentinel::rpc {
namespace {

TEST(GrpcStatusTest, EveryCodeAndItsWordsSurviveBothWays) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status) << code;
  }
}

TEST(GrpcStatusTest, LongWordsAreCutToFitIntoAHeader) {
  EXPECT_EQ(ToGrpc(absl::InternalError(std::string(100000, 'x'))).error_message().size(), 2048U);
}

}  // namespace
}  // namespace netsentinel::rpc
