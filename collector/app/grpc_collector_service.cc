#include "collector/app/grpc_collector_service.h"

#include "collector/uplink/wire.h"
#include "common/rpc/grpc_status.h"

namespace netsentinel::app {

grpc::Status GrpcCollectorService::ListRouterStates(grpc::ServerContext* context,
                                                    const v1::ListRouterStatesRequest* /*request*/,
                                                    v1::ListRouterStatesResponse* response) {
  const auto peer = authority_.RequireRole(
      *context, {rpc::Role::kViewer, rpc::Role::kOperator, rpc::Role::kAdmin});
  if (!peer.ok()) return rpc::ToGrpc(peer.status());
  const DeliveryStatus status = status_();
  for (const poll::RouterStateReport& report : status.states) {
    *response->add_states() = uplink::ToWire(report);
  }
  response->set_spooled_snapshots(status.spool_stats.waiting_rows);
  response->set_connected(status.connected);
  return grpc::Status::OK;
}

}  // namespace netsentinel::app
