#include "aggregator/ingest/position_rule.h"

namespace netsentinel::ingest {

PositionVerdict JudgePosition(const OfferedPosition& offered,
                              const std::optional<counters::SnapshotPosition>& watermark,
                              std::uint64_t granted_epoch) {
  const counters::SnapshotPosition& position = offered.position;
  if (position.sequence == 0 || position.lease_epoch > granted_epoch) {
    return PositionVerdict::kForeign;
  }
  if (!watermark.has_value()) return PositionVerdict::kApply;
  if (position.spool_uuid == watermark->spool_uuid) {
    if (position.sequence <= watermark->sequence) return PositionVerdict::kDuplicate;
    return offered.previous_sequence > watermark->sequence ? PositionVerdict::kGap
                                                           : PositionVerdict::kApply;
  }
  if (position.lease_epoch > watermark->lease_epoch) return PositionVerdict::kApply;
  // Under the newest epoch of all there is one spool only, and it is another.
  if (position.lease_epoch == granted_epoch) return PositionVerdict::kForeign;
  return PositionVerdict::kSuperseded;
}

}  // namespace netsentinel::ingest
