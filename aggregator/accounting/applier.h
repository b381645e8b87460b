#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "aggregator/accounting/menu_state.h"
#include "common/counters/matching.h"

namespace netsentinel::accounting {

// `at`, moved into [from, to]; `to` when there is no such interval.
inline std::int64_t Between(std::int64_t from, std::int64_t at, std::int64_t to) {
  return std::min(std::max(from, at), to);
}

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
      : state_(state), context_(context), effects_(effects) {
    if (state_.limits.empty()) state_.limits.emplace_back();
  }

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
  // Takes the pending snapshot as true and ends every dispute with what is known.
  void ResolveAll();
  // Writes down what the open disputes come to as things stand.
  void NoteOpen();
  void MarkUnseen(const Successor& successor);
  void AddEvent(std::int64_t at_us, absl::string_view kind, absl::string_view queue,
                absl::string_view detail);
  // Forgets descriptors that nothing refers to any more.
  void DropUnusedDescriptors();
  // Descriptors that were added with this snapshot and may turn out unused.
  void NoteCandidate(DescriptorIndex descriptor) { unused_.push_back(descriptor); }

 private:
  using Header = std::shared_ptr<const counters::SnapshotHeader>;
  using DescriptorsByName =
      absl::flat_hash_map<absl::string_view, const counters::QueueDescriptor*>;

  // In parent_before_: the row was not there.
  static constexpr std::uint32_t kNotThere = kNoRow - 1;

  // What a row's counter said this time.
  enum class Known : std::uint8_t { kUnread, kCounted, kBaseline, kGone };
  // What the time of a part was: watched as part of a longer stretch, watched from its own begin,
  // or not watched.
  enum class PartKind : std::uint8_t { kOnward, kFromZero, kBlind };
  // Bytes of a row before what is its children's is taken off; its parents' hold them as well.
  struct Part {
    std::uint32_t row = 0;
    Delta delta;
  };
  struct DoubtfulPart {
    std::uint32_t row = 0;
    Doubt doubt;
    Figures raw;
    Owed children;  // of the whole time of the doubt
    bool outlived_parent = false;
    base::TrafficBytes taken_early;
    std::vector<std::uint32_t> parents;  // besides those at the step's ends
    bool vanishing = false;              // of a queue with its last words
    bool late = false;      // holds bytes of steps in which its parent's own are told already
    bool no_child = false;  // is told under another name too: not its parent's a second time
  };
  // Time that is not watched, and what passed in it.
  struct Unwatched {
    std::int64_t from_us = 0;
    std::int64_t to_us = 0;
  };

  static bool StartedAfter(const counters::SnapshotHeader& other,
                           const counters::SnapshotHeader& now);
  void Begin(const counters::SnapshotHeader& now);
  void ApplyRows(const std::vector<counters::QueueReading>& readings,
                 const counters::Matches& matches);
  void NoteOldName(std::uint32_t row, const counters::QueueReading& reading);
  void ApplyMatched(const counters::QueueReading& reading, const counters::Match& match);
  void Finish();
  counters::Matches MatchRows(const std::vector<counters::QueueReading>& readings,
                              bool across_boots) const;
  // The same with the rows alone that the readings name: the others match nothing.
  counters::Matches MatchNamed(const std::vector<counters::QueueReading>& readings) const;
  bool IsDisputed(std::uint32_t row) const;
  bool TwoRowsOfOneId(const std::vector<counters::QueueReading>& readings) const;

  // --- the rules of one row -------------------------------------------------------------------
  void ReadOnward(std::uint32_t row, Observation now);
  void Recreate(std::uint32_t row, const counters::QueueReading& reading);
  void RestartWithBoot(std::uint32_t row, const counters::QueueReading& reading);
  void TakeBaseline(std::uint32_t row, const counters::QueueReading& reading);
  void Appear(const counters::QueueReading& reading);
  bool ComeBack(const counters::QueueReading& reading);
  // A static queue under the `.id` of another static one that is gone: it may be that one renamed.
  bool MayBeAnotherRenamed(const counters::QueueReading& reading);
  void AppearFromZero(std::uint32_t row, const counters::QueueReading& reading,
                      const counters::SnapshotHeader& before);
  // The tombstone with the reading's `.id`, taken away: it is back, or the `.id` is another's now.
  std::optional<Tombstone> TakeStone(const counters::QueueReading& reading);
  bool IsNamedAsParent(std::uint32_t row);
  void Vanish(std::uint32_t row);

  // --- disputes -------------------------------------------------------------------------------
  Observation SeenBefore(std::uint32_t row);
  Observation SeenNow(std::uint32_t row, const counters::QueueReading& reading, bool renamed);
  RowLimits LimitsNow(std::uint32_t row, const counters::QueueReading& reading);
  void Contest(std::uint32_t row, Observation before, Observation now);
  Verdict JudgeRow(std::uint32_t row, const Dispute& dispute) const;
  bool DecidesNow(const Dispute& dispute, const Verdict& verdict) const;
  // Ends the dispute with what is known, if there is one.
  void EndDispute(std::uint32_t row);
  void CloseDispute(std::uint32_t row, const Verdict& verdict);
  void TellOfDispute(std::uint32_t row, const Dispute& dispute, const Verdict& verdict);
  DoubtfulPart PartOf(std::uint32_t row, const Dispute& dispute, const Verdict& verdict) const;
  void EndAllDisputes();
  void NoteHabit();
  void TellOfPackets(std::uint32_t row);

