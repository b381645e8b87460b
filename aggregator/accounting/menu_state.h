#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"

#include "aggregator/accounting/evidence.h"
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

// What children moved that their parent's bytes hold as well: to be taken off the parent's own. As
// far as counters showed it between `least` and `most`; `unseen` passed parent and child at once.
struct Owed {
  base::TrafficBytes least;
  base::TrafficBytes counted;
  base::TrafficBytes most;
  base::TrafficBytes unseen;

  bool operator==(const Owed&) const = default;
  bool zero() const { return least.zero() && counted.zero() && most.zero() && unseen.zero(); }
  Owed& operator+=(const Owed& other);
};

// The cold half of a queue; the hot half is its reading, at the same place.
struct Slot {
  std::uint32_t parent = kNoRow;  // row of the parent queue
  std::uint32_t limits = 0;       // its limits, in MenuState::limits
  std::int64_t since_us = 0;      // observed without a gap since
  LastRate rate;
  // Above 0: nothing has confirmed the last reading, so it may have been wrong. Counts it and the
  // readings of nothing that followed one of nothing; kMostDisputed of them are believed.
  std::uint8_t base_may_be_bad = 0;
};

// A queue whose last step is not decided yet: the last undisputed reading and all since.
struct Dispute {
  std::vector<Observation> seen;
  bool first_is_first = false;  // seen[0] is the queue's first reading
  // A child is disputed, so that what is the queue's own cannot be told: it waits for the child.
  bool waits = false;
  // What children moved in the meantime.
  Owed children;
  // What a parent that could not wait took off itself for this queue.
  base::TrafficBytes taken_early;
  bool outlived_parent = false;
  // Rows of all parents that the queue had since: each holds some of its bytes.
  std::vector<std::uint32_t> parents;

  std::int64_t from_us() const { return seen.front().header->attribution_us; }
};

// A queue that vanished and may come back as if nothing had been.
struct Tombstone {
  DescriptorIndex descriptor = 0;
  counters::QueueReading reading;
  std::shared_ptr<const counters::SnapshotHeader> header;  // of the reading
  std::int64_t read_us = 0;
  std::int64_t vanished_us = 0;
  RowLimits limits;
  base::TrafficBytes noted;  // as unseen, when it vanished
  bool may_be_bad = false;   // the reading was disputed
  // Of a parent: what its children moved since, and what was owed: its counter holds both when it
  // is back.
  bool is_parent = false;
  Owed children;
  Owed debt;
};

// A queue that replies lack since less than kMissingUs, and that has a parent: what it moves is in
// its parent's counter and in none of its own.
struct Away {
  std::uint32_t parent = kNoRow;  // its row
  RowLimits limits;
  std::int64_t until_us = 0;
};

// A complete snapshot that lacked too many queues to be believed at once.
struct PendingSnapshot {
  counters::SnapshotHeader header;
  std::vector<counters::QueueReading> readings;
};

inline constexpr std::int64_t kSecondUs = 1'000'000;
inline constexpr std::uint32_t kEnoughReplies = 2;
// Two resets of most queues in this time are another tool's habit, and any step may hide one.
inline constexpr std::int64_t kResetHabitUs = 86'400 * kSecondUs;

// A vanished queue is remembered for kTombstoneUs; at most this many of them, or as many as the
// menu has had queues at a time if those were more, so that a whole menu can vanish and return.
inline constexpr std::size_t kMinTombstones = 4096;
// So long after it vanished a queue that comes back divides its bytes between the days it was away.
inline constexpr std::int64_t kMissingUs = 3'600 * kSecondUs;
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
  // A row's last reading may have been wrong, or replies lack a row's parent: every reading is
  // judged by the general path.
  bool loose_ends = false;

  // What limits the queues have; by Slot::limits. The first is of queues without any.
  std::vector<RowLimits> limits;

  absl::flat_hash_map<std::uint32_t, Dispute> disputes;  // by row
  // By row: what children moved beyond their parent's own counter, still to be taken off it.
  absl::flat_hash_map<std::uint32_t, Owed> debts;
  // Complete replies of this course of the device under these settings, held at kEnoughReplies: so
  // many that lack a queue prove that it was not there.
  std::uint32_t replies = 0;
  // When more than half of the queues were reset at once, the last two times.
  std::int64_t resets_us[2] = {0, 0};
  // By row: when it was read, where that is not `last`.
  absl::flat_hash_map<std::uint32_t, std::shared_ptr<const counters::SnapshotHeader>> read_at;
  std::vector<Tombstone> tombstones;  // in the order they vanished
  std::vector<Away> away;             // of the newest tombstones
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

