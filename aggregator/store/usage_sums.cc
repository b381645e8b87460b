#include "aggregator/store/usage_sums.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace netsentinel::store {

void MonthSums::AddDay(StoredUsage usage) {
  accounting::UsageRow& row = usage.row;
  const absl::CivilMonth month(row.day);
  if (row.day != absl::CivilDay(month)) row.begin_inside = row.begin_outside = {};
  if (row.day != absl::CivilDay(month + 1) - 1) row.end_inside = row.end_outside = {};
  row.day = absl::CivilDay(month);
  AddMonth(std::move(usage));
}

void MonthSums::AddMonth(StoredUsage usage) {
  usage.row.segment = 0;
  const Key key{usage.row.day, usage.subscriber_id, usage.queue_id};
  const auto [found, fresh] = sums_.try_emplace(key, usage);
  if (fresh) return;
  accounting::UsageRow& sum = found->second.row;
  const accounting::UsageRow& row = usage.row;
  sum.counted += row.counted;
  sum.doubt += row.doubt;
  sum.begin_inside += row.begin_inside;
  sum.begin_outside += row.begin_outside;
  sum.end_inside += row.end_inside;
  sum.end_outside += row.end_outside;
  sum.unseen += row.unseen;
  sum.blind_us = base::SaturatingAdd(sum.blind_us, row.blind_us);
  sum.observed_us = base::SaturatingAdd(sum.observed_us, row.observed_us);
  // 0 is no reading.
  if (sum.first_reading_us == 0 ||
      (row.first_reading_us != 0 && row.first_reading_us < sum.first_reading_us)) {
    sum.first_reading_us = row.first_reading_us;
  }
  sum.last_reading_us = std::max(sum.last_reading_us, row.last_reading_us);
  const std::uint64_t epochs = std::uint64_t{sum.epochs} + row.epochs;
  sum.epochs = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(epochs, std::numeric_limits<std::uint32_t>::max()));
  sum.grade = std::max(sum.grade, row.grade);
}

std::vector<StoredUsage> MonthSums::Take() {
  std::vector<StoredUsage> result;
  result.reserve(sums_.size());
  for (auto& [key, usage] : sums_) result.push_back(std::move(usage));
  sums_.clear();
  return result;
}

}  // namespace netsentinel::store
