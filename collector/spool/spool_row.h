#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/counters/snapshot.h"

namespace netsentinel::spool {

// One queue menu of one configured router: what sequences and acknowledgements belong to.
struct MenuKey {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;

  auto operator<=>(const MenuKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const MenuKey& key) {
    return H::combine(std::move(state), key.router, key.menu);
  }
};

// "hq-core simple", for messages.
std::string MenuKeyText(const MenuKey& key);

// A snapshot on its way into the spool. The payload is opaque here (counters/snapshot_codec.h).
struct NewRow {
  MenuKey key;
  std::uint64_t lease_epoch = 0;
  // UTC microseconds the reading counts for.
  std::int64_t attribution_us = 0;
  // The reading stands for a boundary instant and must not be replaced by a later one.
  bool at_boundary = false;
  std::string payload;
};

// A snapshot as the spool keeps it.
struct SpoolRow {
  MenuKey key;
  // 16 bytes: the spool that gave the sequence.
  std::string spool_uuid;
  std::uint64_t lease_epoch = 0;
  std::uint64_t sequence = 0;
  // Sequence of the row of this menu before it, 0 for the first of a spool uuid.
  std::uint64_t previous_sequence = 0;
  std::int64_t attribution_us = 0;
  bool at_boundary = false;
  std::string payload;
};

// CRC32C over every field of `row` but the payload, and over `payload_crc`.
std::uint32_t HeaderCrc(const SpoolRow& row, std::uint32_t payload_crc);

// Where the spool stands for one menu.
struct MenuPosition {
  MenuKey key;
  // Of the newest row; 0 when there is none.
  std::uint64_t lease_epoch = 0;
  // Of the oldest row not acknowledged, else of the oldest kept; 0 when there is none.
  std::uint64_t oldest_sequence = 0;
  // Highest ever written under this uuid; 0 when there is none.
  std::uint64_t newest_sequence = 0;
  // Everything up to here is acknowledged.
  std::uint64_t acknowledged_sequence = 0;
  std::int64_t newest_attribution_us = 0;
};

// What the aggregator last said about a router, kept so that a restart without it goes on.
struct RouterPlan {
  base::RouterId router;
  std::uint64_t lease_epoch = 0;
  // Ascending.
  std::vector<std::int64_t> boundary_us;
  // 0: the collector's own configuration decides.
  std::uint32_t poll_interval_ms = 0;

  bool operator==(const RouterPlan&) const = default;
};

}  // namespace netsentinel::spool
