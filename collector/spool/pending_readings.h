#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/types/span.h"

#include "collector/spool/spool_row.h"

namespace netsentinel::spool {

struct PendingLimits {
  // Boundary readings kept for one menu; beyond it the oldest goes.
  std::size_t boundaries_per_menu = 16;
  // Payload of all readings; beyond it boundary readings go, the oldest first.
  std::uint64_t bytes_max = std::uint64_t{256} << 20;
};

// What could not be written: for every menu its newest reading and those at boundaries. Counters
// are cumulative, so a newer reading stands for the ones it replaces, at the price of time
// resolution. One thread.
class PendingReadings {
 public:
  explicit PendingReadings(PendingLimits limits = {}) : limits_(limits) {}

  void Add(NewRow row);
  // Everything in the order it must be written, oldest first for each menu.
  std::vector<NewRow> All() const;
  void Clear();

  bool empty() const { return menus_.empty(); }
  std::uint64_t bytes() const { return bytes_; }
  // Readings that a newer one replaced, or a limit removed, since the beginning.
  std::uint64_t replaced() const { return replaced_; }

 private:
  void DropOldestBoundary();

  const PendingLimits limits_;
  // Ascending by age; the last may be an ordinary reading.
  std::map<MenuKey, std::vector<NewRow>> menus_;
  std::uint64_t bytes_ = 0;
  std::uint64_t replaced_ = 0;
};

}  // namespace netsentinel::spool
