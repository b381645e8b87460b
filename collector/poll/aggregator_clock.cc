#include "collector/poll/aggregator_clock.h"

#include <algorithm>

namespace netsentinel::poll {
namespace {

constexpr std::int64_t kPartsPerDrift = 5000;  // 200 ppm

}  // namespace

void OffsetFilter::Add(std::int64_t sent_boot_us, std::int64_t received_boot_us,
                       std::int64_t aggregator_us) {
  if (received_boot_us < sent_boot_us) return;
  const std::int64_t low = aggregator_us - received_boot_us;
  const std::int64_t high = aggregator_us - sent_boot_us;
  const std::int64_t age = std::max<std::int64_t>(0, received_boot_us - taken_boot_us_);
  const std::int64_t drift = age / kPartsPerDrift;
  const bool overlaps = known_ && low <= high_us_ + drift && high >= low_us_ - drift;
  if (overlaps && high - low > high_us_ - low_us_ + 2 * drift) return;
  known_ = true;
  low_us_ = low;
  high_us_ = high;
  taken_boot_us_ = received_boot_us;
}

std::optional<std::int64_t> OffsetFilter::offset_us() const {
  if (!known_) return std::nullopt;
  return low_us_ + (high_us_ - low_us_) / 2;
}

void AggregatorClock::Add(absl::Duration sent, absl::Duration received,
                          std::int64_t aggregator_us) {
  if (aggregator_us <= 0) return;  // it is not sure of the time itself
  base::MutexLock lock(mutex_);
  filter_.Add(absl::ToInt64Microseconds(sent), absl::ToInt64Microseconds(received), aggregator_us);
}

AttributedTime AggregatorClock::At(absl::Duration boot) const {
  base::MutexLock lock(mutex_);
  if (const std::optional<std::int64_t> offset = filter_.offset_us(); offset.has_value()) {
    return {absl::FromUnixMicros(absl::ToInt64Microseconds(boot) + *offset),
            counters::AttributionClock::kAggregator};
  }
  return {clock_.WallNow() + (boot - clock_.BootNow()), counters::AttributionClock::kCollector};
}

}  // namespace netsentinel::poll
