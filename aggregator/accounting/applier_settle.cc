// The end of an Applier's work: rows written back, parents' residue, what nobody needs dropped.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "aggregator/accounting/applier.h"

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using counters::QueueReading;
using counters::SnapshotHeader;

// What is left of a parent's own bytes, and of what was owed.
void Pay(Figures& own, Owed& owed) {
  const Figures raw = own;
  own.sure = Less(Less(raw.sure, owed.most), owed.unseen);
  own.counted = Less(raw.counted, owed.counted);
  own.upper = Most(Less(raw.upper, owed.least), own.counted);
  own.sure = Least(own.sure, own.counted);
  own.visible = Least(Most(Less(raw.visible, owed.least), own.counted), own.upper);
  owed.least = Less(owed.least, raw.upper);
  owed.counted = Less(owed.counted, raw.counted);
  // What passed unseen passed the parent in the same time.
  owed.unseen = Less(owed.unseen, Less(raw.sure, owed.most));
  owed.most = Less(owed.most, raw.sure);
}

}  // namespace

void PayDelta(Delta& delta, Owed& owed, std::vector<Doubt>& doubts) {
  const TrafficBytes bytes = delta.bytes;
  Figures own{bytes, bytes, bytes, bytes};
  Pay(own, owed);
  if (own.exact()) {
    delta.bytes = own.counted;
    return;
  }
  delta.bytes = {};
  Doubt doubt;
  doubt.descriptor = delta.descriptor;
  doubt.from_us = delta.from_us;
  doubt.to_us = delta.to_us;
  doubt.observed_since_us = delta.observed_since_us;
  doubt.counted = own.counted;
  doubt.doubt = Less(own.counted, own.sure);
  doubt.unseen = Less(own.upper, own.counted);
  doubt.now = bytes;
  doubt.possible.emplace_back(Explanation::kWentOn, own.counted);
  doubts.push_back(std::move(doubt));
}

void Applier::ApplyPending(std::int64_t at_us, const absl::flat_hash_set<std::uint32_t>& keep) {
  const PendingSnapshot pending = *std::exchange(state_.pending, std::nullopt);
  for (const QueueReading& reading : pending.readings) NoteCandidate(reading.descriptor);
  ApplyFull(pending.header, pending.readings, keep);
  AddEvent(at_us, "pending_resolved", "", absl::StrCat(keep.size(), " queues are back and go on"));
}

// The time of a device that is new here, when all of its counters started after the other's last
// reading; else it is at a baseline.
bool Applier::StartedAfter(const SnapshotHeader& other, const SnapshotHeader& now) {
  const auto up = static_cast<std::int64_t>(now.router_uptime_s) * kSecondUs;
  return up < counters::ElapsedUs(other, now);
}

void Applier::MarkUnseen(const Successor& successor) {
  if (!state_.last.has_value()) return;
  const SnapshotHeader last = *state_.last;
  const std::int64_t until = successor.now.attribution_us;
  const bool from_zero = successor.is_new && StartedAfter(last, successor.now);
  const auto up = static_cast<std::int64_t>(successor.now.router_uptime_s) * kSecondUs;
  const std::int64_t boot = until - std::min(up, until);
  absl::flat_hash_set<absl::string_view> shown;
  if (successor.is_new) {
    for (const auto& [index, descriptor] : *successor.shows) shown.insert(descriptor.name);
  }
  Begin(last);
  for (std::uint32_t row = 0; row < state_.rows.size(); ++row) {
    if (state_.rows[row].descriptor == kNoRow) continue;
    const std::int64_t read = ReadAt(row);
    const Rate rate = RateOf(row);
    const auto unseen = [&](std::int64_t from_us, std::int64_t to_us) {
      if (to_us <= from_us) return;
      AddUnseen(row, {from_us, to_us}, CeilingBytes(rate, to_us - from_us + kSecondUs),
                Explanation::kUnread);
    };
    if (!shown.contains(DescriptorOf(row).name)) {
      unseen(read, until);
      continue;
    }
    unseen(read, last.attribution_us);
    if (from_zero) unseen(std::max(read, boot), until);
  }
  Settle();
}

void Applier::ResolveAll() {
  if (!state_.last.has_value()) return;
  if (state_.pending.has_value()) ApplyPending(state_.pending->header.attribution_us, {});
  Begin(*state_.last);
  EndAllDisputes();
  Settle();
  DropUnusedDescriptors();
}

