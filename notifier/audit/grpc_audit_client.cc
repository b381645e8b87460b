#include "notifier/audit/grpc_audit_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "common/rpc/grpc_status.h"

namespace netsentinel::audit {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(10);

void ToWire(const AuditEntry& entry, v1::AuditEntry& out) {
  out.set_entry_id(entry.entry_id);
  out.set_at_us(absl::ToUnixMicros(entry.at));
  out.set_role(entry.role);
  out.set_name(entry.name);
  out.set_certificate_serial(entry.serial);
  out.set_certificate_sha256(entry.fingerprint);
  out.set_address(entry.address);
  out.set_on_behalf_of(entry.on_behalf_of);
  out.set_action(entry.action);
  out.set_subject(entry.subject);
  out.set_before(entry.before);
  out.set_after(entry.after);
  out.set_reason(entry.reason);
}

}  // namespace

GrpcAuditClient::GrpcAuditClient(const std::shared_ptr<grpc::Channel>& channel,
                                 rpc::PeerNames aggregator, std::stop_token stop)
    : stub_(v1::AuditService::NewStub(channel)),
      aggregator_(std::move(aggregator)),
      stop_(std::move(stop)) {}

absl::Status GrpcAuditClient::Record(const std::vector<AuditEntry>& entries) {
  v1::RecordAuditEntriesRequest request;
  for (const AuditEntry& entry : entries) ToWire(entry, *request.add_entries());
  grpc::ClientContext context;
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                   gpr_time_from_millis(absl::ToInt64Milliseconds(kDeadline), GPR_TIMESPAN)));
  const std::stop_callback cancel(stop_, [&context] { context.TryCancel(); });
  v1::RecordAuditEntriesResponse response;
  return rpc::ExplainTrouble(rpc::FromGrpc(stub_->RecordAuditEntries(&context, request, &response)),
                             aggregator_);
}

}  // namespace netsentinel::audit
