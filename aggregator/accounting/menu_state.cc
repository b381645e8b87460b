#include "aggregator/accounting/menu_state.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "aggregator/accounting/applier.h"
#include "common/base/status_macros.h"
#include "common/counters/matching.h"

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using counters::QueueReading;
using counters::SnapshotHeader;

// A stamp further ahead of its receipt than this is the receipt's time.
constexpr std::int64_t kWrongClockUs = 60 * kSecondUs;
constexpr std::int64_t kAheadUs = 5 * kSecondUs;
constexpr std::uint32_t kBoundarySkewMs = 1000;
// No spool holds older snapshots than days are kept open for.
constexpr std::int64_t kOldestUs = 40LL * 86'400 * kSecondUs;

// The instant a snapshot counts for: not before the previous one's, not beyond its receipt. While
// it is not agreed what time it is (no receipt) the stamp stands. A previous one that lies well
// beyond the receipt came off a wrong clock, and holds nobody back.
std::int64_t CorrectedTime(std::int64_t stamp, std::int64_t previous_us, std::int64_t received_us) {
  if (received_us == 0) return std::max(stamp, previous_us);
  if (previous_us > received_us + kWrongClockUs) previous_us = 0;
  std::int64_t at = stamp;
  if (stamp > received_us + kWrongClockUs || stamp < received_us - kOldestUs) {
    at = received_us;
  } else {
    at = std::min(stamp, received_us + kAheadUs);
  }
  return std::max(at, previous_us);
}

void CorrectHeader(SnapshotHeader& header, std::int64_t previous_us, std::int64_t received_us) {
  // A reading that came later than this after its boundary is one like any other.
  if (header.at_boundary && header.boundary_skew_ms > kBoundarySkewMs) {
    header.attribution_us += std::int64_t{header.boundary_skew_ms} * 1000;
    header.at_boundary = false;
  }
  const std::int64_t at = CorrectedTime(header.attribution_us, previous_us, received_us);
  if (at != header.attribution_us) header.at_boundary = false;
  header.attribution_us = at;
}

bool QuickPathMayApply(const MenuState& state, const StageInput& input) {
  const counters::Snapshot& snapshot = *input.snapshot;
  return !input.force_general && state.last.has_value() && !state.pending.has_value() &&
         state.disputes.empty() && !state.loose_ends && state.read_at.empty() &&
         snapshot.steps.empty() && input.added->empty() &&
         snapshot.readings.size() == state.live() &&
         snapshot.header.settings_fingerprint == state.last->settings_fingerprint;
}

bool HasHabit(const MenuState& state, std::int64_t now_us) {
  return state.resets_us[0] != 0 && now_us - state.resets_us[0] <= kResetHabitUs;
}

Rate LineOf(const MenuPlace& place) {
  const std::uint64_t bps = place.settings.line_rate_bps;
  return {place.menu == counters::Menu::kTree ? 0 : bps, bps};
}

// The most that queues of each kind of limits can have moved, by Slot::limits.
std::vector<TrafficBytes> Ceilings(const MenuState& state, const Rate& line,
                                   const SnapshotHeader& now) {
  std::vector<TrafficBytes> ceilings;
  ceilings.reserve(state.limits.size());
  const std::int64_t reach = ReachUs(*state.last, now);
  for (const RowLimits& limits : state.limits) {
    ceilings.push_back(CeilingBytes(RateBetween(limits, limits, line), reach));
  }
  return ceilings;
}

// True when every queue goes on, no witness fell and none moved more than it can have; then `moved`
// holds the rows that did move.
bool CompareRows(const MenuState& state, const std::vector<QueueReading>& readings,
                 const std::vector<TrafficBytes>& ceilings, std::vector<Staged::Moved>& moved) {
  std::vector<std::uint64_t> seen((state.rows.size() + 63) / 64);
  const std::uint32_t* row_of = state.row_of.data();
  const std::size_t known = state.row_of.size();
  for (const QueueReading& now : readings) {
    if (now.descriptor >= known) return false;
    const std::uint32_t row = row_of[now.descriptor];
    if (row == kNoRow) return false;
    const std::uint64_t bit = std::uint64_t{1} << (row & 63U);
    if ((seen[row >> 6U] & bit) != 0) return false;
    seen[row >> 6U] |= bit;
    const QueueReading& before = state.rows[row];
    if (!counters::NoWitnessFell(before, now)) return false;
    if (before == now) continue;
    const Slot& slot = state.slots[row];
    const TrafficBytes& most = ceilings[slot.limits];
    if (now.upload - before.upload > most.upload ||
        now.download - before.download > most.download) {
      return false;
    }
    moved.push_back({row, now});
  }
  return true;
}

