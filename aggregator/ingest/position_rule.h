#pragma once

#include <cstdint>
#include <optional>

#include "common/counters/snapshot.h"

namespace netsentinel::ingest {

// What to do with a snapshot, from where it stands and where the store stands.
enum class PositionVerdict {
  kApply,
  kDuplicate,  // committed before: acknowledge again
  // In another spool, of a lease epoch that has ended and is not above that of the newest committed
  // one: acknowledge, count nothing. The next reading's counters hold its bytes.
  kSuperseded,
  kGap,  // its predecessor is missing: resend from the watermark
  // Another spool in the lease epoch that runs, or a lease epoch that was never granted: refuse.
  kForeign,
};

struct OfferedPosition {
  counters::SnapshotPosition position;
  std::uint64_t previous_sequence = 0;
};

// Within a spool only the sequence orders; across spools the lease epoch does. `watermark` is what
// was committed last for this (router, menu), `granted_epoch` the router's current lease epoch.
PositionVerdict JudgePosition(const OfferedPosition& offered,
                              const std::optional<counters::SnapshotPosition>& watermark,
                              std::uint64_t granted_epoch);

}  // namespace netsentinel::ingest
