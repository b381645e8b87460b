#pragma once

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/counters/snapshot.h"

namespace netsentinel::poll {

// How far the aggregator's wall clock is ahead of this host's CLOCK_BOOTTIME, learned from
// messages: one that answers at local time r what was sent at local time s and carries the
// aggregator's time A says that the offset lies in [A − r, A − s]. The narrowest such interval
// wins; it widens with age (200 ppm), and gives way to one that it does not overlap, since then
// one of the clocks was stepped. Pure; one thread.
class OffsetFilter {
 public:
  void Add(std::int64_t sent_boot_us, std::int64_t received_boot_us, std::int64_t aggregator_us);
  // Microseconds to add to CLOCK_BOOTTIME; nothing before the first message.
  std::optional<std::int64_t> offset_us() const;
  // Half the width of the interval as it was taken.
  std::int64_t uncertainty_us() const { return (high_us_ - low_us_) / 2; }

 private:
  bool known_ = false;
  std::int64_t low_us_ = 0;
  std::int64_t high_us_ = 0;
  std::int64_t taken_boot_us_ = 0;
};

struct AttributedTime {
  absl::Time time;
  counters::AttributionClock clock = counters::AttributionClock::kCollector;
};

// The aggregator's time as this host knows it; its own wall clock before the first message.
// Thread-safe.
class AggregatorClock {
 public:
  explicit AggregatorClock(const base::Clock& clock) : clock_(clock) {}
  // Instants of CLOCK_BOOTTIME and what the aggregator said in between; 0 says nothing.
  void Add(absl::Duration sent, absl::Duration received, std::int64_t aggregator_us);
  AttributedTime Now() const { return At(clock_.BootNow()); }
  // The time that it was, or will be, at an instant of CLOCK_BOOTTIME.
  AttributedTime At(absl::Duration boot) const;

 private:
  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  OffsetFilter filter_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::poll