void Applier::Finish() {
  for (const auto& [row, reading] : writes_) {
    state_.rows[row] = reading;
    if (reading.descriptor >= state_.row_of.size()) {
      state_.row_of.resize(state_.dictionary.next_index(), kNoRow);
    }
    state_.row_of[reading.descriptor] = row;
  }
  for (const std::uint32_t row : freed_) {
    const DescriptorIndex descriptor = state_.rows[row].descriptor;
    if (state_.RowOf(descriptor) == row) state_.row_of[descriptor] = kNoRow;
    state_.rows[row] = QueueReading{};
    state_.rows[row].descriptor = kNoRow;
  }
  LinkParents(state_);
  Settle();
  NoteHabit();
  for (const std::uint32_t row : freed_) {
    if (IsParent(row)) {
      for (auto& [child, dispute] : state_.disputes) {
        auto& parents = dispute.parents;
        parents.erase(std::remove(parents.begin(), parents.end(), row), parents.end());
      }
    }
    state_.debts.erase(row);
    state_.read_at.erase(row);
    state_.slots[row] = Slot{};
    state_.free_rows.push_back(row);
  }
  TrimTombstones();
}

void Applier::TrimTombstones() {
  auto& stones = state_.tombstones;
  if (stones_by_id_.has_value()) {
    std::erase_if(stones, [](const Tombstone& stone) { return stone.descriptor == kNoRow; });
    stones_by_id_.reset();
  }
  const std::size_t most = std::max(kMinTombstones, state_.rows.size());
  std::size_t over = stones.size() > most ? stones.size() - most : 0;
  while (over < stones.size() && now_.attribution_us - stones[over].vanished_us > kTombstoneUs) {
    ++over;
  }
  for (std::size_t i = 0; i < over; ++i) unused_.push_back(stones[i].descriptor);
  stones.erase(stones.begin(), stones.begin() + static_cast<std::ptrdiff_t>(over));
}

// --- writing down -------------------------------------------------------------------------------

void Applier::AddEvent(std::int64_t at_us, absl::string_view kind, absl::string_view queue,
                       absl::string_view detail) {
  if (effects_.events.size() >= kMaxEventsPerSnapshot) {
    ++effects_.events_left_out;
    return;
  }
  effects_.events.push_back({at_us, context_.router, context_.menu, std::string(queue),
                             std::string(kind), std::string(detail)});
}

void Applier::AddEpoch(std::uint32_t row, std::int64_t start_us, EpochReason reason) {
  const counters::QueueDescriptor& descriptor = DescriptorOf(row);
  effects_.epochs.push_back({QueueKey{context_.router, context_.menu, descriptor.name},
                             descriptor.row_id, start_us, reason});
  effects_.epoch_queues.push_back(state_.rows[row].descriptor);
}

void Applier::AddHoldRecord(std::uint32_t row, const Dispute& dispute, bool resolved) {
  effects_.holds.push_back({QueueKey{context_.router, context_.menu, DescriptorOf(row).name},
                            dispute.seen[1].header->attribution_us,
                            BytesOf(dispute.seen.front().reading), BytesOf(dispute.seen[1].reading),
                            resolved});
}

void Applier::AddPart(std::uint32_t row, std::int64_t from_us, std::int64_t to_us,
                      TrafficBytes bytes, PartKind kind) {
  known_[row] = Known::kCounted;
  if (bytes.zero()) return;
  const std::int64_t since = kind == PartKind::kOnward     ? state_.slots[row].since_us
                             : kind == PartKind::kFromZero ? from_us
                                                           : to_us;
  parts_.push_back(
      {row, {state_.rows[row].descriptor, from_us, to_us, std::min(since, to_us), bytes}});
}

void Applier::AddDoubtful(DoubtfulPart part) {
  part.doubt.descriptor = state_.rows[part.row].descriptor;
  doubtful_.push_back(std::move(part));
}

void Applier::AddUnseen(std::uint32_t row, const Unwatched& time, TrafficBytes unseen,
                        Explanation why) {
  if (time.from_us >= time.to_us && unseen.zero()) return;
  DoubtfulPart part;
  part.row = row;
  part.raw.upper = unseen;
  Doubt& doubt = part.doubt;
  doubt.from_us = doubt.blind_from_us = time.from_us;
  doubt.to_us = doubt.blind_to_us = doubt.observed_since_us = time.to_us;
  doubt.watched_since_us = std::min(state_.slots[row].since_us, time.from_us);
  doubt.before = doubt.now = BytesOf(state_.rows[row]);
  doubt.counted_as = why;
  doubt.possible.emplace_back(why, TrafficBytes{});
  AddDoubtful(std::move(part));
}

