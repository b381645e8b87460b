#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

// Local days of a site and how bytes are divided at their edges. Pure. Instants are UTC
// microseconds.
namespace netsentinel::accounting {

// Of a day without a change of the clock.
inline constexpr std::int64_t kDayUs = 86'400'000'000;

// Where a site's days begin and are cut.
struct TimeRule {
  absl::TimeZone zone = absl::UTCTimeZone();
  absl::Duration day_start = absl::ZeroDuration();
  std::vector<absl::Duration> cuts;

  bool operator==(const TimeRule&) const = default;
};

// A local day, or the segment of it between two cuts: [begin, end).
struct DaySpan {
  absl::CivilDay day;
  std::uint8_t segment = 0;
  std::int64_t begin_us = 0;
  std::int64_t end_us = 0;

  bool Holds(std::int64_t at_us) const { return at_us >= begin_us && at_us < end_us; }
};

// A site's days, through changes of its rule. A local time that DST skips is the first instant
// after the gap; one that occurs twice is its first occurrence.
class Calendar {
 public:
  Calendar() : Calendar(TimeRule{}) {}
  explicit Calendar(TimeRule rule);

  // Takes the rule from the first day start of the present rule after `now_us`. A change that has
  // not taken effect yet is replaced.
  void Change(const TimeRule& rule, std::int64_t now_us);

  DaySpan SpanAt(std::int64_t at_us) const;
  // The whole day that holds the instant: its segments joined.
  DaySpan DayAt(std::int64_t at_us) const;
  // Begins of spans in (from, to], ascending, at most `limit`.
  std::vector<std::int64_t> EdgesBetween(std::int64_t from_us, std::int64_t to_us,
                                         std::size_t limit) const;

  // The rules and the instants from which each holds; the first is from the beginning of time.
  struct Version {
    std::int64_t from_us = 0;
    TimeRule rule;
  };
  const std::vector<Version>& versions() const { return versions_; }
  // For a stored calendar. Versions must not be empty and must ascend.
  static Calendar FromVersions(std::vector<Version> versions);
  const TimeRule& newest() const { return versions_.back().rule; }

 private:
  std::vector<Version> versions_;
};

// Divides `bytes` in proportion to `weights` by largest remainder, ties to the earlier part: the
// parts add up to `bytes` exactly. Weights of nothing give everything to the last part.
void Divide(std::uint64_t bytes, absl::Span<const std::uint64_t> weights,
            absl::Span<std::uint64_t> parts);

// The spans that (from, to] touches, oldest first, with begin and end clipped to the interval;
// neighbours of one day and segment are joined. An empty interval lies in the span that holds
// `to`. An interval of more than kMaxSplitDays is taken to begin that long before its end.
inline constexpr int kMaxSplitDays = 60;
std::vector<DaySpan> SpansOf(const Calendar& calendar, std::int64_t from_us, std::int64_t to_us);

}  // namespace netsentinel::accounting
