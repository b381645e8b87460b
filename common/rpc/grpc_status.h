#pragma once

#include "absl/status/status.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace netsentinel::rpc {

// The same code and words; gRPC's codes are Abseil's. Words beyond 2 KiB are cut, since a status
// travels in a header of at most 8 KiB.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace netsentinel::rpc