// Bytes between two observations of one queue, over (from, to]; what the counter showed, for sure.
struct Delta {
  DescriptorIndex descriptor = 0;
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  // The queue has been observed without a gap since then until `to_us`.
  std::int64_t observed_since_us = 0;
  base::TrafficBytes bytes;
};

// Bytes of one queue over (from, to] that are not sure, or not all that passed.
struct Doubt {
  DescriptorIndex descriptor = 0;
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  std::int64_t observed_since_us = 0;
  base::TrafficBytes counted;
  base::TrafficBytes doubt;   // of `counted`: may be none
  base::TrafficBytes unseen;  // beyond `counted`: at most so much
  // Above 0: it counts on no day before that of this instant, open or not.
  std::int64_t late_since_us = 0;
  // Time in which the queue could not be watched, (blind_from, blind_to]; it had been observed
  // without a gap since watched_since until blind_from.
  std::int64_t blind_from_us = 0;
  std::int64_t blind_to_us = 0;
  std::int64_t watched_since_us = 0;
  bool partial = false;  // grades the day as partial, however short
  // Why: what was read before and now, what it may have been and what was counted.
  base::TrafficBytes before;
  base::TrafficBytes now;
  Explanation counted_as = Explanation::kWentOn;
  absl::InlinedVector<std::pair<Explanation, base::TrafficBytes>, 3> possible;
};

// What a snapshot causes.
struct Effects {
  std::vector<Delta> deltas;
  std::vector<Doubt> doubts;
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

// Whose state it is.
struct MenuPlace {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  MenuSettings settings;
};

struct StageInput {
  // Indices are of the state's dictionary or of `added`.
  const counters::Snapshot* snapshot = nullptr;
  const counters::AddedDescriptors* added = nullptr;
  std::int64_t received_us = 0;  // 0: it was not agreed what time it was
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
  counters::SnapshotHeader header;     // attribution time corrected
  bool pending = false;                // stored, and decided by the next one
  bool renumbered = false;             // the new state has other descriptor indices than the old
  std::vector<std::int64_t> steps_us;  // attribution times of the merged steps that were taken in
  Effects effects;

  // Either the rows that moved, or the whole new state.
  struct Moved {
    std::uint32_t row = 0;
    counters::QueueReading reading;
  };
  std::vector<Moved> moved;
  std::vector<std::pair<std::uint32_t, Owed>> debts;
  std::int64_t elapsed_us = 0;  // of the rows that moved
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

// Finds each queue's parent by name, and its limits. Part of taking in a snapshot and of reading a
// checkpoint.
void LinkParents(MenuState& state);
void LinkLimits(MenuState& state);
// Sets `loose_ends` and `away`. Part of the same.
void NoteLooseEnds(MenuState& state);
// Those among the first `stones` tombstones that may be away at the time.
std::vector<Away> AwayAt(const MenuState& state, std::size_t stones, std::int64_t at_us);

// Takes what is owed off a parent's bytes. What is left goes on being owed; what comes out doubtful
// becomes a doubt, and leaves nothing in the delta.
void PayDelta(Delta& delta, Owed& owed, std::vector<Doubt>& doubts);

// What the open disputes of the state come to as things stand: the same figures as if each ended
// now. Changes nothing; shown until they are decided.
std::vector<Doubt> OpenDoubts(const MenuState& state, const MenuPlace& place);

// Takes a pending snapshot as true, and ends every dispute with what is known: the device will say
// no more.
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
