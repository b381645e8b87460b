#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

#include "aggregator/accounting/records.h"
#include "aggregator/accounting/settings.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"
#include "common/counters/snapshot_codec.h"

// What is known of one menu of one device, and how a snapshot changes it. Pure: state in, snapshot
// in, deltas and records out. docs/accounting.md states the rules.
namespace netsentinel::accounting {

using counters::DescriptorIndex;
using counters::kNoRow;

// The cold half of a queue; the hot half is its reading, at the same place.
struct Slot {
  std::uint32_t parent = kNoRow;  // row of the parent queue
  std::int64_t since_us = 0;      // observed without a gap since
};

// A byte counter fell; the next reading will say what that was.
struct Hold {
  counters::QueueReading before;  // O
  std::int64_t before_us = 0;     // when O was read
  std::int64_t held_us = 0;       // when H was read
  std::int64_t existed_us = 0;    // the longest that a counter with H can have existed
};

// A queue that vanished and may come back as if nothing had been.
struct Tombstone {
  DescriptorIndex descriptor = 0;
  counters::QueueReading reading;
  std::int64_t read_us = 0;
  std::int64_t vanished_us = 0;
};

// A complete snapshot that lacked too many queues to be believed at once.
struct PendingSnapshot {
  counters::SnapshotHeader header;
  std::vector<counters::QueueReading> readings;
};

inline constexpr std::int64_t kSecondUs = 1'000'000;

// A vanished queue is remembered for kTombstoneUs; at most this many of them, or as many as the
// menu has had queues at a time if those were more, so that a whole menu can vanish and return.
inline constexpr std::size_t kMinTombstones = 4096;
inline constexpr std::int64_t kTombstoneUs = 7LL * 86'400 * kSecondUs;
inline constexpr std::size_t kMaxEventsPerSnapshot = 64;
// Instants beyond the end of year 9999 are no instants.
inline constexpr std::int64_t kLatestUs = 253'402'300'799LL * kSecondUs;
// Numbers of descriptors are given in order; when more than these are out, most belong to queues
// that have gone, and the rest are numbered anew.
inline constexpr std::size_t kSpareNumbers = 4096;
inline constexpr std::size_t kNumbersPerQueue = 4;
// A merged snapshot is refused when its steps times the queues known pass this: each step looks at
// every queue.
inline constexpr std::size_t kMaxStepRows = std::size_t{1} << 27;

// Copying is cheap per queue: descriptors are shared.
struct MenuState {
  // Header of the last applied snapshot, attribution time corrected. None: nothing seen yet.
  std::optional<counters::SnapshotHeader> last;
  counters::DescriptorTable dictionary;
  // By row: the last reading; a hole has descriptor kNoRow.
  std::vector<counters::QueueReading> rows;
  std::vector<Slot> slots;
  std::vector<std::uint32_t> row_of;  // by descriptor
  std::vector<std::uint32_t> free_rows;
  std::size_t parents = 0;  // rows that have a parent among the rows

  absl::flat_hash_map<std::uint32_t, Hold> holds;  // by row
  // By row: what children moved beyond their parent's own counter, still to be taken off it.
  absl::flat_hash_map<std::uint32_t, base::TrafficBytes> debts;
  // By row: when it was read, where that is not `last`.
  absl::flat_hash_map<std::uint32_t, std::shared_ptr<const counters::SnapshotHeader>> read_at;
  std::vector<Tombstone> tombstones;  // in the order they vanished
  std::optional<PendingSnapshot> pending;

