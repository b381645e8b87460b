#pragma once

#include "absl/status/statusor.h"

#include "netsentinel/v1/alerts.pb.h"
#include "netsentinel/v1/notifier.pb.h"
#include "netsentinel/v1/usage.pb.h"
#include "notifier/delivery/sqlite_delivery_queue.h"
#include "notifier/delivery/usage_source.h"
#include "notifier/report/model.h"

// Between the contracts and the notifier's own types.
namespace netsentinel::delivery {

// kInvalidArgument says what can never be taken, see CheckAlert.
absl::StatusOr<report::Alert> AlertFromWire(const v1::Breach& breach);
// A zone or time of day that is not known here is the site's fault.
Site SiteFromWire(const v1::SiteInfo& site);
report::DayRanking RankingFromWire(const v1::GetRankingResponse& response);
void DeliveryToWire(const DeliveryRecord& record, v1::Delivery& out);

}  // namespace netsentinel::delivery
