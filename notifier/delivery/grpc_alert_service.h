#pragma once

#include <grpcpp/grpcpp.h>

#include "common/base/clock.h"
#include "common/log/logger.h"
#include "common/rpc/grpc_peer.h"
#include "netsentinel/v1/alerts.grpc.pb.h"
#include "notifier/delivery/delivery_worker.h"
#include "notifier/delivery/sqlite_delivery_queue.h"

namespace netsentinel::delivery {

// Most breaches of one call.
inline constexpr int kMaxBreachesPerCall = 500;
// Most bytes of one call: as many breaches with names of a few KiB whose display form is four times
// as long.
inline constexpr int kMaxAlertRequestBytes = 16 << 20;

// Takes breaches from the aggregator: receipted when they are durable. For the role aggregator.
class GrpcAlertService final : public v1::AlertService::Service {
 public:
  // Everything must outlive the service. `watch` is woken when something could not be stored.
  GrpcAlertService(const rpc::PeerAuthority& authority, SqliteDeliveryQueue& queue, Wakeup& worker,
                   Wakeup& watch, const base::Clock& clock, log::Logger& logger)
      : authority_(authority),
        queue_(queue),
        worker_(worker),
        watch_(watch),
        clock_(clock),
        logger_(logger) {}

  grpc::Status DeliverBreaches(grpc::ServerContext* context,
                               const v1::DeliverBreachesRequest* request,
                               v1::DeliverBreachesResponse* response) override;

 private:
  absl::Status Accept(const v1::DeliverBreachesRequest& request,
                      v1::DeliverBreachesResponse& response);

  const rpc::PeerAuthority& authority_;
  SqliteDeliveryQueue& queue_;
  Wakeup& worker_;
  Wakeup& watch_;
  const base::Clock& clock_;
  log::Logger& logger_;
};

}  // namespace netsentinel::delivery
