#include "notifier/delivery/grpc_notifier_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/row_limit.h"
#include "notifier/delivery/wire.h"

namespace netsentinel::delivery {
namespace {

constexpr std::uint32_t kListMost = 10'000;

// "report daily of site lahore, day 2026-03-29".
std::string SubjectOf(const v1::SendReportRequest& request) {
  const std::string report = request.report().empty() ? "(the first)" : request.report();
  const std::string site =
      request.site_id().empty() ? "every site" : absl::StrCat("site ", request.site_id());
  const std::string day = request.day().empty() ? "so far" : absl::StrCat("day ", request.day());
  return absl::StrCat("report ", base::DisplayName(report), " of ", base::DisplayName(site), ", ",
                      base::DisplayName(day));
}

}  // namespace

absl::Status GrpcNotifierService::AllowReading(grpc::ServerContext& context) const {
  return authority_
      .RequireRole(context, {rpc::Role::kViewer, rpc::Role::kOperator, rpc::Role::kAdmin})
      .status();
}

grpc::Status GrpcNotifierService::RenderReport(grpc::ServerContext* context,
                                               const v1::RenderReportRequest* request,
                                               v1::RenderReportResponse* response) {
  if (const absl::Status allowed = AllowReading(*context); !allowed.ok()) {
    return rpc::ToGrpc(allowed);
  }
  absl::StatusOr<report::Rendering> rendering =
      reports_.Render(request->report(), request->site_id(), request->day());
  if (!rendering.ok()) return rpc::ToGrpc(rendering.status());
  response->set_subject(std::move(rendering->subject));
  response->set_html(std::move(rendering->html));
  response->set_text(std::move(rendering->text));
  response->set_csv(std::move(rendering->csv));
  return grpc::Status::OK;
}

grpc::Status GrpcNotifierService::SendReport(grpc::ServerContext* context,
                                             const v1::SendReportRequest* request,
                                             v1::SendReportResponse* response) {
  const auto caller = authority_.RequireRole(*context, {rpc::Role::kOperator, rpc::Role::kAdmin});
  if (!caller.ok()) return rpc::ToGrpc(caller.status());
  const absl::StatusOr<std::string> entry = audit_.Begin(
      *context, *caller,
      {"report.send", SubjectOf(*request), request->reason(), request->on_behalf_of()});
  if (!entry.ok()) return rpc::ToGrpc(entry.status());
  const absl::StatusOr<std::vector<std::string>> ids =
      reports_.Send({.report = request->report(),
                     .site_id = request->site_id(),
                     .day = request->day(),
                     .gone = [context] { return context->IsCancelled(); }});
  audit_.Finish(*entry, ids.ok() ? absl::StrCat("mails queued: ", ids->size())
                                 : absl::StrCat("failed: ", ids.status().message()));
  if (!ids.ok()) return rpc::ToGrpc(ids.status());
  for (const std::string& id : *ids) response->add_delivery_ids(id);
  return grpc::Status::OK;
}

grpc::Status GrpcNotifierService::ListDeliveries(grpc::ServerContext* context,
                                                 const v1::ListDeliveriesRequest* request,
                                                 v1::ListDeliveriesResponse* response) {
  // Addresses and reasons of mails are for those who run the system, not for every viewer.
  const auto caller = authority_.RequireRole(*context, {rpc::Role::kOperator, rpc::Role::kAdmin});
  if (!caller.ok()) return rpc::ToGrpc(caller.status());
  const absl::StatusOr<std::size_t> limit = rpc::RowLimit(request->limit(), kListMost);
  if (!limit.ok()) return rpc::ToGrpc(limit.status());
  const absl::StatusOr<std::vector<DeliveryRecord>> records = queue_.List(*limit);
  if (!records.ok()) return rpc::ToGrpc(records.status());
  for (const DeliveryRecord& record : *records) {
    DeliveryToWire(record, *response->add_deliveries());
  }
  return grpc::Status::OK;
}

}  // namespace netsentinel::delivery
