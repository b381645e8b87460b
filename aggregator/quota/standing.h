#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/civil_time.h"

#include "aggregator/quota/quota.h"
#include "common/base/bytes.h"

// Where a subscriber is in a quota: the one answer that rankings, pages, mails, the command line
// and breaches give. Pure.
namespace netsentinel::quota {

// From good to bad.
enum class State : std::uint8_t {
  kWithin = 1,
  kNear = 2,  // from the first threshold below 100 percent on
  kOver = 3,  // from the limit on
};

// What was used in a period.
struct Used {
  // For certain and decided: state, percent and remaining are of it, as breaches are.
  base::TrafficBytes sure;
  // The best figure, also of what waits for its explanation, at least `sure`: shown beside it where
  // it says something worse.
  base::TrafficBytes counted;
};

struct Standing {
  std::string quota_id;
  Basis basis = Basis::kDownload;
  Period period = Period::kDay;
  // The first day of the period and the last.
  absl::CivilDay begin;
  absl::CivilDay end;
  std::uint64_t limit_bytes = 0;
  // On the basis.
  std::uint64_t used_bytes = 0;
  std::uint64_t counted_bytes = 0;
  // Hundredths of the limit, rounded down, at most kMostPercent: 100 or more exactly from the limit
  // on. A limit of no bytes is reached from the beginning.
  std::uint32_t percent = 0;
  std::uint32_t counted_percent = 0;
  std::uint64_t remaining_bytes = 0;
  State state = State::kWithin;
  // What the state would be if the counted bytes were sure.
  State counted_state = State::kWithin;

  bool operator==(const Standing&) const = default;
};

inline constexpr std::uint32_t kMostPercent = 1'000'000;

// Of the limit, as Standing::percent.
std::uint32_t PercentOf(std::uint64_t bytes, std::uint64_t limit_bytes);

// In the period that holds `day`. Nothing where the limit is unlimited. A threshold above 100 says
// when to tell, not where the limit is.
std::optional<Standing> StandingOf(const Rule& rule, const Limit& limit, const Used& used,
                                   absl::CivilDay day);

// The one that matters most: the worst state, then the highest percent, then the first. Null when
// there is none.
const Standing* Foremost(const std::vector<Standing>& standings);

}  // namespace netsentinel::quota
