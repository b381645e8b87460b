#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "collector/spool/spool_row.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

namespace netsentinel::spool {

struct PendingLimits {
  // What all readings may take in memory. Beyond it the cuts at boundaries go, the oldest first; a
  // reading that cannot be merged either is dropped and counted as lost. The newest of each menu
  // always stays.
  std::uint64_t bytes_max = std::uint64_t{256} << 20;
};

// What could not be written. For every menu the first two readings and, after them, what merging
// each reading into the next one (counters::Merge) leaves: that costs time resolution, not bytes.
// Readings at boundaries and around reboots stay by themselves. One thread.
class PendingReadings {
 public:
  explicit PendingReadings(PendingLimits limits = {}) : limits_(limits) {}

  // Boundary instants of a router, ascending: nothing is merged across one. Unknown ones cost the
  // cut between two days, not bytes.
  void SetBoundaries(const base::RouterId& router, std::vector<std::int64_t> boundaries_us);
  // A payload that is no snapshot is kept as it is and never merged.
  void Add(NewRow row);
  // Everything in the order it must be written, oldest first for each menu.
  std::vector<NewRow> All() const;
  // The oldest of a menu: at least one where there is one and, from the second on, at most
  // `bytes_max` of memory.
  std::vector<NewRow> Oldest(const MenuKey& key, std::uint64_t bytes_max) const;
  // Takes the `count` oldest of a menu away: they were written.
  void Remove(const MenuKey& key, std::size_t count);
  void Clear();
  // The leases were granted to another spool than the one that these will be written to.
  void ForgetLeaseEpochs();

  bool empty() const { return menus_.empty(); }
  bool Has(const MenuKey& key) const { return menus_.contains(key); }
  std::vector<MenuKey> Menus() const;
  std::uint64_t bytes() const { return bytes_; }
  // Since the beginning: readings that were merged into the one behind them, and such that were
  // dropped because they could not be.
  std::uint64_t merged() const { return merged_; }
  std::uint64_t lost() const { return lost_; }

 private:
  struct Held {
    NewRow row;  // without payload where `snapshot` is
    std::optional<counters::Snapshot> snapshot;
    std::uint64_t bytes = 0;
  };
  struct MenuQueue {
    counters::DescriptorTable table;
    std::uint64_t table_bytes = 0;
    std::size_t rebuild_at = 4096;
    std::vector<Held> rows;   // ascending by age
    std::uint64_t bytes = 0;  // of the rows
  };

  void Decode(MenuQueue& queue, Held& held);
  static NewRow Encode(const MenuQueue& queue, const Held& held);
  std::optional<counters::Snapshot> Merged(const MenuQueue& queue, std::size_t at,
                                           bool across_boundaries) const;
  bool MergeIntoNext(MenuQueue& queue, std::size_t at, bool across_boundaries);
  void Erase(MenuQueue& queue, std::size_t at);
  void MakeRoom();
  // Forgets descriptors that no reading has any more.
  void Rebuild(MenuQueue& queue);
  void Intern(MenuQueue& queue, const counters::DescriptorTable& from,
              counters::Snapshot& snapshot);

  const PendingLimits limits_;
  std::map<MenuKey, MenuQueue> menus_;
  std::map<base::RouterId, std::vector<std::int64_t>> boundaries_us_;
  std::uint64_t bytes_ = 0;
  std::uint64_t merged_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace netsentinel::spool
