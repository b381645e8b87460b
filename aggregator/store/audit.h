#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace netsentinel::store {

// One administrative change: a row that is added once and never touched again.
struct AuditRow {
  std::uint64_t audit_id = 0;     // the store's number
  std::int64_t stored_at_us = 0;  // the store's time
  std::string entry_id;           // unique; a second row of this id is not stored
  std::int64_t at_us = 0;
  std::string program;  // that took the change: "aggregator", "notifier main"
  // The certificate that asked for it, as that program verified it.
  std::string role, name, serial, fingerprint;
  std::string address;       // where the call came from
  std::string on_behalf_of;  // as the caller says
  std::string action;        // "quota.set"
  // For people.
  std::string subject, before, after, reason;

  bool operator==(const AuditRow&) const = default;
};

// Which rows, newest first.
struct AuditQuestion {
  std::int64_t from_us = 0;
  std::int64_t to_us = std::numeric_limits<std::int64_t>::max();
  std::string who = {};     // name or on_behalf_of, whole; empty: anybody
  std::string action = {};  // whole, or what stands before a dot; empty: any
  std::uint64_t before_id = 0;
  std::size_t limit = 100;
};

}  // namespace netsentinel::store
