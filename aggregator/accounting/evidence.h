#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"

#include "common/base/bytes.h"
#include "common/counters/snapshot.h"

// What the step between two readings of one queue may have been, and what that leaves certain.
// Pure; docs/accounting.md states the rules.
namespace netsentinel::accounting {

// What a counter that did not fall moved between two readings.
inline base::TrafficBytes Difference(const counters::QueueReading& before,
                                     const counters::QueueReading& now) {
  return {now.upload - before.upload, now.download - before.download};
}

// One thing that can have happened between two readings. Values are stored: never renumber.
enum class Explanation : std::uint8_t {
  kWentOn = 1,        // the counter only grew
  kReset = 2,         // somebody reset the counter
  kRestart = 3,       // the router restarted
  kMadeAnew = 4,      // the queue was removed and made again, or made since
  kMissing = 5,       // it existed, but a reply lacked it
  kBadReading = 6,    // the reading was wrong
  kSteppedBack = 7,   // the router took back a little of the counter
  kTimeline = 8,      // the device runs another course: a restored image, a clone
  kCeilingWrong = 9,  // more passed than the ceiling allows, reading after reading
  kRefused = 10,      // nothing fits: the counter is a new baseline
  kUnread = 11,       // the queue was there and nobody read it to its end
};
inline constexpr int kExplanations = 11;

// The word of an explanation: "went on", "reset", …
const char* ExplanationName(Explanation explanation);

// A day's rows hold usage with three figures: sure <= counted <= upper. `visible` is the most that
// counters can have shown: upper is that and what passed unseen.
struct Figures {
  base::TrafficBytes sure;
  base::TrafficBytes counted;
  base::TrafficBytes visible;
  base::TrafficBytes upper;

  bool operator==(const Figures&) const = default;
  bool exact() const { return sure == counted && counted == upper; }
  Figures& operator+=(const Figures& other);
};

// a - b, not below 0, each direction apart.
base::TrafficBytes Less(const base::TrafficBytes& a, const base::TrafficBytes& b);
base::TrafficBytes Least(const base::TrafficBytes& a, const base::TrafficBytes& b);
base::TrafficBytes Most(const base::TrafficBytes& a, const base::TrafficBytes& b);

// bit/s in each direction.
struct Rate {
  std::uint64_t upload = 0;
  std::uint64_t download = 0;

  bool operator==(const Rate&) const = default;
};

// The limits of a queue at one reading.
struct RowLimits {
  Rate own;                  // 0: the queue has no limit of its own
  Rate outer;                // the nearest from its parent up; 0: none but the line's
  std::uint64_t parent = 0;  // stands for the parent's name

  bool operator==(const RowLimits&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const RowLimits& l) {
    return H::combine(std::move(state), l.own.upload, l.own.download, l.outer.upload,
                      l.outer.download, l.parent);
  }
};

// A reading of a queue while its step is disputed.
struct Observation {
  counters::QueueReading reading;
  std::shared_ptr<const counters::SnapshotHeader> header;
  RowLimits limits;
  // What the step to this reading may have been besides, as the whole snapshot tells.
  bool may_restart = false;
  bool may_timeline = false;
  // The queue's `.id` went on under another name, target or parent.
  bool renamed = false;
  // It was decided to be a good reading, while the queue waits for something else.
  bool good = false;
};

// The last step of a queue that was explained in one way and moved bytes; none: us is 0.
struct LastRate {
  std::uint64_t bytes = 0;  // both directions
  std::uint64_t us = 0;
};

// What is judged: the last undisputed reading and all since. At most kMostDisputed + 1.
struct JudgeInput {
  absl::Span<const Observation> seen;
  Rate line;
  LastRate rate;
  // Another tool resets the counters of this device: any step may hide a reset.
  bool tool_resets = false;
  // seen[0] is the first reading of its queue, or may have been wrong itself.
  bool first_is_first = false;
  bool first_may_be_bad = false;
};

// How one step of the counted course was explained.
struct CountedStep {
  std::size_t from = 0;  // of JudgeInput::seen
  std::size_t to = 0;
  Explanation explanation = Explanation::kWentOn;
  base::TrafficBytes bytes;
};

// Bytes that one explanation would count, where it is possible.
struct Stake {
  bool possible = false;
  base::TrafficBytes bytes;
};

struct Verdict {
  Figures figures;  // of all courses that are possible, up to the newest reading
  // The newest reading is good and everything before it is decided.
  bool settled = false;
  bool ceiling_wrong = false;
  // The course that is counted, oldest step first; readings left out were bad.
  std::vector<CountedStep> counted;
  // Of the step to the newest reading, by Explanation: what it would count.
  Stake stakes[kExplanations + 1];
};

// A dispute is ended at the latest with this many readings after the undisputed one, or this long
// after the first that was disputed.
inline constexpr std::size_t kMostDisputed = 8;
inline constexpr std::int64_t kMostDisputedUs = 3'600'000'000;

Verdict Judge(const JudgeInput& input);

// True when the step needs no judging: nothing fell, it fits the ceiling, and zeros do not follow
// what was none.
bool StepIsPlain(const Observation& before, const Observation& now, const Rate& line);

// --- ceilings -----------------------------------------------------------------------------------

// The longest that traffic between two readings can have taken: from the begin of the earlier
// request to the end of the later one, with what clocks may differ by.
std::int64_t ReachUs(const counters::SnapshotHeader& before, const counters::SnapshotHeader& now);

// The most bytes that pass a limit in the time: limit x (time + 10 s of bucket) + 2 %, held at
// kMaxStoredBytes.
std::uint64_t CeilingBytes(std::uint64_t bps, std::int64_t reach_us);
base::TrafficBytes CeilingBytes(const Rate& rate, std::int64_t reach_us);

// The limit that held from one reading to the other: the queue's own where it and the parent are
// the same at both, else the nearest limited parent's, else the line's.
Rate RateBetween(const RowLimits& before, const RowLimits& now, const Rate& line);
base::TrafficBytes CeilingBetween(const Observation& before, const Observation& now,
                                  const Rate& line);

// The elapsed time, or what the router's uptime says where that ran ahead of it.
std::int64_t LongestElapsedUs(const counters::SnapshotHeader& before,
                              const counters::SnapshotHeader& now);

inline bool Fits(const base::TrafficBytes& bytes, const base::TrafficBytes& most) {
  return bytes.upload <= most.upload && bytes.download <= most.download;
}

inline base::TrafficBytes BytesOf(const counters::QueueReading& reading) {
  return {reading.upload, reading.download};
}

// A witness fell: a byte counter, or the packet sum where it can have carried the bytes beside it.
bool WitnessFell(const counters::QueueReading& before, const counters::QueueReading& now);
// Neither bytes nor packets.
bool ShowsNothing(const counters::QueueReading& reading);
// Every byte counter that fell did so by no more than the larger of 64 KiB and 0.1 %.
bool FellLittle(const counters::QueueReading& before, const counters::QueueReading& now);

}  // namespace netsentinel::accounting
