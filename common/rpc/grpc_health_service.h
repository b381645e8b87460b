#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "common/base/mutex.h"
#include "common/rpc/grpc_peer.h"

namespace netsentinel::rpc {

// grpc.health.v1 for whoever the front lets in. gRPC's own one has no descriptor, so that nobody
// who learns contracts by reflection can call it, and answers without asking who calls.
// Thread-safe.
class GrpcHealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  // The whole server ("") is known from the start, as serving.
  explicit GrpcHealthService(PeerAuthority authority) : authority_(std::move(authority)) {}

  // Of the whole server, and of `service` when given.
  void SetServing(bool serving, const std::string& service);
  // Ends all watches with NOT_SERVING: they would hold up the end of the server.
  void Shutdown();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Watcher;

  Status StatusOf(const std::string& service, Status unknown) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const std::shared_ptr<Watcher>& watcher);

  const PeerAuthority authority_;
  base::Mutex mutex_;
  std::map<std::string, bool> serving_ ABSL_GUARDED_BY(mutex_) = {{"", true}};
  std::set<std::shared_ptr<Watcher>> watchers_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace netsentinel::rpc
