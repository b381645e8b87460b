#include "aggregator/quota/standing.h"

#include <algorithm>

#include "absl/numeric/int128.h"

namespace netsentinel::quota {
namespace {

// By the same comparison as Crossed(), so that whoever had an alert is not called better than that.
State StateOf(const Rule& rule, std::uint64_t limit, std::uint64_t bytes) {
  if (bytes >= limit) return State::kOver;
  for (const std::uint32_t threshold : rule.thresholds_percent) {
    if (threshold < 100 && bytes >= ThresholdBytes(limit, threshold)) return State::kNear;
  }
  return State::kWithin;
}

}  // namespace

std::uint32_t PercentOf(std::uint64_t bytes, std::uint64_t limit_bytes) {
  if (limit_bytes == 0) return 100;
  const absl::uint128 percent = absl::uint128(bytes) * 100 / limit_bytes;
  return static_cast<std::uint32_t>(std::min(percent, absl::uint128(kMostPercent)));
}

std::optional<Standing> StandingOf(const Rule& rule, const Limit& limit, const Used& used,
                                   absl::CivilDay day) {
  if (limit.unlimited) return std::nullopt;
  Standing standing;
  standing.quota_id = rule.id;
  standing.basis = rule.basis;
  standing.period = rule.period;
  standing.begin = PeriodStart(rule, day);
  standing.end = PeriodEnd(rule, day) - 1;
  standing.limit_bytes = limit.bytes;
  standing.used_bytes = Amount(rule.basis, used.sure);
  standing.counted_bytes = Amount(rule.basis, used.counted);
  standing.percent = PercentOf(standing.used_bytes, limit.bytes);
  standing.counted_percent = PercentOf(standing.counted_bytes, limit.bytes);
  standing.remaining_bytes = limit.bytes - std::min(limit.bytes, standing.used_bytes);
  standing.state = StateOf(rule, limit.bytes, standing.used_bytes);
  standing.counted_state = StateOf(rule, limit.bytes, standing.counted_bytes);
  return standing;
}

const Standing* Foremost(const std::vector<Standing>& standings) {
  const Standing* worst = nullptr;
  for (const Standing& one : standings) {
    if (worst == nullptr || one.state > worst->state ||
        (one.state == worst->state && one.percent > worst->percent)) {
      worst = &one;
    }
  }
  return worst;
}

}  // namespace netsentinel::quota
