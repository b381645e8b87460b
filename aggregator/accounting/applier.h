#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"

#include "aggregator/accounting/menu_state.h"
#include "common/counters/matching.h"

namespace netsentinel::accounting {

// The general path: changes a MenuState by whole snapshots and by steps of merged ones, and writes
// down what that caused. Used by Stage on a copy of the state.
class Applier {
 public:
  struct Context {
    base::RouterId router;
    counters::Menu menu = counters::Menu::kSimple;
    MenuSettings settings;
    const counters::SnapshotHeader* replaces = nullptr;
  };

  Applier(MenuState& state, const Context& context, Effects& effects)
      : state_(state), context_(context), effects_(effects) {}

  // True when `now`, within the same boot, lacks too many of the state's queues to be believed.
  bool LacksTooMany(const counters::SnapshotHeader& now,
                    const std::vector<counters::QueueReading>& readings) const;
  // Rows that the pending snapshot lacks and this one has again, unchanged in `.id` and name.
  absl::flat_hash_set<std::uint32_t> RowsBackAgain(
      const std::vector<counters::QueueReading>& readings) const;

  // Takes in a whole menu. Rows in `keep` are not read in it, yet do not vanish.
  void ApplyFull(const counters::SnapshotHeader& now,
                 const std::vector<counters::QueueReading>& readings,
                 const absl::flat_hash_set<std::uint32_t>& keep);
  // Takes in the queues whose life changed at a snapshot that was merged away; `now` is the step's
  // header with the rules of time. kInvalidArgument, and a state to throw away, when that leaves
  // two queues with one `.id`.
  absl::Status ApplyStep(const counters::SnapshotHeader& now, const counters::MergedStep& step);
  // Takes in the pending snapshot; rows in `keep` are back since.
  void ApplyPending(std::int64_t at_us, const absl::flat_hash_set<std::uint32_t>& keep);
  void ResolveAll();
  void MarkUnseen(const Successor& successor);
  void AddEvent(std::int64_t at_us, absl::string_view kind, absl::string_view queue,
                absl::string_view detail);
  // Forgets descriptors that nothing refers to any more.
  void DropUnusedDescriptors();
  // Descriptors that were added with this snapshot and may turn out unused.
  void NoteCandidate(DescriptorIndex descriptor) { unused_.push_back(descriptor); }

 private:
  // What a row's counter said this time.
  enum class Known : std::uint8_t { kUnread, kCounted, kBaseline, kGone };
  struct Part {
    std::uint32_t row = 0;
    Delta delta;
  };
  // What the time of a part was: watched as part of a longer stretch, watched from its own begin,
  // not watched, or not even sure to have carried the bytes.
  enum class PartKind : std::uint8_t { kOnward, kFromZero, kBlind, kImplausible };
  // A rule that counts from zero, about to be tested by the gate.
  struct FromZero {
    EpochReason reason = EpochReason::kBorn;
    std::int64_t from_us = 0;
    std::int64_t to_us = 0;
    std::int64_t existed_us = 0;
    const counters::QueueReading* before = nullptr;  // null when there is none to compare with
    std::int64_t before_us = 0;
  };

  static bool StartedAfter(const counters::SnapshotHeader& other,
                           const counters::SnapshotHeader& now);
  void Begin(const counters::SnapshotHeader& now);
  void ApplyRows(const std::vector<counters::QueueReading>& readings,
                 const counters::Matches& matches);
  void Finish();
  counters::Matches MatchRows(const std::vector<counters::QueueReading>& readings,
                              bool across_boots) const;
  // The same with the rows alone that the readings name: the others match nothing.
  counters::Matches MatchNamed(const std::vector<counters::QueueReading>& readings) const;
  bool TwoRowsOfOneId(const std::vector<counters::QueueReading>& readings) const;

  void ReadOnward(std::uint32_t row, const counters::QueueReading& reading);
  void ExplainHold(std::uint32_t row, const counters::QueueReading& reading);
  void StartHold(std::uint32_t row, const counters::QueueReading& before, std::int64_t before_us,
                 const counters::QueueReading& held, std::int64_t existed_us);
  void ResolveAsReset(std::uint32_t row);
  void Recreate(std::uint32_t row, const counters::QueueReading& reading);
  void RestartWithBoot(std::uint32_t row, const counters::QueueReading& reading);
  void Appear(const counters::QueueReading& reading);
  bool ComeBack(const counters::QueueReading& reading);
  // The tombstone with the reading's `.id`, taken away: it is back, or the `.id` is another's now.
  std::optional<Tombstone> TakeStone(const counters::QueueReading& reading);
  void Vanish(std::uint32_t row);

  // True when the bytes were counted from zero and a new epoch began.
  bool CountFromZero(std::uint32_t row, const counters::QueueReading& reading,
                     const FromZero& rule);
  void AddPart(std::uint32_t row, std::int64_t from_us, std::int64_t to_us,
               base::TrafficBytes bytes, PartKind kind);
  void AddBlind(std::uint32_t row, std::int64_t from_us, std::int64_t to_us,
                base::TrafficBytes extra);
  // Bytes that a counter showed and that were not counted.
  void AddRefused(std::uint32_t row, std::int64_t at_us, base::TrafficBytes bytes);
  void AddEpoch(std::uint32_t row, std::int64_t start_us, EpochReason reason);
  void AddHoldRecord(std::uint32_t row, const Hold& hold, bool resolved);
  void Settle();  // parents' residue, then the parts become deltas
  void SettleParents();
  void TrimTombstones();

  std::uint32_t NewRow(const counters::QueueReading& reading);
  const counters::QueueDescriptor& DescriptorOf(std::uint32_t row) const;
  const counters::SnapshotHeader& ReadHeader(std::uint32_t row) const;
  std::int64_t ReadAt(std::uint32_t row) const { return ReadHeader(row).attribution_us; }
  // The longest that a counter restarted after the row's last reading can have existed.
  std::int64_t Existed(std::uint32_t row) const;
  bool PassesGate(const base::TrafficBytes& bytes, std::int64_t existed_us) const;
  std::uint64_t RateBps(std::uint32_t row, bool upload) const;
  bool CountsNothing(std::uint32_t row) const;

  MenuState& state_;
  const Context& context_;
  Effects& effects_;

  // Of the snapshot being applied.
  counters::SnapshotHeader now_;
  bool first_ = false;  // nothing was known before
  bool rebooted_ = false;
  std::int64_t boot_us_ = 0;
  std::vector<Part> parts_;
  std::vector<Known> known_;                  // by row
  std::vector<std::uint32_t> parent_before_;  // by row
  std::vector<std::uint32_t> freed_;
  std::vector<std::pair<std::uint32_t, counters::QueueReading>> writes_;
  // Of all that this Applier applied.
  std::vector<DescriptorIndex> unused_;
  std::optional<counters::SnapshotHeader> last_step_;
  // Where in `tombstones` a `.id` stands; made when first asked for.
  std::optional<absl::flat_hash_map<std::uint64_t, std::size_t>> stones_by_id_;
};

// The most bytes a line of `bps` carries in the time, held at 2^64-1.
std::uint64_t LineBytes(std::uint64_t bps, std::int64_t us);

}  // namespace netsentinel::accounting