// Takes the children's bytes, and what is still owed, off the parents among the deltas. What comes
// out doubtful goes to the doubts, and leaves nothing in its delta.
void SettleQuick(const MenuState& state, const Rate& line, Staged& staged,
                 std::vector<Delta>& deltas) {
  std::vector<Owed> owed(state.rows.size());
  std::vector<bool> owes(state.rows.size());
  for (const auto& [row, debt] : state.debts) {
    owed[row] = debt;
    owes[row] = true;
  }
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const std::uint32_t parent = state.slots[staged.moved[i].row].parent;
    if (parent == kNoRow) continue;
    const TrafficBytes& bytes = deltas[i].bytes;
    owed[parent] += {bytes, bytes, bytes, {}};
    owes[parent] = true;
  }
  const std::int64_t reach = ReachUs(*state.last, staged.header);
  for (const Away& away : state.away) {
    if (staged.header.attribution_us > away.until_us) continue;
    owed[away.parent].unseen += CeilingBytes(RateBetween(away.limits, away.limits, line), reach);
    owes[away.parent] = true;
  }
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const std::uint32_t row = staged.moved[i].row;
    if (!owes[row]) continue;
    PayDelta(deltas[i], owed[row], staged.effects.doubts);
  }
  for (std::uint32_t row = 0; row < owes.size(); ++row) {
    if (!owes[row]) continue;
    const auto before = state.debts.find(row);
    const Owed old = before == state.debts.end() ? Owed{} : before->second;
    owed[row].unseen = {};  // what passed unseen passed the parent in the same time
    if (!(old == owed[row])) staged.debts.emplace_back(row, owed[row]);
  }
}

void StageQuick(const MenuState& state, const MenuPlace& place, Staged& staged) {
  std::vector<Delta>& deltas = staged.effects.deltas;
  deltas.reserve(staged.moved.size());
  const std::int64_t from = state.last->attribution_us;
  const std::int64_t to = staged.header.attribution_us;
  staged.elapsed_us = std::max<std::int64_t>(LongestElapsedUs(*state.last, staged.header), 1);
  for (const Staged::Moved& moved : staged.moved) {
    const QueueReading& before = state.rows[moved.row];
    deltas.push_back(
        {before.descriptor,
         from,
         to,
         state.slots[moved.row].since_us,
         {moved.reading.upload - before.upload, moved.reading.download - before.download}});
  }
  if (place.settings.parents == ParentsMode::kResidue) {
    const bool any = state.parents != 0 || !state.debts.empty() || !state.away.empty();
    if (any) SettleQuick(state, LineOf(place), staged, deltas);
  } else if (state.parents != 0) {
    for (std::size_t i = 0; i < deltas.size(); ++i) {
      if (state.slots[staged.moved[i].row].parent != kNoRow) deltas[i].bytes = {};
    }
  }
  std::erase_if(deltas, [](const Delta& delta) { return delta.bytes.zero(); });
}

absl::Status CheckRows(const counters::DescriptorTable& dictionary,
                       const std::vector<QueueReading>& readings) {
  absl::flat_hash_set<std::uint64_t> ids;
  ids.reserve(readings.size());
  for (const QueueReading& reading : readings) {
    const counters::QueueDescriptor* descriptor = dictionary.Find(reading.descriptor);
    if (descriptor == nullptr) {
      return absl::InvalidArgumentError("a reading names a queue that the dictionary lacks");
    }
    if (!ids.insert(descriptor->row_id).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "two readings have the .id *", absl::Hex(descriptor->row_id), ": the reply is damaged"));
    }
  }
  return absl::OkStatus();
}

