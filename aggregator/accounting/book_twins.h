#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

#include "common/base/ids.h"
#include "common/counters/snapshot.h"

// One device that is read under two entries of the configuration counts once: under the entry that
// counted first, and under the other from where that one falls silent. docs/accounting.md, Twins
// and clones.
namespace netsentinel::accounting {

struct MenuBook;
struct MenuChange;

// What one entry shows, by queue name.
struct NamedReading {
  std::uint64_t row_id = 0;
  counters::QueueReading reading;
};
using ReadingsByName = absl::flat_hash_map<absl::string_view, NamedReading>;

// What the last snapshot of a menu was taken for.
struct TwinMark {
  bool silent = false;  // its bytes count under `of`
  bool clone = false;   // `of` shows the same device, and is another machine
  base::RouterId of;    // neither: the same machine, whose bytes count here; empty: nobody

  bool operator==(const TwinMark&) const = default;
};

// Menus by the device that they show now. Entries may be out of date: whoever asks looks again.
using DeviceIndex = absl::flat_hash_map<std::string, std::vector<MenuBook*>>;
// Of the batch being staged.
using ChangeIndex = absl::flat_hash_map<std::string, std::vector<MenuChange*>>;

}  // namespace netsentinel::accounting
