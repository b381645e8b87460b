#pragma once

#include <string>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace netsentinel::delivery {

// A clock time of a local day.
struct LocalTime {
  int hour = 0;
  int minute = 0;
  int second = 0;
};

// One run of something that is due once every local day.
struct Due {
  absl::CivilDay date;
  absl::Time at;
};

// When `date` sees `time` in `zone`. A time that the day skips is due at the first instant after
// the gap, one that it has twice at the first.
absl::Time InstantOf(absl::CivilDay date, LocalTime time, const absl::TimeZone& zone);

// The latest run that is due at or before `now`, and the first one after it.
Due LatestDue(LocalTime time, const absl::TimeZone& zone, absl::Time now);
Due NextDue(LocalTime time, const absl::TimeZone& zone, absl::Time now);

// The local day that `instant` belongs to at a site whose days start at `day_start`.
absl::CivilDay LocalDayOf(absl::Time instant, LocalTime day_start, const absl::TimeZone& zone);

// "2026-03-29".
std::string IsoDate(absl::CivilDay date);

}  // namespace netsentinel::delivery