void Applier::AddFromZero(std::uint32_t row, const QueueReading& before, const QueueReading& now,
                          const Doubt& times, TrafficBytes unseen) {
  const TrafficBytes bytes = BytesOf(now);
  known_[row] = Known::kCounted;
  DoubtfulPart part;
  part.row = row;
  part.raw = {bytes, bytes, bytes, bytes + unseen};
  // Where the device may run another course, it may be a mere baseline.
  if (!lineage_.only_same()) part.raw.sure = {};
  part.doubt = times;
  part.doubt.before = BytesOf(before);
  part.doubt.now = bytes;
  part.doubt.possible.emplace_back(times.counted_as, bytes);
  AddDoubtful(std::move(part));
}

void Applier::Refuse(std::uint32_t row, const QueueReading& reading, std::int64_t from_us,
                     TrafficBytes unseen, absl::string_view why) {
  known_[row] = Known::kBaseline;
  AddEvent(now_.attribution_us, "implausible", DescriptorOf(row).name,
           absl::StrCat(why,
                        "; taken as a new baseline. If the line is faster than line_rate, "
                        "raise it"));
  DoubtfulPart part;
  part.row = row;
  part.raw.upper = unseen;
  Doubt& doubt = part.doubt;
  doubt.from_us = doubt.blind_from_us = from_us;
  doubt.to_us = doubt.blind_to_us = doubt.observed_since_us = now_.attribution_us;
  doubt.watched_since_us = std::min(state_.slots[row].since_us, from_us);
  doubt.partial = true;
  doubt.now = BytesOf(reading);
  doubt.counted_as = Explanation::kRefused;
  doubt.possible.emplace_back(Explanation::kRefused, TrafficBytes{});
  AddDoubtful(std::move(part));
}

// --- parents ------------------------------------------------------------------------------------

void Applier::AddTo(std::uint32_t parent, const Owed& moved) {
  if (const auto gone = stones_of_.find(parent); gone != stones_of_.end()) {
    state_.tombstones[gone->second].children += moved;
    return;
  }
  const auto open = state_.disputes.find(parent);
  (open == state_.disputes.end() ? owed_[parent] : open->second.children) += moved;
}

Tombstone* Applier::StoneNamed(absl::string_view name) {
  if (!parent_stones_.has_value()) {
    parent_stones_.emplace();
    for (std::size_t i = 0; i < state_.tombstones.size(); ++i) {
      const Tombstone& stone = state_.tombstones[i];
      if (!stone.is_parent || stone.descriptor == kNoRow) continue;
      (*parent_stones_)[state_.dictionary.Find(stone.descriptor)->name] = i;
    }
  }
  const auto found = parent_stones_->find(name);
  return found == parent_stones_->end() ? nullptr : &state_.tombstones[found->second];
}

// To the parents at both ends of the step, and to `earlier` ones. Of a queue that changed its
// parent, no bytes are sure to have passed any of them. A parent that replies lack gets them too:
// its counter holds them when it is back.
void Applier::AddToParents(std::uint32_t row, DescriptorIndex descriptor, Owed moved,
                           absl::Span<const std::uint32_t> earlier) {
  if (moved.zero()) return;
  const std::uint32_t now = state_.slots[row].parent;
  const bool gone = state_.rows[row].descriptor == kNoRow;
  std::uint32_t before = row < parent_before_.size() ? parent_before_[row] : kNotThere;
  const bool was_there = before != kNotThere && !gone;
  if (!was_there && before == kNotThere) before = kNoRow;
  // The row of the same parent came or went.
  const bool same =
      !reparented_.contains(row) && ((before == kNoRow && parents_back_.contains(now)) ||
                                     (now == kNoRow && stones_of_.contains(before)));
  const auto another = [&](std::uint32_t parent) { return parent != now && parent != before; };
  const bool more = std::any_of(earlier.begin(), earlier.end(), another);
  if (more || (was_there && before != now && !same)) moved.least = {};
  if (now != kNoRow) AddTo(now, moved);
  if (before != kNoRow && before != now) AddTo(before, moved);
  for (const std::uint32_t parent : earlier) {
    if (another(parent)) AddTo(parent, moved);
  }
  if (more || now != kNoRow || before != kNoRow || state_.tombstones.empty()) return;
  const counters::QueueDescriptor* d = state_.dictionary.Find(descriptor);
  if (d == nullptr || d->parent.empty()) return;
  for (const std::uint32_t parent : parents_back_) {
    if (DescriptorOf(parent).name == d->parent) return AddTo(parent, moved);
  }
  if (Tombstone* stone = StoneNamed(d->parent); stone != nullptr) stone->children += moved;
}

