#include "aggregator/ingest/lease_table.h"

namespace netsentinel::ingest {

LeaseTable::Answer LeaseTable::Ask(const base::RouterId& router, const LeaseParty& party,
                                   absl::Duration now) {
  const auto entry = leases_.find(router);
  if (entry == leases_.end()) return Answer::kFree;
  Lease& lease = entry->second;
  if (lease.holder == party) {
    lease.until = now + ttl_;
    return Answer::kHeld;
  }
  // A collector that lost its spool is the same reader: nobody else polls meanwhile.
  if (lease.holder.collector == party.collector) return Answer::kFree;
  return now >= lease.until ? Answer::kFree : Answer::kForeign;
}

void LeaseTable::Grant(const base::RouterId& router, const LeaseParty& party, std::uint64_t epoch,
                       absl::Duration now) {
  leases_[router] = Lease{.holder = party, .epoch = epoch, .until = now + ttl_};
}

bool LeaseTable::Extend(const base::RouterId& router, const LeaseParty& party, absl::Duration now) {
  const auto entry = leases_.find(router);
  if (entry == leases_.end() || !(entry->second.holder == party)) return false;
  entry->second.until = now + ttl_;
  return true;
}

void LeaseTable::Release(const base::RouterId& router, const LeaseParty& party) {
  const auto entry = leases_.find(router);
  if (entry != leases_.end() && entry->second.holder == party) {
    entry->second.until = absl::ZeroDuration();
  }
}

const Lease* LeaseTable::Find(const base::RouterId& router) const {
  const auto entry = leases_.find(router);
  return entry == leases_.end() ? nullptr : &entry->second;
}

}  // namespace netsentinel::ingest