// The steps' headers with the rules of time: in order, none later than the snapshot itself.
std::vector<SnapshotHeader> StepHeaders(const counters::Snapshot& snapshot,
                                        const SnapshotHeader& corrected, std::int64_t previous_us,
                                        std::int64_t received_us) {
  std::vector<SnapshotHeader> headers;
  for (const counters::MergedStep& step : snapshot.steps) {
    SnapshotHeader& header = headers.emplace_back(step.header);
    CorrectHeader(header, previous_us, received_us);
    header.attribution_us = std::min(header.attribution_us, corrected.attribution_us);
    previous_us = header.attribution_us;
  }
  return headers;
}

bool OneHostAndDevice(const SnapshotHeader& a, const SnapshotHeader& b) {
  return !a.host_boot_id.empty() && a.host_boot_id == b.host_boot_id &&
         a.device.Key() == b.device.Key();
}

// `headers` are those of the steps with the rules of time.
absl::Status CheckSnapshot(const counters::DescriptorTable& dictionary, const MenuState& state,
                           const counters::Snapshot& snapshot,
                           const std::vector<SnapshotHeader>& headers) {
  if (snapshot.readings.size() > counters::kMaxQueues) {
    return absl::InvalidArgumentError("the snapshot has more than 1,000,000 queues");
  }
  const SnapshotHeader* before = state.last.has_value() ? &*state.last : nullptr;
  if (state.pending.has_value()) before = &state.pending->header;
  for (std::size_t i = 0; i < snapshot.steps.size(); ++i) {
    const counters::MergedStep& step = snapshot.steps[i];
    const SnapshotHeader& next =
        i + 1 < snapshot.steps.size() ? snapshot.steps[i + 1].header : snapshot.header;
    if (!TimesAreSane(step.header)) {
      return absl::InvalidArgumentError("a merged step's times are not times");
    }
    if (!OneHostAndDevice(step.header, snapshot.header)) {
      return absl::InvalidArgumentError(
          "a merged step is of another device, or of another boot of the collector's host");
    }
    if (step.header.end_us > next.end_us || step.header.attribution_us > next.attribution_us) {
      return absl::InvalidArgumentError("merged steps are out of order");
    }
    if (before != nullptr && !counters::LineageOf(*before, headers[i]).same) {
      return absl::InvalidArgumentError("a merged step lies across a restart of the router");
    }
    NS_RETURN_IF_ERROR(CheckRows(dictionary, step.readings));
  }
  return CheckRows(dictionary, snapshot.readings);
}

// Brings the copy up to the snapshot.
absl::Status ApplySnapshot(MenuState& state, const StageInput& input,
                           const std::vector<SnapshotHeader>& step_headers, Staged& staged) {
  const counters::Snapshot& snapshot = *input.snapshot;
  const Applier::Context context{snapshot.router, snapshot.menu, input.settings, input.replaces};
  Applier applier(state, context, staged.effects);
  for (const auto& [index, descriptor] : *input.added) applier.NoteCandidate(index);

  if (state.pending.has_value()) {
    absl::flat_hash_set<std::uint32_t> back;
    if (counters::LineageOf(state.pending->header, staged.header).same) {
      back = applier.RowsBackAgain(snapshot.steps.empty() ? snapshot.readings
                                                          : snapshot.steps.front().readings);
    }
    applier.ApplyPending(staged.header.attribution_us, back);
  }
  // Steps tell what happened since the last snapshot; where none is known they tell nothing.
  const std::size_t steps = state.last.has_value() ? snapshot.steps.size() : 0;
  std::size_t looked_at = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    // Steps may add rows and take none away: what is bound to be too much is refused before the
    // work.
    if (looked_at + (steps - i) * state.rows.size() > kMaxStepRows) {
      return absl::InvalidArgumentError(
          absl::StrCat("the snapshot has ", steps, " merged steps, too many for ", state.live(),
                       " queues: poll less often, or shorten the outage"));
    }
    looked_at += state.rows.size();
    NS_RETURN_IF_ERROR(applier.ApplyStep(step_headers[i], snapshot.steps[i]));
    staged.steps_us.push_back(step_headers[i].attribution_us);
  }
  if (applier.LacksTooMany(staged.header, snapshot.readings)) {
    state.pending = PendingSnapshot{staged.header, snapshot.readings};
    staged.pending = true;
    applier.AddEvent(staged.header.attribution_us, "snapshot_pending", "",
                     absl::StrCat("the reply has ", snapshot.readings.size(), " queues where ",
                                  state.live(), " were known; the next reply decides"));
  } else {
    applier.ApplyFull(staged.header, snapshot.readings, {});
  }
  applier.DropUnusedDescriptors();
  return absl::OkStatus();
}

