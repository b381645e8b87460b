#include "aggregator/accounting/calendar.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/numeric/int128.h"

#include "common/base/check.h"

namespace netsentinel::accounting {
namespace {

// The instant of a local time of day counted from the midnight that begins `day`.
std::int64_t InstantOf(const TimeRule& rule, absl::CivilDay day, absl::Duration time_of_day) {
  const absl::CivilSecond local = absl::CivilSecond(day) + absl::ToInt64Seconds(time_of_day);
  const absl::TimeZone::TimeInfo info = rule.zone.At(local);
  const bool skipped = info.kind == absl::TimeZone::TimeInfo::SKIPPED;
  return absl::ToUnixMicros(skipped ? info.trans : info.pre);
}

std::int64_t DayBegin(const TimeRule& rule, absl::CivilDay day) {
  return InstantOf(rule, day, rule.day_start);
}

absl::CivilDay DayOf(const TimeRule& rule, std::int64_t at_us) {
  const absl::CivilSecond local =
      rule.zone.At(absl::FromUnixMicros(at_us)).cs - absl::ToInt64Seconds(rule.day_start);
  absl::CivilDay day(local);
  // A gap or a repeated hour at the day's start moves the guess by at most one.
  if (DayBegin(rule, day) > at_us) --day;
  if (DayBegin(rule, day + 1) <= at_us) ++day;
  return day;
}

// The day's edges: its begin, its cuts in order of time, the next day's begin.
absl::InlinedVector<std::int64_t, 8> Edges(const TimeRule& rule, absl::CivilDay day) {
  absl::InlinedVector<std::int64_t, 8> edges = {DayBegin(rule, day)};
  const std::int64_t end = DayBegin(rule, day + 1);
  absl::InlinedVector<absl::Duration, 8> offsets;
  for (const absl::Duration cut : rule.cuts) {
    offsets.push_back(cut > rule.day_start ? cut : cut + absl::Hours(24));
  }
  std::sort(offsets.begin(), offsets.end());
  for (const absl::Duration offset : offsets) {
    edges.push_back(std::clamp(InstantOf(rule, day, offset), edges.back(), end));
  }
  edges.push_back(end);
  return edges;
}

DaySpan RuleSpanAt(const TimeRule& rule, std::int64_t at_us) {
  const absl::CivilDay day = DayOf(rule, at_us);
  const auto edges = Edges(rule, day);
  std::size_t segment = 0;
  while (segment + 2 < edges.size() && at_us >= edges[segment + 1]) ++segment;
  return {day, static_cast<std::uint8_t>(segment), edges[segment], edges[segment + 1]};
}

}  // namespace

Calendar::Calendar(TimeRule rule) {
  versions_.push_back({std::numeric_limits<std::int64_t>::min(), std::move(rule)});
}

Calendar Calendar::FromVersions(std::vector<Version> versions) {
  NS_CHECK(!versions.empty(), "a calendar without a rule");
  Calendar calendar;
  calendar.versions_ = std::move(versions);
  return calendar;
}

void Calendar::Change(const TimeRule& rule, std::int64_t now_us) {
  while (versions_.size() > 1 && versions_.back().from_us > now_us) versions_.pop_back();
  if (versions_.back().rule == rule) return;
  const std::int64_t from = DayAt(now_us).end_us;
  versions_.push_back({from, rule});
  // Days older than any interval that is still divided need no rule of their own.
  constexpr std::size_t kMaxVersions = 64;
  if (versions_.size() > kMaxVersions) {
    versions_.erase(versions_.begin());
    versions_.front().from_us = std::numeric_limits<std::int64_t>::min();
  }
}

DaySpan Calendar::SpanAt(std::int64_t at_us) const {
  std::size_t i = versions_.size() - 1;
  while (i > 0 && versions_[i].from_us > at_us) --i;
  DaySpan span = RuleSpanAt(versions_[i].rule, at_us);
  span.begin_us = std::max(span.begin_us, versions_[i].from_us);
  if (i + 1 < versions_.size()) span.end_us = std::min(span.end_us, versions_[i + 1].from_us);
  return span;
}

DaySpan Calendar::DayAt(std::int64_t at_us) const {
  DaySpan day = SpanAt(at_us);
  day.segment = 0;
  for (DaySpan next = SpanAt(day.end_us); next.day == day.day; next = SpanAt(day.end_us)) {
    day.end_us = next.end_us;
  }
  for (DaySpan last = SpanAt(day.begin_us - 1); last.day == day.day;
       last = SpanAt(day.begin_us - 1)) {
    day.begin_us = last.begin_us;
  }
  return day;
}

std::vector<std::int64_t> Calendar::EdgesBetween(std::int64_t from_us, std::int64_t to_us,
                                                 std::size_t limit) const {
  std::vector<std::int64_t> edges;
  for (std::int64_t at = SpanAt(from_us).end_us; at <= to_us && edges.size() < limit;
       at = SpanAt(at).end_us) {
    edges.push_back(at);
  }
  return edges;
}

void Divide(std::uint64_t bytes, absl::Span<const std::uint64_t> weights,
            absl::Span<std::uint64_t> parts) {
  NS_CHECK(weights.size() == parts.size() && !parts.empty(), "one part for each weight");
  absl::uint128 sum = 0;
  for (const std::uint64_t weight : weights) sum += weight;
  std::fill(parts.begin(), parts.end(), std::uint64_t{0});
  if (sum == 0) {
    parts.back() = bytes;
    return;
  }
  std::uint64_t rest = bytes;
  absl::InlinedVector<std::pair<absl::uint128, std::size_t>, 8> remainders;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const absl::uint128 product = absl::uint128(bytes) * weights[i];
    parts[i] = absl::Uint128Low64(product / sum);
    rest -= parts[i];
    remainders.emplace_back(product % sum, i);
  }
  std::stable_sort(remainders.begin(), remainders.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t i = 0; rest > 0; ++i, --rest) ++parts[remainders[i].second];
}

std::vector<DaySpan> SpansOf(const Calendar& calendar, std::int64_t from_us, std::int64_t to_us) {
  std::vector<DaySpan> spans;
  from_us = std::max(from_us, to_us - kMaxSplitDays * kDayUs);
  if (from_us >= to_us) {
    DaySpan span = calendar.SpanAt(to_us);
    span.begin_us = span.end_us = to_us;
    spans.push_back(span);
    return spans;
  }
  for (std::int64_t at = from_us; at < to_us;) {
    DaySpan span = calendar.SpanAt(at);
    const std::int64_t end = std::min(span.end_us, to_us);
    span.begin_us = at;
    span.end_us = end;
    if (!spans.empty() && spans.back().day == span.day && spans.back().segment == span.segment) {
      spans.back().end_us = end;
    } else {
      spans.push_back(span);
    }
    at = end;
  }
  return spans;
}

}  // namespace netsentinel::accounting
