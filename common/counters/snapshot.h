#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"

namespace netsentinel::counters {

// A RouterOS menu that holds queues. The values are stored and travel: never renumber.
enum class Menu : std::uint8_t { kSimple = 1, kTree = 2 };

// "simple" or "tree".
const char* MenuName(Menu menu);

// Everything of a queue that rarely changes. Immutable once interned.
struct QueueDescriptor {
  // The number in `.id`: *1A is 26. Evidence, not identity: RouterOS reuses it.
  std::uint64_t row_id = 0;
  // Raw bytes; RouterOS declares no encoding.
  std::string name;
  std::string target;
  std::string parent;  // name of the parent queue, empty for none
  std::string comment;
  bool dynamic = false;
  bool disabled = false;
  bool invalid = false;
  // bit/s, 0 is unlimited. A tree queue has one limit, kept as download.
  std::uint64_t max_limit_upload = 0;
  std::uint64_t max_limit_download = 0;
  std::uint64_t burst_limit_upload = 0;
  std::uint64_t burst_limit_download = 0;

  bool operator==(const QueueDescriptor&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const QueueDescriptor& d) {
    return H::combine(std::move(state), d.row_id, d.name, d.target, d.parent, d.comment, d.dynamic,
                      d.disabled, d.invalid, d.max_limit_upload, d.max_limit_download,
                      d.burst_limit_upload, d.burst_limit_download);
  }
};

// Index of a descriptor in the DescriptorTable that a snapshot travels with.
using DescriptorIndex = std::uint32_t;

// One queue in one snapshot. A tree queue has one counter: it is `download`, and `upload` is 0;
// which way its bytes count is a mapping rule's to say.
struct QueueReading {
  DescriptorIndex descriptor = 0;
  std::uint64_t upload = 0;
  std::uint64_t download = 0;
  // Sum of the packet counters: evidence of a reset, never counted.
  std::uint64_t packets = 0;

  bool operator==(const QueueReading&) const = default;
};

// The hardware behind an address.
struct DeviceIdentity {
  std::string serial_number;  // empty on CHR and x86
  std::string system_id;      // of the license; empty when unknown
  std::string identity;       // /system/identity name, raw bytes
  std::string board_name;
  std::string version;

  bool operator==(const DeviceIdentity&) const = default;
  // What tells two devices apart: "serial:…", else "system:…", else empty (never decided).
  std::string Key() const;
};

enum class AttributionClock : std::uint8_t { kAggregator = 1, kCollector = 2 };

// When and under which conditions a snapshot was read. All instants in microseconds.
struct SnapshotHeader {
  // Boot of the collector's host; begin and end are CLOCK_BOOTTIME there.
  std::string host_boot_id;
  std::int64_t begin_us = 0;
  std::int64_t end_us = 0;
  // Equal within one host boot: one TCP connection to the router.
  std::uint64_t session_id = 0;
  // The UTC instant the reading counts for.
  std::int64_t attribution_us = 0;
  AttributionClock clock = AttributionClock::kCollector;
  std::uint64_t router_uptime_s = 0;
  DeviceIdentity device;
  // Equal: same property list and filters, so that a queue not seen before is new and not newly
  // shown.
  std::uint64_t settings_fingerprint = 0;
  // attribution_us is a boundary instant of the site (a day's start or another cut).
  bool at_boundary = false;
  std::uint32_t boundary_skew_ms = 0;
  // How long in all the collector's host stood still (a hypervisor's pause, a migration) without
  // CLOCK_BOOTTIME noticing, since the collector began to read this menu. It grows from reading to
  // reading and begins again at 0 with the collector or its lease.
  std::int64_t host_paused_us = 0;
  // True: the collector could tell whether its host stood still, so that an uptime ahead of
  // CLOCK_BOOTTIME and host_paused_us together is the router's doing. False: it could not tell.
  bool pause_decided = false;

  bool operator==(const SnapshotHeader&) const = default;
};

// A snapshot that thinning merged away: only the queues whose life changed, see merge.h. A queue
// that stands in neither list read as the rules of the final snapshot need it, without this step.
struct MergedStep {
  SnapshotHeader header;
  std::vector<QueueReading> readings;
  // Queues of the snapshot before that this one lacked.
  std::vector<DescriptorIndex> gone;

  bool operator==(const MergedStep&) const = default;
};

// One complete, successful print of one menu of one router. Descriptor indices belong to the
// DescriptorTable it travels with.
struct Snapshot {
  base::RouterId router;
  Menu menu = Menu::kSimple;
  SnapshotHeader header;
  // In the order of the reply; each descriptor at most once.
  std::vector<QueueReading> readings;
  // Oldest first; empty unless the spool was thinned.
  std::vector<MergedStep> steps;
};

// Where a snapshot stands in the order of its (router, menu). Within a spool the sequence orders,
// across spools the lease epoch does.
struct SnapshotPosition {
  std::uint64_t lease_epoch = 0;
  std::string spool_uuid;  // 16 bytes
  std::uint64_t sequence = 0;

  bool operator==(const SnapshotPosition&) const = default;
};

}  // namespace netsentinel::counters
