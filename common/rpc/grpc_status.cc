#include "common/rpc/grpc_status.h"

#include <string>

#include <grpcpp/support/status.h>

namespace netsentinel::rpc {
namespace {

// Percent-encoding may triple them on the wire.
constexpr std::size_t kMaxMessageBytes = 2048;

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()),
          std::string(status.message().substr(0, kMaxMessageBytes))};
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

}  // namespace netsentinel::rpc
