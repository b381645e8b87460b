#pragma once

#include <cstdint>
#include <optional>

#include "common/counters/snapshot.h"

namespace netsentinel::ingest {

// What to do with a snapshot, from where it stands and where the store stands.
enum class PositionVerdict {
  kApply,
  kDuplicate,   // committed before: acknowledge again
  kSuperseded,  // of an older lease epoch in another spool: acknowledge, count nothing
  kGap,         // its predecessor is missing: resend from the watermark
  // Another spool in the same lease epoch, a lease epoch that was never granted, or one older than
  // what the same spool has committed: refuse.
  kForeign,
};

struct OfferedPosition {
  counters::SnapshotPosition position;
  std::uint64_t previous_sequence = 0;
};

// Within a spool the sequence orders and lease epochs may not fall; across spools the lease epoch
// does. `watermark` is what was committed last for this (router, menu), `granted_epoch` the
// router's current lease epoch.
PositionVerdict JudgePosition(const OfferedPosition& offered,
                              const std::optional<counters::SnapshotPosition>& watermark,
                              std::uint64_t granted_epoch);

}  // namespace netsentinel::ingest