// Decided by what is in use alone, so that a state that was read back does the same.
bool RenumberIfSparse(MenuState& state) {
  const std::size_t numbers = state.dictionary.next_index();
  if (numbers <= kSpareNumbers + kNumbersPerQueue * state.live()) return false;
  std::vector<DescriptorIndex> used;
  for (const QueueReading& row : state.rows) {
    if (row.descriptor != kNoRow) used.push_back(row.descriptor);
  }
  for (const Tombstone& stone : state.tombstones) used.push_back(stone.descriptor);
  if (state.pending.has_value()) {
    for (const QueueReading& r : state.pending->readings) used.push_back(r.descriptor);
  }
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  if (numbers <= kSpareNumbers + kNumbersPerQueue * used.size()) return false;

  std::vector<DescriptorIndex> now(numbers, kNoRow);
  for (std::size_t i = 0; i < used.size(); ++i) now[used[i]] = static_cast<DescriptorIndex>(i);
  state.dictionary.Renumber(used);
  state.row_of.assign(used.size(), kNoRow);
  for (std::uint32_t row = 0; row < state.rows.size(); ++row) {
    DescriptorIndex& descriptor = state.rows[row].descriptor;
    if (descriptor == kNoRow) continue;
    descriptor = now[descriptor];
    state.row_of[descriptor] = row;
  }
  for (auto& [row, dispute] : state.disputes) {
    for (Observation& seen : dispute.seen) seen.reading.descriptor = state.rows[row].descriptor;
  }
  for (Tombstone& stone : state.tombstones) {
    stone.descriptor = stone.reading.descriptor = now[stone.descriptor];
  }
  if (state.pending.has_value()) {
    for (QueueReading& r : state.pending->readings) r.descriptor = now[r.descriptor];
  }
  return true;
}

void NoteClock(const counters::Snapshot& snapshot, const SnapshotHeader& corrected,
               Effects& effects) {
  const std::int64_t moved = snapshot.header.attribution_us - corrected.attribution_us;
  if (moved >= -kAheadUs && moved <= kAheadUs) return;
  effects.events.push_back(
      {corrected.attribution_us, snapshot.router, snapshot.menu, "", "clock_wrong",
       absl::StrCat("the collector's stamp was ", moved > 0 ? "ahead" : "behind", " by ",
                    (moved > 0 ? moved : -moved) / 1000, " ms and was corrected")});
}

using SharedHeader = std::shared_ptr<const SnapshotHeader>;

void ComeBack(SharedHeader& header, std::int64_t at_us) {
  if (header == nullptr || header->attribution_us <= at_us) return;
  auto earlier = std::make_shared<SnapshotHeader>(*header);
  earlier->attribution_us = at_us;
  header = std::move(earlier);
}

// What was taken in by a clock that ran ahead is as old as the snapshot that shows it: no step ends
// before it begins.
void ComeBack(MenuState& state, std::int64_t at_us) {
  const auto hold = [at_us](std::int64_t& us) { us = std::min(us, at_us); };
  if (state.last.has_value()) hold(state.last->attribution_us);
  if (state.pending.has_value()) hold(state.pending->header.attribution_us);
  for (Slot& slot : state.slots) hold(slot.since_us);
  for (std::int64_t& us : state.resets_us) hold(us);
  for (auto& [row, header] : state.read_at) ComeBack(header, at_us);
  for (auto& [row, dispute] : state.disputes) {
    for (Observation& seen : dispute.seen) ComeBack(seen.header, at_us);
  }
  for (Tombstone& tombstone : state.tombstones) {
    ComeBack(tombstone.header, at_us);
    hold(tombstone.read_us);
    hold(tombstone.vanished_us);
  }
}

