#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"

#include "common/base/bytes.h"

// What a quota is and when it is breached. Pure; the caller keeps who has used how much.
namespace netsentinel::quota {

// Values are stored: never renumber.
enum class Basis : std::uint8_t { kDownload = 1, kUpload = 2, kTotal = 3 };
enum class Period : std::uint8_t { kDay = 1, kWeek = 2, kMonth = 3 };

// A limit on a basis per period.
struct Rule {
  std::string id;  // as in configuration; [A-Za-z0-9._-]{1,64}
  Basis basis = Basis::kDownload;
  Period period = Period::kDay;
  // The day a period starts: 1 (Monday) … 7 for a week, 1 … 28 for a month, not used for a day.
  int start_day = 1;
  std::uint64_t limit_bytes = 0;
  bool unlimited = false;
  // Percent of the limit, each 1 … 1000, ascending, no two equal.
  std::vector<std::uint32_t> thresholds_percent = {100};

  bool operator==(const Rule&) const = default;
};

// kInvalidArgument in words an operator can act on.
absl::Status Validate(const Rule& rule);

// A limit of one subscriber that wins over the rule's.
struct Limit {
  std::uint64_t bytes = 0;
  bool unlimited = false;

  bool operator==(const Limit&) const = default;
};

// First day of the period that holds `day`, and first day of the next one.
absl::CivilDay PeriodStart(const Rule& rule, absl::CivilDay day);
absl::CivilDay PeriodEnd(const Rule& rule, absl::CivilDay day);

// The part of the usage that the basis counts.
std::uint64_t Amount(Basis basis, const base::TrafficBytes& usage);

// limit × percent / 100, rounded up, held at kMaxStoredBytes: reaching it crosses the threshold.
std::uint64_t ThresholdBytes(std::uint64_t limit_bytes, std::uint32_t percent);

// The thresholds of `rule` that `sure`, what was used for certain, has reached and `fired` does not
// hold, ascending. An unlimited limit crosses none.
std::vector<std::uint32_t> Crossed(const Rule& rule, const Limit& limit,
                                   const base::TrafficBytes& sure,
                                   const std::vector<std::uint32_t>& fired);

// The least usage at which a threshold that has not fired is reached; kNever when there is none.
inline constexpr std::uint64_t kNever = ~std::uint64_t{0};
std::uint64_t NextThresholdBytes(const Rule& rule, const Limit& limit,
                                 const std::vector<std::uint32_t>& fired);

// What a breach's id is the hash of: equal bytes are the same breach, and no two breaches have
// equal bytes. `router` is empty for a subscriber that spans routers.
struct BreachIdentity {
  absl::string_view site;
  absl::string_view router;
  absl::string_view name;
  absl::string_view quota_id;
  absl::CivilDay period_start;
  std::uint32_t threshold_percent = 0;
};
std::string BreachKeyBytes(const BreachIdentity& identity);

}  // namespace netsentinel::quota
