#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/log/logger.h"
#include "common/rpc/grpc_peer.h"
#include "notifier/audit/audit_sender.h"
#include "notifier/audit/sqlite_audit_queue.h"

namespace netsentinel::audit {

// What a caller wants changed, and what it says about it.
struct Change {
  std::string action;        // "report.send"
  std::string subject;       // for people
  std::string reason;        // at most 1,024 bytes
  std::string on_behalf_of;  // at most 255
};

// Every change at this notifier goes through here: it is written down before it is made, and its
// outcome after it. Thread-safe.
class GrpcAuditDesk {
 public:
  // All of it outlives the desk.
  GrpcAuditDesk(const rpc::PeerAuthority& authority, SqliteAuditQueue& queue, AuditSender& sender,
                const base::Clock& clock, base::RandomSource& random, log::Logger& logger)
      : authority_(authority),
        queue_(queue),
        sender_(sender),
        clock_(clock),
        random_(random),
        logger_(logger) {}

  // Writes the change down; its id. Not OK: it must not be made. kInvalidArgument when a text is
  // too long, kResourceExhausted when too many entries wait for the aggregator.
  absl::StatusOr<std::string> Begin(const grpc::ServerContextBase& context,
                                    const rpc::PeerIdentity& caller, const Change& change);
  // What somebody on this host did without a call: written down, or told in the log when it cannot.
  void Note(const std::string& action, const std::string& subject, const std::string& address,
            const std::string& outcome);
  // What came of it, for people.
  void Finish(const std::string& entry_id, const std::string& outcome);

 private:
  const rpc::PeerAuthority& authority_;
  SqliteAuditQueue& queue_;
  AuditSender& sender_;
  const base::Clock& clock_;
  base::RandomSource& random_;
  log::Logger& logger_;
};

}  // namespace netsentinel::audit