  // --- writing down ---------------------------------------------------------------------------
  void AddPart(std::uint32_t row, std::int64_t from_us, std::int64_t to_us,
               base::TrafficBytes bytes, PartKind kind);
  void AddDoubtful(DoubtfulPart part);
  // What passed unseen in a time, with nothing counted.
  void AddUnseen(std::uint32_t row, const Unwatched& time, base::TrafficBytes unseen,
                 Explanation why);
  // Bytes counted from zero, and what passed unseen beside them.
  void AddFromZero(std::uint32_t row, const counters::QueueReading& before,
                   const counters::QueueReading& now, const Doubt& times,
                   base::TrafficBytes unseen);
  // A counter that fits no explanation: a new baseline.
  void Refuse(std::uint32_t row, const counters::QueueReading& reading, std::int64_t from_us,
              base::TrafficBytes unseen, absl::string_view why);
  void AddEpoch(std::uint32_t row, std::int64_t start_us, EpochReason reason);
  void AddHoldRecord(std::uint32_t row, const Dispute& dispute, bool resolved);

  // --- parents --------------------------------------------------------------------------------
  void AddToParents(std::uint32_t row, DescriptorIndex descriptor, Owed moved,
                    absl::Span<const std::uint32_t> earlier);
  void AddToParents(const DoubtfulPart& part);
  void AddTo(std::uint32_t parent, const Owed& moved);
  // The parent with that name that replies lack, if any.
  Tombstone* StoneNamed(absl::string_view name);
  void NoteParents();
  void AddAway();
  void Settle();  // parents' own bytes, then the parts become deltas
  void SettleParents();
  void HoldParentsBack();
  void CloseWaiting();
  void TakeEarly(std::uint32_t parent, Owed& children);
  void PayDoubtful(DoubtfulPart& part);
  void KeepDebts();
  void TrimTombstones();

  std::uint32_t NewRow(const counters::QueueReading& reading);
  const counters::QueueDescriptor& DescriptorOf(std::uint32_t row) const;
  const counters::SnapshotHeader& ReadHeader(std::uint32_t row) const;
  Header ReadHeaderShared(std::uint32_t row);
  Header NowShared();
  std::int64_t ReadAt(std::uint32_t row) const { return ReadHeader(row).attribution_us; }
  std::int64_t UptimeUs() const {
    return static_cast<std::int64_t>(now_.router_uptime_s) * kSecondUs;
  }
  Rate Line() const;
  const RowLimits& LimitsOf(std::uint32_t row) const;
  // The limit that held until the row's last reading.
  Rate RateOf(std::uint32_t row) const;
  // The limit that held from there to the reading.
  Rate RateTo(std::uint32_t row, const counters::QueueReading& reading) {
    return RateBetween(LimitsOf(row), LimitsNow(row, reading), Line());
  }
  base::TrafficBytes MostSince(const counters::SnapshotHeader& before, const Rate& rate) const;
  std::int64_t ReachSince(const counters::SnapshotHeader& before) const;
  bool CountsNothing(std::uint32_t row) const;
  bool IsParent(std::uint32_t row) const {
    return row < has_children_.size() && has_children_[row];
  }

  MenuState& state_;
  const Context& context_;
  Effects& effects_;

  // Of the snapshot being applied.
  counters::SnapshotHeader now_;
  Header now_shared_;
  Header last_shared_;
  bool first_ = false;  // nothing was known before
  counters::Lineage lineage_;
  bool rebooted_ = false;  // a restart, or a device that started after the one it replaces
  bool habit_ = false;     // another tool resets the counters
  std::int64_t boot_us_ = 0;
  std::size_t rows_above_zero_ = 0;
  std::size_t rows_reset_ = 0;
  bool outer_may_differ_ = false;
  const std::vector<counters::QueueReading>* readings_ = nullptr;
  // `.id`s of static rows that no reading matched; made when first asked for.
  std::optional<absl::flat_hash_set<std::uint64_t>> unmatched_ids_;
  std::optional<DescriptorsByName> shown_by_name_;
  std::vector<Part> parts_;
  std::vector<DoubtfulPart> doubtful_;
  // By row: what children moved, to be taken off the row's own bytes.
  absl::flat_hash_map<std::uint32_t, Owed> owed_;
  // Of rows with children that went on plainly: the reading before.
  absl::flat_hash_map<std::uint32_t, Observation> parents_before_;
  std::vector<Known> known_;                  // by row
  std::vector<std::uint32_t> parent_before_;  // by row
  std::vector<bool> has_children_;            // by row
  std::vector<std::uint32_t> freed_;
  // Of parents that vanished in this step: where their tombstones stand.
  absl::flat_hash_map<std::uint32_t, std::size_t> stones_of_;
  std::size_t stones_before_ = 0;
  // That queues name as their parent; made when first asked for.
  std::optional<absl::flat_hash_set<absl::string_view>> parent_names_;
  absl::flat_hash_set<std::uint32_t> parents_back_;  // rows of parents that came back
  absl::flat_hash_set<std::uint32_t> reparented_;    // rows that name another parent now
  // Where parents stand in `tombstones`, by name; made when first asked for.
  std::optional<absl::flat_hash_map<std::string, std::size_t>> parent_stones_;
  std::vector<std::pair<std::uint32_t, counters::QueueReading>> writes_;
  // Of all that this Applier applied.
  std::vector<DescriptorIndex> unused_;
  std::optional<counters::SnapshotHeader> last_step_;
  // Where in `tombstones` a `.id` stands; made when first asked for.
  std::optional<absl::flat_hash_map<std::uint64_t, std::size_t>> stones_by_id_;
};

}  // namespace netsentinel::accounting
