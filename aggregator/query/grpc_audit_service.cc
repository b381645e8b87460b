#include "aggregator/query/grpc_audit_service.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/io/uuid.h"
#include "common/rpc/grpc_change.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/row_limit.h"

namespace netsentinel::query {
namespace {

constexpr std::uint32_t kEntriesDefault = 100;
constexpr std::uint32_t kEntriesMax = 1'000;
constexpr int kRecordMax = 100;

// "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". What comes over the network is kept apart from the ids
// that the aggregator gives to its own changes.
bool IsUuid(const std::string& text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

void EntryToWire(const store::AuditRow& row, v1::AuditEntry& entry) {
  entry.set_entry_id(row.entry_id);
  entry.set_at_us(row.at_us);
  entry.set_stored_at_us(row.stored_at_us);
  entry.set_program(row.program);
  entry.set_role(row.role);
  entry.set_name(row.name);
  entry.set_certificate_serial(row.serial);
  entry.set_certificate_sha256(row.fingerprint);
  entry.set_address(row.address);
  entry.set_on_behalf_of(row.on_behalf_of);
  entry.set_action(row.action);
  entry.set_subject(row.subject);
  entry.set_before(row.before);
  entry.set_after(row.after);
  entry.set_reason(row.reason);
  entry.set_audit_id(row.audit_id);
}

store::AuditRow EntryFromWire(const v1::AuditEntry& entry) {
  store::AuditRow row;
  row.entry_id = entry.entry_id();
  row.at_us = entry.at_us();
  row.role = entry.role();
  row.name = entry.name();
  row.serial = entry.certificate_serial();
  row.fingerprint = entry.certificate_sha256();
  row.address = entry.address();
  row.on_behalf_of = entry.on_behalf_of();
  row.action = entry.action();
  row.subject = entry.subject();
  row.before = entry.before();
  row.after = entry.after();
  row.reason = entry.reason();
  return row;
}

}  // namespace

store::AuditRow AuditRowOf(const rpc::PeerAuthority& authority,
                           const grpc::ServerContextBase& context, const rpc::PeerIdentity& caller,
                           const rpc::ChangeReason& said, const base::Clock& clock,
                           base::RandomSource& random) {
  rpc::Asker asker = rpc::AskerOf(authority, context, caller);
  store::AuditRow row;
  row.entry_id = io::FormatUuid(io::NewUuid(random));
  row.at_us = absl::ToUnixMicros(clock.WallNow());
  row.program = "aggregator";
  row.role = std::move(asker.role);
  row.name = std::move(asker.name);
  row.serial = std::move(asker.serial);
  row.fingerprint = std::move(asker.fingerprint);
  row.address = std::move(asker.address);
  row.on_behalf_of = said.on_behalf_of;
  row.reason = said.reason;
  return row;
}

grpc::Status GrpcAuditService::ListAuditEntries(grpc::ServerContext* context,
                                                const v1::ListAuditEntriesRequest* request,
                                                v1::ListAuditEntriesResponse* response) {
  const absl::StatusOr<rpc::PeerIdentity> caller =
      parts_.authority.RequireRole(*context, {rpc::Role::kOperator, rpc::Role::kAdmin});
  if (!caller.ok()) return rpc::ToGrpc(caller.status());
  return rpc::ToGrpc(List(*request, *response));
}

absl::Status GrpcAuditService::List(const v1::ListAuditEntriesRequest& request,
                                    v1::ListAuditEntriesResponse& response) {
  NS_ASSIGN_OR_RETURN(const std::size_t limit,
                      rpc::RowLimit(request.limit(), kEntriesMax, kEntriesDefault));
  constexpr std::uint64_t kMaxId = std::numeric_limits<std::int64_t>::max();
  store::AuditQuestion question;
  question.from_us = request.from_us();
  if (request.to_us() != 0) question.to_us = request.to_us();
  question.who = request.who();
  question.action = request.action();
  question.before_id = std::min(request.before_id(), kMaxId);
  question.limit = limit + 1;
  NS_ASSIGN_OR_RETURN(
      const std::vector<store::AuditRow> rows,
      parts_.store.Ask([&](store::Store& store) { return store.AuditLog(question); }));
  for (const store::AuditRow& row : rows) {
    if (static_cast<std::size_t>(response.entries_size()) == limit) break;
    EntryToWire(row, *response.add_entries());
  }
  response.set_more(rows.size() > limit);
  return absl::OkStatus();
}

grpc::Status GrpcAuditService::RecordAuditEntries(grpc::ServerContext* context,
                                                  const v1::RecordAuditEntriesRequest* request,
                                                  v1::RecordAuditEntriesResponse*) {
  const absl::StatusOr<rpc::PeerIdentity> caller =
      parts_.authority.RequireRole(*context, {rpc::Role::kNotifier});
  if (!caller.ok()) return rpc::ToGrpc(caller.status());
  return rpc::ToGrpc(Record(*request, *caller));
}

absl::Status GrpcAuditService::Record(const v1::RecordAuditEntriesRequest& request,
                                      const rpc::PeerIdentity& caller) {
  if (request.entries_size() > kRecordMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("entries: ", request.entries_size(), " are more than ", kRecordMax));
  }
  const std::optional<store::Fence> fence = parts_.fence();
  if (!fence.has_value()) {
    return absl::UnavailableError("this aggregator is not the active one; ask the active one");
  }
  std::vector<store::AuditRow> rows;
  for (const v1::AuditEntry& entry : request.entries()) {
    if (!IsUuid(entry.entry_id())) {
      return absl::InvalidArgumentError("entries: an entry_id is no UUID");
    }
    store::AuditRow row = EntryFromWire(entry);
    // Who brings an entry cannot pass it off as another program's.
    row.program = caller.authenticated ? absl::StrCat(rpc::RoleName(caller.role), " ", caller.id)
                                       : "notifier";
    rows.push_back(std::move(row));
  }
  return parts_.store.Ask([&](store::Store& store) -> absl::Status {
    const absl::Status stored = store.AppendAudit(*fence, rows);
    // Whether it was committed is not known: what is there is left as it is.
    return absl::IsUnknown(stored) ? store.AppendAudit(*fence, rows) : stored;
  });
}

}  // namespace netsentinel::query
