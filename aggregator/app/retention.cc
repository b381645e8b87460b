#include "aggregator/app/retention.h"

#include <algorithm>
#include <functional>

namespace netsentinel::app {
namespace {

// Calls until nothing more goes.
void Repeat(const std::function<absl::StatusOr<std::size_t>()>& slice, const std::stop_token& stop,
            log::Logger& logger) {
  for (std::size_t gone = 1; gone > 0 && !stop.stop_requested();) {
    const absl::StatusOr<std::size_t> purged = slice();
    if (!purged.ok()) {
      logger.Warn("store.purge_failed", "old rows could not be deleted; trying later",
                  {{"status", purged.status()}});
    }
    gone = purged.value_or(0);
  }
}

}  // namespace

absl::CivilDay Retention::DaysBefore(absl::Time now) const {
  return absl::ToCivilDay(now, absl::UTCTimeZone()) - daily_days;
}

absl::CivilMonth Retention::MonthsBefore(absl::Time now) const {
  const absl::CivilDay today = absl::ToCivilDay(now, absl::UTCTimeZone());
  const absl::CivilMonth wanted = monthly_months > 0 ? absl::CivilMonth(today) - monthly_months
                                                     : absl::CivilMonth(today - monthly_days);
  return std::min(wanted, absl::CivilMonth(DaysBefore(now)));
}

std::int64_t Retention::HistoryBeforeUs(absl::Time now) const {
  return absl::ToUnixMicros(now - absl::Hours(24) * history_days);
}

void PurgeOnce(const PurgeTarget& target, const Retention& retention, absl::Time now,
               const std::stop_token& stop, log::Logger& logger) {
  const auto& [store, fence, slice] = target;
  Repeat([&] { return store.PurgeDaily(fence, retention.DaysBefore(now), slice); }, stop, logger);
  Repeat([&] { return store.PurgeMonthly(fence, retention.MonthsBefore(now), slice); }, stop,
         logger);
  Repeat([&] { return store.PurgeHistory(fence, retention.HistoryBeforeUs(now), slice); }, stop,
         logger);
}

}  // namespace netsentinel::app