// A menu that was just met has grown by doubling, and stays for months.
template <typename T>
void GiveBackSpareRoom(std::vector<T>& items) {
  if (items.capacity() > items.size() + items.size() / 8) items.shrink_to_fit();
}

}  // namespace

bool TimesAreSane(const SnapshotHeader& header) {
  const bool in_range = header.attribution_us >= 0 && header.attribution_us <= kLatestUs &&
                        header.begin_us >= 0 && header.end_us <= kLatestUs;
  return in_range && header.begin_us <= header.end_us && header.host_paused_us >= 0 &&
         header.host_paused_us <= kLatestUs &&
         header.router_uptime_s <= static_cast<std::uint64_t>(kLatestUs / kSecondUs);
}

absl::StatusOr<Staged> Stage(const MenuState& state, const StageInput& input) {
  const counters::Snapshot& snapshot = *input.snapshot;
  if (!TimesAreSane(snapshot.header)) {
    return absl::InvalidArgumentError(
        "the snapshot's times are not times: begin after end, or outside 1970 to 9999");
  }
  Staged staged;
  staged.header = snapshot.header;
  const std::int64_t previous_us = std::max(state.newest_us(), input.not_before_us);
  CorrectHeader(staged.header, previous_us, input.received_us);
  NoteClock(snapshot, staged.header, staged.effects);

  const MenuPlace place{snapshot.router, snapshot.menu, input.settings};
  const bool comes_back = staged.header.attribution_us < previous_us;
  if (!comes_back && QuickPathMayApply(state, input) &&
      !HasHabit(state, staged.header.attribution_us) &&
      counters::LineageOf(*state.last, staged.header).only_same()) {
    const std::vector<TrafficBytes> ceilings = Ceilings(state, LineOf(place), staged.header);
    if (CompareRows(state, snapshot.readings, ceilings, staged.moved)) {
      StageQuick(state, place, staged);
      return staged;
    }
    staged.moved.clear();
  }

  auto next = std::make_unique<MenuState>(state);
  if (comes_back) ComeBack(*next, staged.header.attribution_us);
  for (const auto& [index, descriptor] : *input.added) {
    if (!next->dictionary.InsertAt(index, descriptor)) {
      return absl::InvalidArgumentError("a dictionary entry is numbered out of turn");
    }
  }
  next->row_of.resize(next->dictionary.next_index(), kNoRow);
  const std::vector<SnapshotHeader> steps =
      StepHeaders(snapshot, staged.header, previous_us, input.received_us);
  NS_RETURN_IF_ERROR(CheckSnapshot(next->dictionary, state, snapshot, steps));
  NS_RETURN_IF_ERROR(ApplySnapshot(*next, input, steps, staged));
  NoteLooseEnds(*next);
  staged.renumbered = RenumberIfSparse(*next);
  GiveBackSpareRoom(next->rows);
  GiveBackSpareRoom(next->slots);
  if (staged.effects.events_left_out > 0) {
    staged.effects.events.push_back(
        {staged.header.attribution_us, snapshot.router, snapshot.menu, "", "events_left_out",
         absl::StrCat(staged.effects.events_left_out, " further events of this snapshot")});
  }
  staged.replacement = std::move(next);
  return staged;
}

void Install(MenuState& state, Staged&& staged) {
  if (staged.replacement != nullptr) {
    state = std::move(*staged.replacement);
    return;
  }
  for (const Staged::Moved& moved : staged.moved) {
    QueueReading& row = state.rows[moved.row];
    const std::uint64_t bytes =
        (moved.reading.upload - row.upload) + (moved.reading.download - row.download);
    if (bytes > 0) {
      state.slots[moved.row].rate = {bytes, static_cast<std::uint64_t>(staged.elapsed_us)};
    }
    row = moved.reading;
  }
  for (const auto& [row, debt] : staged.debts) {
    if (debt.zero()) {
      state.debts.erase(row);
    } else {
      state.debts[row] = debt;
    }
  }
  state.last = std::move(staged.header);
  state.replies = std::min(state.replies + 1, kEnoughReplies);
}

