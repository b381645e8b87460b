#include "notifier/audit/grpc_audit_desk.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/io/uuid.h"
#include "common/rpc/grpc_change.h"

namespace netsentinel::audit {
absl::StatusOr<std::string> GrpcAuditDesk::Begin(const grpc::ServerContextBase& context,
                                                 const rpc::PeerIdentity& caller,
                                                 const Change& change) {
  NS_RETURN_IF_ERROR(rpc::Validate({change.reason, change.on_behalf_of}));
  rpc::Asker asker = rpc::AskerOf(authority_, context, caller);
  AuditEntry entry;
  entry.entry_id = io::FormatUuid(io::NewUuid(random_));
  entry.at = clock_.WallNow();
  entry.role = std::move(asker.role);
  entry.name = std::move(asker.name);
  entry.serial = std::move(asker.serial);
  entry.fingerprint = std::move(asker.fingerprint);
  entry.address = std::move(asker.address);
  entry.on_behalf_of = change.on_behalf_of;
  entry.action = change.action;
  entry.subject = change.subject;
  entry.reason = change.reason;
  const absl::Status begun = queue_.Begin(entry);
  if (!begun.ok()) {
    return absl::Status(begun.code(),
                        absl::StrCat("nothing was done: it could not be written down for the audit "
                                     "log (",
                                     begun.message(), ")"));
  }
  return entry.entry_id;
}

void GrpcAuditDesk::Note(const std::string& action, const std::string& subject,
                         const std::string& address, const std::string& outcome) {
  AuditEntry entry;
  entry.entry_id = io::FormatUuid(io::NewUuid(random_));
  entry.at = clock_.WallNow();
  entry.role = "local";
  entry.address = address;
  entry.action = action;
  entry.subject = subject;
  if (const absl::Status status = queue_.Begin(entry); !status.ok()) {
    logger_.Error("audit.not_written", "a change could not be written down for the audit log",
                  {{"action", action}, {"outcome", outcome}, {"status", status}});
    return;
  }
  Finish(entry.entry_id, outcome);
}

void GrpcAuditDesk::Finish(const std::string& entry_id, const std::string& outcome) {
  const absl::Status status = queue_.Finish(entry_id, outcome);
  if (!status.ok()) {
    logger_.Error("audit.outcome_lost",
                  "the outcome of a change could not be written down; the audit log will say that "
                  "nobody knows it",
                  {{"entry_id", entry_id}, {"outcome", outcome}, {"status", status}});
  }
  sender_.Wake();
}

}  // namespace netsentinel::audit
