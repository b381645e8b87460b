#include "notifier/delivery/grpc_usage_source.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "notifier/delivery/wire.h"

namespace netsentinel::delivery {
namespace {

constexpr absl::Duration kListDeadline = absl::Seconds(10);
constexpr absl::Duration kRankingDeadline = absl::Seconds(60);
constexpr std::uint32_t kMostRows = 100'000;

void SetDeadline(grpc::ClientContext& context, absl::Duration deadline) {
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_millis(absl::ToInt64Milliseconds(deadline), GPR_TIMESPAN)));
}

}  // namespace

GrpcUsageSource::GrpcUsageSource(const std::shared_ptr<grpc::Channel>& channel,
                                 rpc::PeerNames aggregator, std::stop_token stop)
    : stub_(v1::UsageService::NewStub(channel)),
      aggregator_(std::move(aggregator)),
      stop_(std::move(stop)) {}

absl::Status GrpcUsageSource::Explain(const grpc::Status& status) const {
  return rpc::ExplainTrouble(rpc::FromGrpc(status), aggregator_);
}

absl::StatusOr<std::vector<Site>> GrpcUsageSource::ListSites() {
  grpc::ClientContext context;
  SetDeadline(context, kListDeadline);
  const std::stop_callback cancel(stop_, [&context] { context.TryCancel(); });
  v1::ListSitesResponse response;
  NS_RETURN_IF_ERROR(Explain(stub_->ListSites(&context, v1::ListSitesRequest(), &response)));
  std::vector<Site> sites;
  for (const v1::SiteInfo& info : response.sites()) sites.push_back(SiteFromWire(info));
  return sites;
}

absl::StatusOr<report::DayRanking> GrpcUsageSource::GetRanking(const std::string& site_id,
                                                               const std::string& day) {
  grpc::ClientContext context;
  SetDeadline(context, kRankingDeadline);
  const std::stop_callback cancel(stop_, [&context] { context.TryCancel(); });
  v1::GetRankingRequest request;
  request.set_site_id(site_id);
  request.set_first_day(day);
  request.set_last_day(day);
  request.set_order_by(v1::QUOTA_BASIS_TOTAL);
  request.set_limit(kMostRows);
  v1::GetRankingResponse response;
  NS_RETURN_IF_ERROR(Explain(stub_->GetRanking(&context, request, &response)));
  return RankingFromWire(response);
}

}  // namespace netsentinel::delivery