void LinkParents(MenuState& state) {
  state.parents = 0;
  bool any = false;
  const auto descriptor = [&](std::uint32_t row) {
    return state.dictionary.Find(state.rows[row].descriptor);
  };
  for (std::uint32_t row = 0; row < state.rows.size(); ++row) {
    state.slots[row].parent = kNoRow;
    any = any || (descriptor(row) != nullptr && !descriptor(row)->parent.empty());
  }
  if (!any) {
    LinkLimits(state);
    return;
  }
  absl::flat_hash_map<absl::string_view, std::uint32_t> by_name;
  for (std::uint32_t row = 0; row < state.rows.size(); ++row) {
    if (descriptor(row) != nullptr) by_name.try_emplace(descriptor(row)->name, row);
  }
  for (std::uint32_t row = 0; row < state.rows.size(); ++row) {
    if (descriptor(row) == nullptr) continue;
    const auto found = by_name.find(descriptor(row)->parent);
    if (found == by_name.end() || found->second == row) continue;
    state.slots[row].parent = found->second;
    ++state.parents;
  }
  LinkLimits(state);
}

void NoteLooseEnds(MenuState& state) {
  state.loose_ends = std::any_of(state.slots.begin(), state.slots.end(),
                                 [](const Slot& slot) { return slot.base_may_be_bad > 0; });
  absl::flat_hash_set<absl::string_view> missing;
  for (const Tombstone& stone : state.tombstones) {
    const counters::QueueDescriptor* descriptor = state.dictionary.Find(stone.descriptor);
    if (stone.is_parent && descriptor != nullptr) missing.insert(descriptor->name);
  }
  for (std::uint32_t row = 0; row < state.rows.size() && !missing.empty(); ++row) {
    const counters::QueueDescriptor* child = state.dictionary.Find(state.rows[row].descriptor);
    if (child == nullptr || state.slots[row].parent != kNoRow) continue;
    state.loose_ends = state.loose_ends || missing.contains(child->parent);
  }
  state.away.clear();
  if (!state.last.has_value()) return;
  state.away = AwayAt(state, state.tombstones.size(), state.last->attribution_us);
}

std::vector<Away> AwayAt(const MenuState& state, std::size_t stones, std::int64_t at_us) {
  std::vector<Away> away;
  absl::flat_hash_map<absl::string_view, std::vector<const Tombstone*>> by_parent;
  for (std::size_t i = stones; i > 0; --i) {
    const Tombstone& stone = state.tombstones[i - 1];
    if (at_us - stone.vanished_us > kMissingUs) break;
    const counters::QueueDescriptor* descriptor = state.dictionary.Find(stone.descriptor);
    if (descriptor == nullptr || descriptor->parent.empty()) continue;
    by_parent[descriptor->parent].push_back(&stone);
  }
  for (std::uint32_t row = 0; row < state.rows.size() && !by_parent.empty(); ++row) {
    const counters::QueueDescriptor* parent = state.dictionary.Find(state.rows[row].descriptor);
    if (parent == nullptr) continue;
    const auto children = by_parent.find(parent->name);
    if (children == by_parent.end()) continue;
    for (const Tombstone* stone : children->second) {
      away.push_back({row, stone->limits, stone->vanished_us + kMissingUs});
    }
    by_parent.erase(children);
  }
  return away;
}

std::vector<Doubt> OpenDoubts(const MenuState& state, const MenuPlace& place) {
  if (state.disputes.empty()) return {};
  Effects effects;
  const Applier::Context context{place.router, place.menu, place.settings, nullptr};
  // NoteOpen changes nothing of the state.
  Applier(const_cast<MenuState&>(state), context, effects).NoteOpen();
  return std::move(effects.doubts);
}

void ResolveOpen(MenuState& state, const MenuPlace& place, Effects& effects) {
  const Applier::Context context{place.router, place.menu, place.settings, nullptr};
  Applier(state, context, effects).ResolveAll();
  NoteLooseEnds(state);
}

void MarkUnseen(MenuState& state, const MenuPlace& place, const Successor& successor,
                Effects& effects) {
  const Applier::Context context{place.router, place.menu, place.settings, nullptr};
  Applier(state, context, effects).MarkUnseen(successor);
}

}  // namespace netsentinel::accounting
