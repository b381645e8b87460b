#include "aggregator/quota/quota.h"

#include <algorithm>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"

#include "common/base/varint.h"

namespace netsentinel::quota {
namespace {

constexpr std::size_t kMaxThresholds = 16;
constexpr std::uint32_t kMaxPercent = 1000;

int WeekdayNumber(absl::CivilDay day) {
  return static_cast<int>(absl::GetWeekday(day)) + 1;  // Monday is 1
}

bool Has(const std::vector<std::uint32_t>& values, std::uint32_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

absl::Status Validate(const Rule& rule) {
  const auto bad = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("quota \"", rule.id, "\": ", what));
  };
  if (rule.id.empty() || rule.id.size() > 64) return bad("id must have 1 to 64 characters");
  if (rule.limit_bytes > base::kMaxStoredBytes) return bad("limit is above 2^63-1 bytes");
  if (!rule.unlimited && rule.limit_bytes == 0) {
    return bad("limit is 0: write a size such as 10GiB, or limit: unlimited");
  }
  if (rule.period == Period::kWeek && (rule.start_day < 1 || rule.start_day > 7)) {
    return bad("start day of a week is 1 (Monday) to 7");
  }
  if (rule.period == Period::kMonth && (rule.start_day < 1 || rule.start_day > 28)) {
    return bad("start day of a month is 1 to 28, so that every month has it");
  }
  if (rule.thresholds_percent.empty() || rule.thresholds_percent.size() > kMaxThresholds) {
    return bad("thresholds: give 1 to 16 percentages");
  }
  for (std::size_t i = 0; i < rule.thresholds_percent.size(); ++i) {
    const std::uint32_t percent = rule.thresholds_percent[i];
    if (percent == 0 || percent > kMaxPercent) return bad("a threshold is 1 to 1000 percent");
    if (i > 0 && percent <= rule.thresholds_percent[i - 1]) {
      return bad("thresholds must ascend without repeating");
    }
  }
  return absl::OkStatus();
}

absl::CivilDay PeriodStart(const Rule& rule, absl::CivilDay day) {
  switch (rule.period) {
    case Period::kDay:
      return day;
    case Period::kWeek:
      return day - (WeekdayNumber(day) - rule.start_day + 7) % 7;
    case Period::kMonth:
      break;
  }
  const absl::CivilMonth month(day);
  const absl::CivilDay start = absl::CivilDay(month) + (rule.start_day - 1);
  return start <= day ? start : absl::CivilDay(month - 1) + (rule.start_day - 1);
}

absl::CivilDay PeriodEnd(const Rule& rule, absl::CivilDay day) {
  const absl::CivilDay start = PeriodStart(rule, day);
  switch (rule.period) {
    case Period::kDay:
      return start + 1;
    case Period::kWeek:
      return start + 7;
    case Period::kMonth:
      break;
  }
  return absl::CivilDay(absl::CivilMonth(start) + 1) + (rule.start_day - 1);
}

std::uint64_t Amount(Basis basis, const base::TrafficBytes& usage) {
  switch (basis) {
    case Basis::kDownload:
      return usage.download;
    case Basis::kUpload:
      return usage.upload;
    case Basis::kTotal:
      break;
  }
  return usage.total();
}

std::uint64_t ThresholdBytes(std::uint64_t limit_bytes, std::uint32_t percent) {
  const absl::uint128 bytes = (absl::uint128(limit_bytes) * percent + 99) / 100;
  if (bytes > absl::uint128(base::kMaxStoredBytes)) return base::kMaxStoredBytes;
  return static_cast<std::uint64_t>(bytes);
}

std::vector<std::uint32_t> Crossed(const Rule& rule, const Limit& limit,
                                   const base::TrafficBytes& sure,
                                   const std::vector<std::uint32_t>& fired) {
  std::vector<std::uint32_t> crossed;
  if (limit.unlimited) return crossed;
  const std::uint64_t used = Amount(rule.basis, sure);
  for (const std::uint32_t percent : rule.thresholds_percent) {
    if (used >= ThresholdBytes(limit.bytes, percent) && !Has(fired, percent)) {
      crossed.push_back(percent);
    }
  }
  return crossed;
}

std::uint64_t NextThresholdBytes(const Rule& rule, const Limit& limit,
                                 const std::vector<std::uint32_t>& fired) {
  if (limit.unlimited) return kNever;
  for (const std::uint32_t percent : rule.thresholds_percent) {
    if (!Has(fired, percent)) return ThresholdBytes(limit.bytes, percent);
  }
  return kNever;
}

std::string BreachKeyBytes(const BreachIdentity& identity) {
  std::string key = "netsentinel breach 1\n";
  base::AppendBytes(key, identity.site);
  base::AppendBytes(key, identity.router);
  base::AppendBytes(key, identity.name);
  base::AppendBytes(key, identity.quota_id);
  base::AppendBytes(key, absl::FormatCivilTime(identity.period_start));
  base::AppendVarint(key, identity.threshold_percent);
  return key;
}

}  // namespace netsentinel::quota
