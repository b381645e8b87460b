#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "common/counters/snapshot.h"

// Which queue of one reading of a menu is which queue of the next. Pure.
namespace netsentinel::counters {

inline constexpr std::uint32_t kNoMatch = 0xFFFFFFFF;

// One side's queue. `descriptor` is null for a hole that matches nothing.
struct MatchRow {
  const QueueDescriptor* descriptor = nullptr;
  QueueReading reading;
  // What this queue moved is disputed: it is not renamed.
  bool held = false;
  // It was not there, or was not the same queue, in the reading before. For merging alone.
  bool young = false;
};

enum class MatchKind : std::uint8_t {
  kNone = 0,
  kContinues = 1,  // same `.id` and name
  kRenamed = 2,    // same `.id`, static, no dispute, no witness fell
  kRecreated = 3,  // same name only
};

struct Match {
  std::uint32_t before = kNoMatch;
  MatchKind kind = MatchKind::kNone;
};

struct Matches {
  std::vector<Match> now;  // one per row of `now`
  // One per row of `before`: the row of `now`, or kNoMatch.
  std::vector<std::uint32_t> before;
};

// No byte counter and not the packet sum of `now` is below `before`'s.
constexpr bool NoWitnessFell(const QueueReading& before, const QueueReading& now) {
  return now.upload >= before.upload && now.download >= before.download &&
         now.packets >= before.packets;
}

constexpr bool ByteCounterFell(const QueueReading& before, const QueueReading& now) {
  return now.upload < before.upload || now.download < before.download;
}

// Within one boot of the router: continues, then renamed, then re-created, each row once. Two rows
// of one name on a side: the first takes part in the matching by name.
Matches MatchWithinBoot(absl::Span<const MatchRow> before, absl::Span<const MatchRow> now);

// Across a reboot `.id`s mean nothing: only names match (kContinues).
Matches MatchAcrossBoots(absl::Span<const MatchRow> before, absl::Span<const MatchRow> now);

// How long after `before` the snapshot `now` was read, in microseconds, never negative: by
// CLOCK_BOOTTIME and the host's pauses within one boot of the collector's host, else by attribution
// time.
std::int64_t ElapsedUs(const SnapshotHeader& before, const SnapshotHeader& now);

// What times of a router and its collector may differ by: 3 s, both requests and 200 ppm.
std::int64_t SlackUs(const SnapshotHeader& before, const SnapshotHeader& now);

// What can lie between two snapshots of one device, as its uptime tells. One at least is true.
struct Lineage {
  bool same = false;      // one run of the router: its counters went on
  bool restart = false;   // the router restarted in between
  bool timeline = false;  // `now` is of another course: a restored image, a clone, a twin

  bool operator==(const Lineage&) const = default;
  bool only_same() const { return same && !restart && !timeline; }
  bool restart_proven() const { return restart && !same && !timeline; }
};

// Reads the uptime in both directions. It agrees with the elapsed time (within the slack): one run;
// or a restart as well, when the router has been up no longer than elapsed. It lags: a restart if
// the boot can lie in between, else another timeline (both, where elapsed is told by stamps alone;
// one run as well, where the uptime did not fall).
// It ran ahead: another timeline; one run as well, unless the collector could tell that its own
// host had not been paused. Within one API session: one run, always.
Lineage LineageOf(const SnapshotHeader& before, const SnapshotHeader& now);

// True when a snapshot of `live` queues of which the next lacks `missing` must be confirmed:
// more than 3 and more than a tenth.
constexpr bool LacksTooMany(std::size_t live, std::size_t missing) {
  return missing > 3 && missing * 10 > live;
}

}  // namespace netsentinel::counters
