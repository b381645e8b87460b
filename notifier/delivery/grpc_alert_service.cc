#include "notifier/delivery/grpc_alert_service.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "notifier/delivery/wire.h"

namespace netsentinel::delivery {

grpc::Status GrpcAlertService::DeliverBreaches(grpc::ServerContext* context,
                                               const v1::DeliverBreachesRequest* request,
                                               v1::DeliverBreachesResponse* response) {
  const auto caller = authority_.RequireRole(*context, {rpc::Role::kAggregator});
  if (!caller.ok()) return rpc::ToGrpc(caller.status());
  return rpc::ToGrpc(Accept(*request, *response));
}

absl::Status GrpcAlertService::Accept(const v1::DeliverBreachesRequest& request,
                                      v1::DeliverBreachesResponse& response) {
  if (request.breaches_size() > kMaxBreachesPerCall) {
    return absl::InvalidArgumentError(absl::StrCat(
        "at most ", kMaxBreachesPerCall, " breaches a call, not ", request.breaches_size()));
  }
  std::vector<report::Alert> alerts;
  for (const v1::Breach& breach : request.breaches()) {
    absl::StatusOr<report::Alert> alert = AlertFromWire(breach);
    if (alert.ok()) {
      alerts.push_back(*std::move(alert));
      continue;
    }
    v1::RejectedBreach* rejected = response.add_rejected();
    rejected->set_breach_id(breach.breach_id());
    rejected->set_reason(std::string(alert.status().message()));
    logger_.Warn("alert.rejected", "a breach can never be delivered",
                 {{"breach", breach.breach_id()}, {"reason", alert.status()}});
  }
  if (const absl::Status stored = queue_.Accept(alerts, clock_.WallNow()); !stored.ok()) {
    logger_.Warn("alert.not_stored",
                 "breaches could not be made durable; the aggregator keeps them",
                 {{"error", stored}});
    // The one says so on /readyz; the other repairs what can be.
    watch_.Wake();
    worker_.Wake();
    return absl::UnavailableError(absl::StrCat("the delivery queue: ", stored.message()));
  }
  for (const report::Alert& alert : alerts) response.add_accepted_ids(alert.breach_id);
  worker_.Wake();
  return absl::OkStatus();
}

}  // namespace netsentinel::delivery
