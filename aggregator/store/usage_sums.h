#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "aggregator/store/store.h"

namespace netsentinel::store {

// Adds daily rows up to months, per (month, subscriber, queue). Sums saturate at 2⁶³−1. Of the
// estimates only the shares at the month's own edges stay: an edge inside the month divides nothing
// that the month does not hold whole. Pure.
class MonthSums {
 public:
  // A row of usage_daily.
  void AddDay(StoredUsage row);
  // A sum already: `row.day` is the first of its month.
  void AddMonth(StoredUsage row);
  // In order of (month, subscriber, queue); `segment` is 0. Leaves nothing behind.
  std::vector<StoredUsage> Take();

 private:
  using Key = std::tuple<absl::CivilDay, std::uint64_t, std::uint64_t>;
  std::map<Key, StoredUsage> sums_;
};

}  // namespace netsentinel::store
