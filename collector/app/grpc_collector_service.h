#pragma once

#include <functional>

#include "collector/app/delivery.h"
#include "common/rpc/grpc_peer.h"
#include "netsentinel/v1/collector.grpc.pb.h"

namespace netsentinel::app {

// What a collector says about itself. Thread-safe.
class GrpcCollectorService final : public v1::CollectorService::Service {
 public:
  // `status` is called on gRPC's threads.
  GrpcCollectorService(std::function<DeliveryStatus()> status, rpc::PeerAuthority authority)
      : status_(std::move(status)), authority_(authority) {}

  grpc::Status ListRouterStates(grpc::ServerContext* context,
                                const v1::ListRouterStatesRequest* request,
                                v1::ListRouterStatesResponse* response) override;

 private:
  const std::function<DeliveryStatus()> status_;
  const rpc::PeerAuthority authority_;
};

}  // namespace netsentinel::app