// Whose bytes an open dispute may hold.
void Applier::NoteParents() {
  for (auto& [row, dispute] : state_.disputes) {
    const std::uint32_t before = row < parent_before_.size() ? parent_before_[row] : kNoRow;
    for (const std::uint32_t parent : {before, state_.slots[row].parent}) {
      if (parent >= kNotThere || known_[parent] == Known::kGone) continue;
      auto& parents = dispute.parents;
      if (std::find(parents.begin(), parents.end(), parent) == parents.end()) {
        parents.push_back(parent);
      }
    }
  }
}

// What queues that replies lack may move is no parent's own for sure.
void Applier::AddAway() {
  if (state_.tombstones.empty()) return;
  for (const Away& away : AwayAt(state_, stones_before_, now_.attribution_us)) {
    if (known_[away.parent] != Known::kCounted) continue;
    const Rate rate = RateBetween(away.limits, away.limits, Line());
    AddTo(away.parent, {{}, {}, {}, MostSince(ReadHeader(away.parent), rate)});
  }
}

void Applier::AddToParents(const DoubtfulPart& part) {
  Owed moved{part.raw.sure, part.raw.counted, part.raw.visible,
             Less(part.raw.upper, part.raw.visible)};
  if (part.outlived_parent) {
    // Some of it was taken off a parent that could not wait.
    moved.least = {};
    moved.counted = Less(moved.counted, part.taken_early);
  }
  if (part.late) moved = {{}, moved.counted, {}, moved.most + moved.unseen};
  if (part.no_child) return;
  AddToParents(part.row, part.doubt.descriptor, moved, part.parents);
}

// A parent of a queue that is disputed cannot tell what is its own: it waits for the child.
void Applier::HoldParentsBack() {
  std::vector<std::uint32_t> held;
  for (const auto& [row, dispute] : state_.disputes) {
    for (const std::uint32_t parent : dispute.parents) {
      std::uint32_t at = parent;
      for (int depth = 0; at != kNoRow && depth < 32; ++depth) {
        held.push_back(at);
        at = state_.slots[at].parent;
      }
    }
  }
  std::sort(held.begin(), held.end());
  held.erase(std::unique(held.begin(), held.end()), held.end());
  absl::flat_hash_set<std::uint32_t> taken_back;
  for (const std::uint32_t row : held) {
    const auto open = state_.disputes.find(row);
    if (open != state_.disputes.end()) {
      open->second.waits = true;
      continue;
    }
    const auto plain = parents_before_.find(row);
    if (plain == parents_before_.end()) {
      // What is told of it at once cannot wait.
      if (known_[row] == Known::kCounted) TakeEarly(row, owed_[row]);
      continue;
    }
    taken_back.insert(row);
    Dispute& dispute = state_.disputes[row];
    dispute.waits = true;
    dispute.seen.push_back(plain->second);
    dispute.seen.push_back({state_.rows[row], NowShared(), LimitsOf(row)});
    dispute.seen.back().good = true;
  }
  if (taken_back.empty()) return;
  NoteParents();
  std::erase_if(parts_, [&](const Part& part) { return taken_back.contains(part.row); });
}

// The parent can wait no longer: what its children may have moved is taken off now.
void Applier::TakeEarly(std::uint32_t parent, Owed& children) {
  for (auto& [row, open] : state_.disputes) {
    const auto& parents = open.parents;
    if (std::find(parents.begin(), parents.end(), parent) == parents.end()) continue;
    const Figures moved = JudgeRow(row, open).figures;
    children += {{}, moved.counted, moved.visible, Less(moved.upper, moved.visible)};
    open.outlived_parent = true;
    open.taken_early = moved.counted;
  }
}

