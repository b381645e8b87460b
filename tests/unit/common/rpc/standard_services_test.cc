#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "gtest/gtest.h"
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/common/rpc/echo_service.h"
#include "tests/unit/common/rpc/server_surroundings.h"

namespace netsentinel::rpc {
namespace {

using testing::HasSubstr;

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string ToText(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return "(no message)";
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

// One message each way over a stream of raw bytes, which also serves for calls of one message.
std::string Exchange(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN)));
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  queue.Next(&tag, &ok);
  call->WriteLast(ToBuffer(request), {}, nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  queue.Next(&tag, &ok);
  const std::string text = ok ? ToText(response) : "(nothing)";
  grpc::Status status;
  call->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
  return text;
}

class StandardServicesTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<grpc::Service*> services = {&service_};
    auto server = Server::Start({.address = {"127.0.0.1", 0}, .security = {true, {}}},
                                around_.authority, services, around_.all());
    ASSERT_THAT(server, test::IsOk());
    server_ = *std::move(server);
    ASSERT_OK_AND_ASSIGN(
        channel_,
        MakeChannel({.peer = {absl::StrCat("127.0.0.1:", server_->port()), {true, {}}}}, clock_));
  }

  ServerSurroundings around_;
  const io::SystemClock& clock_ = around_.clock;
  EchoService service_{around_.authority, Role::kViewer};
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(StandardServicesTest, HealthFollowsWhatTheProgramSays) {
  // grpc.health.v1.HealthCheckResponse {status: 1 = SERVING, 2 = NOT_SERVING}
  constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
  EXPECT_EQ(Exchange(channel_, kCheck, ""), std::string("\x08\x01"));
  server_->SetServing(false, "netsentinel.v1.CollectorService");
  EXPECT_EQ(Exchange(channel_, kCheck, ""), std::string("\x08\x02"));
  server_->SetServing(true);
  EXPECT_EQ(Exchange(channel_, kCheck, ""), std::string("\x08\x01"));
}

TEST_F(StandardServicesTest, ReflectionListsTheServices) {
  // ServerReflectionRequest {list_services: ""}
  const std::string answer =
      Exchange(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
               std::string("\x3A\x00", 2));
  EXPECT_THAT(answer, HasSubstr("netsentinel.v1.CollectorService"));
  EXPECT_THAT(answer, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(StandardServicesTest, HealthCanBeCalledByWhoKnowsItByReflectionAlone) {
  namespace reflection = grpc::reflection::v1;
  reflection::ServerReflectionRequest request;
  request.set_file_containing_symbol("grpc.health.v1.Health");
  reflection::ServerReflectionResponse response;
  ASSERT_TRUE(response.ParseFromString(
      Exchange(channel_, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
               request.SerializeAsString())));
  ASSERT_EQ(response.file_descriptor_response().file_descriptor_proto_size(), 1)
      << response.DebugString();
  EXPECT_THAT(response.file_descriptor_response().file_descriptor_proto(0), HasSubstr("Watch"));
}

TEST_F(StandardServicesTest, AContractComesWithWhatItImportsAndAnUnknownNameIsAnError) {
  namespace reflection = grpc::reflection::v1alpha;
  constexpr char kMethod[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  reflection::ServerReflectionRequest request;
  reflection::ServerReflectionResponse response;
  request.set_file_containing_symbol("netsentinel.v1.CollectorService.ListRouterStates");
  ASSERT_TRUE(response.ParseFromString(Exchange(channel_, kMethod, request.SerializeAsString())));
  EXPECT_GT(response.file_descriptor_response().file_descriptor_proto_size(), 1);
  request.set_file_containing_symbol("nobody.Knows");
  ASSERT_TRUE(response.ParseFromString(Exchange(channel_, kMethod, request.SerializeAsString())));
  EXPECT_EQ(response.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(StandardServicesTest, AWatchIsToldAtOnceAndAtEveryChange) {
  const auto stub = grpc::health::v1::Health::NewStub(channel_);
  grpc::ClientContext context;
  const auto watch = stub->Watch(&context, {});
  grpc::health::v1::HealthCheckResponse response;
  for (const bool serving : {true, false, true}) {
    server_->SetServing(serving);
    ASSERT_TRUE(watch->Read(&response));
    EXPECT_EQ(response.status(), serving ? grpc::health::v1::HealthCheckResponse::SERVING
                                         : grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  }
  server_->Shutdown(absl::Seconds(5));
  while (watch->Read(&response)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(StandardServicesTest, HealthOfAServiceThatIsNotKnownIsNotFound) {
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("nobody.Knows");
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_EQ(
      grpc::health::v1::Health::NewStub(channel_)->Check(&context, request, &response).error_code(),
      grpc::StatusCode::NOT_FOUND);
}

TEST_F(StandardServicesTest, AServerThatIsShutDownTakesNoMoreCalls) {
  server_->Shutdown(absl::Seconds(1));
  server_->Shutdown(absl::Seconds(1));
  EXPECT_EQ(Exchange(channel_, "/grpc.health.v1.Health/Check", ""), "(nothing)");
}

}  // namespace
}  // namespace netsentinel::rpc