  counters::ReadingBase base() const { return {rows, row_of}; }
  std::size_t live() const { return rows.size() - free_rows.size(); }
  std::uint32_t RowOf(DescriptorIndex descriptor) const {
    return descriptor < row_of.size() ? row_of[descriptor] : kNoRow;
  }
  // Attribution time of the newest snapshot taken in, pending or not; 0 before the first.
  std::int64_t newest_us() const {
    if (pending.has_value()) return pending->header.attribution_us;
    return last.has_value() ? last->attribution_us : 0;
  }
};

// Bytes between two observations of one queue, over (from, to].
struct Delta {
  DescriptorIndex descriptor = 0;
  bool implausible = false;  // may be no bytes at all
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  // The queue has been observed without a gap since then until `to_us`.
  std::int64_t observed_since_us = 0;
  base::TrafficBytes bytes;
};

// Time in which bytes of a queue may have passed unseen: (from, to].
struct Blind {
  DescriptorIndex descriptor = 0;
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  // The queue had been observed without a gap since then until `from_us`; equal to it if not.
  std::int64_t observed_since_us = 0;
  std::uint64_t rate_upload_bps = 0;
  std::uint64_t rate_download_bps = 0;
  // Beyond what the rates allow: the counter that a possible reset would have taken away, or that
  // was refused.
  base::TrafficBytes extra;
  bool partial = false;  // grades the day as partial, however short
};

// What a snapshot causes.
struct Effects {
  std::vector<Delta> deltas;
  std::vector<Blind> blinds;
  std::vector<EpochRecord> epochs;
  std::vector<DescriptorIndex> epoch_queues;  // beside epochs
  std::vector<HoldRecord> holds;
  std::vector<EventRecord> events;
  // How many events beyond kMaxEventsPerSnapshot were left out.
  std::uint64_t events_left_out = 0;
};

struct MenuSettings {
  ParentsMode parents = ParentsMode::kResidue;
  std::uint64_t line_rate_bps = 10'000'000'000;
};

struct StageInput {
  // Indices are of the state's dictionary or of `added`.
  const counters::Snapshot* snapshot = nullptr;
  const counters::AddedDescriptors* added = nullptr;
  std::int64_t received_us = 0;
  MenuSettings settings;
  // For the first snapshot of a device that took another's place: the other's last header.
  const counters::SnapshotHeader* replaces = nullptr;
  // Attribution time of the newest snapshot of this menu, whichever device it came from.
  std::int64_t not_before_us = 0;
  // Take the general path even where the quick one would do; both give the same.
  bool force_general = false;
};

// A snapshot judged but not taken in.
struct Staged {
  counters::SnapshotHeader header;  // attribution time corrected
  bool pending = false;             // stored, and decided by the next one
  bool renumbered = false;          // the new state has other descriptor indices than the old
  Effects effects;

  // Either the rows that moved, or the whole new state.
  struct Moved {
    std::uint32_t row = 0;
    counters::QueueReading reading;
  };
  std::vector<Moved> moved;
  std::vector<std::pair<std::uint32_t, base::TrafficBytes>> debts;
  std::unique_ptr<MenuState> replacement;
};

// Judges the snapshot. kInvalidArgument when it cannot be one: a descriptor that is not in the
// dictionary, a queue twice, times outside 1970 … 9999, steps that no merge makes (of another host
// boot or device, out of order, across a reboot, two queues with one `.id`, too many).
absl::StatusOr<Staged> Stage(const MenuState& state, const StageInput& input);

// False for a header whose times cannot be times.
bool TimesAreSane(const counters::SnapshotHeader& header);

// Takes in what was staged against this very state.
void Install(MenuState& state, Staged&& staged);

// Finds each queue's parent by name. Part of taking in a snapshot and of reading a checkpoint.
void LinkParents(MenuState& state);

// Whose state it is.
struct MenuPlace {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  MenuSettings settings;
};

// Takes a pending snapshot as true, and every open hold as a reset at the held reading: the device
// will say no more.
void ResolveOpen(MenuState& state, const MenuPlace& place, Effects& effects);

// The device of `state` has given way to another, whose first snapshot here is `now`: what its
// queues moved after their last readings nobody saw.
struct Successor {
  counters::SnapshotHeader now;  // with the rules of time
  // True when the other is new here: it answers itself for the queues it shows under a known name,
  // from the last reading of the device it replaces until it counts.
  bool is_new = false;
  const counters::AddedDescriptors* shows = nullptr;
};
void MarkUnseen(MenuState& state, const MenuPlace& place, const Successor& successor,
                Effects& effects);

}  // namespace netsentinel::accounting