// Decides parents whose children are decided. Each round may free the next level.
void Applier::CloseWaiting() {
  const bool residue = context_.settings.parents == ParentsMode::kResidue;
  for (bool closed = true; closed;) {
    closed = false;
    std::vector<std::uint32_t> rows;
    absl::flat_hash_set<std::uint32_t> with_open_child;
    for (const auto& [row, dispute] : state_.disputes) {
      if (IsParent(row) || dispute.waits) rows.push_back(row);
      if (residue) with_open_child.insert(dispute.parents.begin(), dispute.parents.end());
    }
    std::sort(rows.begin(), rows.end());
    for (const std::uint32_t row : rows) {
      Dispute& dispute = state_.disputes.at(row);
      if (dispute.seen.back().header != now_shared_) continue;
      if (const auto found = owed_.find(row); found != owed_.end()) {
        dispute.children += found->second;
        owed_.erase(found);
      }
      const Verdict verdict = JudgeRow(row, dispute);
      const bool child = with_open_child.contains(row);
      const bool too_long = DecidesNow(dispute, {});
      if (!too_long && (child || !verdict.settled)) continue;
      if (child) TakeEarly(row, dispute.children);
      if (const auto debt = state_.debts.find(row); debt != state_.debts.end()) {
        owed_[row] += debt->second;
        state_.debts.erase(debt);
      }
      CloseDispute(row, verdict);
      if (residue) AddToParents(doubtful_.back());
      closed = true;
    }
  }
}

void Applier::SettleParents() {
  for (const auto& [row, debt] : state_.debts) {
    // A parent that waits pays when it is decided.
    if (!state_.disputes.contains(row)) owed_[row] += debt;
  }
  absl::erase_if(state_.debts, [&](const auto& d) { return !state_.disputes.contains(d.first); });
  NoteParents();
  HoldParentsBack();
  for (const Part& part : parts_) {
    const TrafficBytes bytes = part.delta.bytes;
    AddToParents(part.row, part.delta.descriptor, {bytes, bytes, bytes, {}}, {});
  }
  for (const DoubtfulPart& part : doubtful_) AddToParents(part);
  AddAway();
  CloseWaiting();
}

void Applier::PayDoubtful(DoubtfulPart& part) {
  Figures own = part.raw;
  if (context_.settings.parents == ParentsMode::kResidue && !part.vanishing) {
    Owed owed = part.children;
    if (const auto found = owed_.find(part.row); found != owed_.end()) owed += found->second;
    if (!owed.zero()) {
      Pay(own, owed);
      owed_[part.row] = owed;
    }
  }
  Doubt& doubt = part.doubt;
  doubt.counted = own.counted;
  doubt.doubt = Less(own.counted, own.sure);
  doubt.unseen = Less(own.upper, own.counted);
  if (CountsNothing(part.row)) return;
  const bool nothing = doubt.counted.zero() && doubt.unseen.zero() && doubt.doubt.zero() &&
                       doubt.blind_to_us <= doubt.blind_from_us;
  if (!nothing) effects_.doubts.push_back(std::move(doubt));
}

// What children moved beyond their parent's own counter is taken off its later bytes.
void Applier::KeepDebts() {
  for (const auto& [parent, rest] : owed_) {
    // What a parent moved before its baseline is not known, so nothing can be taken off it.
    const bool unknown = known_[parent] == Known::kBaseline || known_[parent] == Known::kGone;
    Owed debt = rest;
    debt.unseen = {};
    if (const auto gone = stones_of_.find(parent); gone != stones_of_.end()) {
      state_.tombstones[gone->second].debt = debt;
    } else if (!unknown && !debt.zero()) {
      state_.debts[parent] = debt;
    }
  }
  owed_.clear();
}

void Applier::Settle() {
  const bool residue = context_.settings.parents == ParentsMode::kResidue;
  if (residue) {
    SettleParents();
  } else {
    CloseWaiting();
  }
  for (DoubtfulPart& part : doubtful_) PayDoubtful(part);
  doubtful_.clear();
  for (Part& part : parts_) {
    const auto owed = owed_.find(part.row);
    if (residue && owed != owed_.end()) PayDelta(part.delta, owed->second, effects_.doubts);
    if (part.delta.bytes.zero() || CountsNothing(part.row)) continue;
    effects_.deltas.push_back(part.delta);
  }
  parts_.clear();
  if (residue) KeepDebts();
}

void Applier::DropUnusedDescriptors() {
  if (unused_.empty()) return;
  absl::flat_hash_set<DescriptorIndex> used;
  for (const Tombstone& stone : state_.tombstones) used.insert(stone.descriptor);
  if (state_.pending.has_value()) {
    for (const QueueReading& reading : state_.pending->readings) used.insert(reading.descriptor);
  }
  for (const DescriptorIndex descriptor : unused_) {
    if (state_.RowOf(descriptor) == kNoRow && !used.contains(descriptor)) {
      state_.dictionary.Drop(descriptor);
    }
  }
  unused_.clear();
}

}  // namespace netsentinel::accounting
