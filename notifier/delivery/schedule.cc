#include "notifier/delivery/schedule.h"

namespace netsentinel::delivery {

absl::Time InstantOf(absl::CivilDay date, LocalTime time, const absl::TimeZone& zone) {
  const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(
      date.year(), date.month(), date.day(), time.hour, time.minute, time.second));
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

Due LatestDue(LocalTime time, const absl::TimeZone& zone, absl::Time now) {
  // A zone may skip a whole day, so "today or yesterday" is not always enough.
  absl::CivilDay date = absl::ToCivilDay(now, zone) + 1;
  while (InstantOf(date, time, zone) > now) --date;
  return {date, InstantOf(date, time, zone)};
}

Due NextDue(LocalTime time, const absl::TimeZone& zone, absl::Time now) {
  absl::CivilDay date = LatestDue(time, zone, now).date + 1;
  while (InstantOf(date, time, zone) <= now) ++date;
  return {date, InstantOf(date, time, zone)};
}

absl::CivilDay LocalDayOf(absl::Time instant, LocalTime day_start, const absl::TimeZone& zone) {
  return LatestDue(day_start, zone, instant).date;
}

std::string IsoDate(absl::CivilDay date) { return absl::FormatCivilTime(date); }

}  // namespace netsentinel::delivery
