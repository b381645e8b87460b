#include "aggregator/outbox/grpc_alert_client.h"

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include <grpcpp/grpcpp.h>

#include "common/base/display_name.h"
#include "common/rpc/grpc_status.h"

namespace netsentinel::outbox {
namespace {

// The instant in the site's zone, for people; UTC when the zone is not known here.
std::string LocalText(std::int64_t at_us, const std::string& zone_name) {
  absl::TimeZone zone = absl::UTCTimeZone();
  absl::LoadTimeZone(zone_name, &zone);
  return absl::FormatTime("%Y-%m-%d %H:%M:%S %Ez", absl::FromUnixMicros(at_us), zone);
}

void Fill(const store::BreachRow& row, v1::Breach* out) {
  out->set_breach_id(row.breach_id);
  v1::SubscriberRef* subscriber = out->mutable_subscriber();
  subscriber->set_site_id(row.subscriber.site.value());
  subscriber->set_router_id(row.subscriber.router.value());
  subscriber->mutable_name()->set_name(row.subscriber.name);
  subscriber->mutable_name()->set_display_name(base::DisplayName(row.subscriber.name));
  out->set_quota_id(row.quota_id);
  out->set_period(static_cast<v1::QuotaPeriod>(row.period));
  out->set_period_start(absl::FormatCivilTime(row.period_start));
  out->set_time_zone(row.time_zone);
  out->set_basis(static_cast<v1::QuotaBasis>(row.basis));
  out->set_limit_bytes(row.limit_bytes);
  out->set_threshold_percent(row.threshold_percent);
  out->mutable_used()->set_upload_bytes(row.used.upload);
  out->mutable_used()->set_download_bytes(row.used.download);
  out->set_crossed_at_us(row.crossed_at_us);
  out->set_crossed_at_local(LocalText(row.crossed_at_us, row.time_zone));
}

}  // namespace

absl::StatusOr<AlertReceipt> GrpcAlertClient::Deliver(absl::Span<const store::OutboxClaim> breaches,
                                                      absl::Duration deadline) {
  v1::DeliverBreachesRequest request;
  for (const store::OutboxClaim& claim : breaches) Fill(claim.breach, request.add_breaches());
  grpc::ClientContext context;
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_millis(absl::ToInt64Milliseconds(deadline), GPR_TIMESPAN)));
  {
    base::MutexLock lock(mutex_);
    if (cancelled_) return absl::CancelledError("stopping");
    under_way_ = &context;
  }
  v1::DeliverBreachesResponse response;
  const grpc::Status status = stub_->DeliverBreaches(&context, request, &response);
  {
    base::MutexLock lock(mutex_);
    under_way_ = nullptr;
  }
  if (!status.ok()) return rpc::ExplainTrouble(rpc::FromGrpc(status), notifier_);
  AlertReceipt receipt;
  for (std::string& id : *response.mutable_accepted_ids()) {
    receipt.accepted_ids.push_back(std::move(id));
  }
  for (const v1::RejectedBreach& rejected : response.rejected()) {
    receipt.rejected_ids.emplace_back(rejected.breach_id(), rejected.reason());
  }
  return receipt;
}

void GrpcAlertClient::Cancel() {
  base::MutexLock lock(mutex_);
  cancelled_ = true;
  if (under_way_ != nullptr) under_way_->TryCancel();
}

}  // namespace netsentinel::outbox
