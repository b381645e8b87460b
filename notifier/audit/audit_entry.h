#pragma once

#include <string>

#include "absl/time/time.h"

namespace netsentinel::audit {

// One administrative change that this notifier was asked for.
struct AuditEntry {
  std::string entry_id;  // a UUID
  absl::Time at;
  // The certificate that asked for it, and where from.
  std::string role, name, serial, fingerprint, address;
  std::string on_behalf_of;  // as the caller says
  std::string action;        // "report.send"
  // For people.
  std::string subject, before, after, reason;
};

}  // namespace netsentinel::audit
