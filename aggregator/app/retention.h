#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

#include "aggregator/store/store.h"
#include "common/log/logger.h"

namespace netsentinel::app {

// How long the store keeps what nothing is counted from any more.
struct Retention {
  int daily_days = 14;
  // Months before the current one; 0 when monthly_days says it.
  int monthly_months = 24;
  int monthly_days = 0;
  int history_days = 400;

  bool operator==(const Retention&) const = default;

  // What is older may go, as of an instant in UTC. A month that daily rows may still go into is
  // never among them.
  absl::CivilDay DaysBefore(absl::Time now) const;
  absl::CivilMonth MonthsBefore(absl::Time now) const;
  std::int64_t HistoryBeforeUs(absl::Time now) const;
};

// Where and how a purge deletes.
struct PurgeTarget {
  store::Store& store;
  store::Fence fence;
  std::size_t slice = 0;  // at most so many rows of a table in one call
};

// Deletes what has passed its retention at `now`, until nothing more goes, a call fails (which is
// logged) or a stop.
void PurgeOnce(const PurgeTarget& target, const Retention& retention, absl::Time now,
               const std::stop_token& stop, log::Logger& logger);

}  // namespace netsentinel::app
