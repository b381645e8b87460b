#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

#include "common/base/ids.h"

namespace netsentinel::ingest {

// One spool of one collector, as far as leases care.
struct LeaseParty {
  base::CollectorId collector;
  std::string spool_uuid;  // 16 bytes

  bool operator==(const LeaseParty&) const = default;
};

struct Lease {
  LeaseParty holder;
  std::uint64_t epoch = 0;
  // Monotonic instant at which it lapses unless extended.
  absl::Duration until;
};

// Who reads which router. Pure: the epochs and the time are handed in. One thread.
class LeaseTable {
 public:
  explicit LeaseTable(absl::Duration ttl) : ttl_(ttl) {}

  enum class Answer {
    kHeld,  // it is this party's already, extended now
    kFree,  // nobody's, or lapsed, or the same collector's with another spool: Grant() may follow
    kForeign,  // another collector's
  };
  Answer Ask(const base::RouterId& router, const LeaseParty& party, absl::Duration now);
  // Makes the party the holder under `epoch`, which must be above every earlier one.
  void Grant(const base::RouterId& router, const LeaseParty& party, std::uint64_t epoch,
             absl::Duration now);
  // After an applied snapshot or a report. False when the lease is not this party's.
  bool Extend(const base::RouterId& router, const LeaseParty& party, absl::Duration now);
  // The party gives it up: the next to ask gets it.
  void Release(const base::RouterId& router, const LeaseParty& party);
  // The lease as it stands, lapsed or not; null when never granted.
  const Lease* Find(const base::RouterId& router) const;
  absl::Duration ttl() const { return ttl_; }

 private:
  absl::Duration ttl_;
  absl::flat_hash_map<base::RouterId, Lease> leases_;
};

}  // namespace netsentinel::ingest
