#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/rpc/grpc_peer.h"

namespace grpc {
class ServerBuilder;
class Service;
}  // namespace grpc

namespace netsentinel::rpc {

// Serves the contracts of a server to people who have no files: grpc.reflection, v1 and v1alpha.
// The library's own one answers without asking who calls.
class GrpcReflection {
 public:
  // For viewers, operators and admins; programs know their contracts.
  explicit GrpcReflection(const PeerAuthority& authority);
  ~GrpcReflection();
  GrpcReflection(const GrpcReflection&) = delete;
  GrpcReflection& operator=(const GrpcReflection&) = delete;

  // Before the server is built; has to outlive it. Names whatever services it is built with.
  void RegisterIn(grpc::ServerBuilder& builder);

 private:
  std::shared_ptr<std::vector<std::string>> names_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
};

}  // namespace netsentinel::rpc
