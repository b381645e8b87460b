// Queues that appear, come back and vanish.
#include <algorithm>
#include <utility>

#include "aggregator/accounting/applier.h"

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using counters::QueueReading;
using counters::SnapshotHeader;

}  // namespace

std::optional<Tombstone> Applier::TakeStone(const QueueReading& reading) {
  if (rebooted_ || state_.tombstones.empty()) return std::nullopt;
  if (!stones_by_id_.has_value()) {
    stones_by_id_.emplace();
    for (std::size_t i = 0; i < state_.tombstones.size(); ++i) {
      (*stones_by_id_)[state_.dictionary.Find(state_.tombstones[i].descriptor)->row_id] = i;
    }
  }
  const auto found = stones_by_id_->find(state_.dictionary.Find(reading.descriptor)->row_id);
  if (found == stones_by_id_->end()) return std::nullopt;
  const Tombstone stone = state_.tombstones[found->second];
  state_.tombstones[found->second].descriptor = kNoRow;  // taken away by TrimTombstones
  stones_by_id_->erase(found);
  unused_.push_back(stone.descriptor);
  return stone;
}

// Either replies lacked the queue, or it was removed and made anew under the `.id` it had.
bool Applier::ComeBack(const QueueReading& reading) {
  const std::optional<Tombstone> taken = TakeStone(reading);
  if (!taken.has_value()) return false;
  const Tombstone& stone = *taken;
  const counters::QueueDescriptor& now = *state_.dictionary.Find(reading.descriptor);
  if (state_.dictionary.Find(stone.descriptor)->name != now.name) return false;
  if (now_.attribution_us - stone.vanished_us > kTombstoneUs || !lineage_.same) return false;
  const std::uint32_t row = NewRow(reading);
  const Rate rate = RateBetween(stone.limits, LimitsNow(row, reading), Line());
  const TrafficBytes most = MostSince(*stone.header, rate);
  const TrafficBytes bytes = BytesOf(reading);
  const bool went_on =
      !WitnessFell(stone.reading, reading) && Fits(Difference(stone.reading, reading), most);
  const SnapshotHeader* gone = last_step_.has_value() ? &*last_step_ : &*state_.last;
  if (stone.is_parent) {
    parents_back_.insert(row);
    if (!stone.debt.zero()) state_.debts[row] = stone.debt;
  }
  const TrafficBytes most_since_gone = MostSince(*gone, rate);
  const bool anew = Fits(bytes, most_since_gone);
  DoubtfulPart part;
  part.row = row;
  part.children = stone.children;
  Doubt& doubt = part.doubt;
  doubt.from_us = stone.read_us;
  // After so long the days between may be closed.
  const bool long_away = now_.attribution_us - stone.vanished_us > kMissingUs;
  if (long_away) doubt.late_since_us = gone->attribution_us;
  doubt.to_us = doubt.observed_since_us = now_.attribution_us;
  doubt.before = BytesOf(stone.reading);
  doubt.now = bytes;
  Figures& raw = part.raw;
  if (went_on) {
    const TrafficBytes moved = Difference(stone.reading, reading);
    raw = {moved, moved, moved, moved};
    doubt.counted_as = Explanation::kMissing;
    doubt.possible.emplace_back(Explanation::kMissing, moved);
    if (stone.may_be_bad) raw.sure = {};
  }
  if (anew) {
    doubt.possible.emplace_back(Explanation::kMadeAnew, bytes);
    raw.sure = went_on ? Least(raw.sure, bytes) : bytes;
    if (!went_on) raw.counted = bytes;
    raw.visible = Most(raw.visible, bytes);
    raw.upper = Most(raw.upper, Most(most, bytes));
    if (!went_on) doubt.counted_as = Explanation::kMadeAnew;
  }
  if (stone.may_be_bad) raw.upper = Most(raw.upper, most);
  if (!went_on && !anew) {
    raw = {{}, {}, {}, most};
    doubt.counted_as = Explanation::kRefused;
    doubt.partial = true;
    known_[row] = Known::kBaseline;
    AddEpoch(row, now_.attribution_us, EpochReason::kRecreated);
  } else {
    AddEvent(now_.attribution_us, went_on ? "queue_back" : "queue_made_anew", now.name,
             went_on ? "the queue is back with the counter it had; counted on from there"
                     : "the queue is back with a new counter; counted from zero");
    if (!went_on) AddEpoch(row, stone.vanished_us, EpochReason::kRecreated);
  }
  part.late = true;
  // A counter that fell, or leapt, may be a bad reading.
  if (!went_on) {
    raw.sure = {};
    raw.upper = Most(raw.upper, most);
    state_.slots[row].base_may_be_bad = 1;
  }
  if (!lineage_.only_same()) {
    raw.sure = {};
    raw.upper = Most(raw.upper, most);
  }
  // What was noted as unseen when it vanished stays noted.
  raw.upper = Most(Less(raw.upper, stone.noted), Most(raw.counted, raw.visible));
  state_.slots[row].since_us = now_.attribution_us;
  AddDoubtful(std::move(part));
  return true;
}

void Applier::Appear(const QueueReading& reading) {
  if (ComeBack(reading)) return;
  const std::uint32_t row = NewRow(reading);
  const std::int64_t to = now_.attribution_us;
  state_.slots[row].since_us = to;
  const SnapshotHeader* before = last_step_.has_value()    ? &*last_step_
                                 : state_.last.has_value() ? &*state_.last
                                                           : context_.replaces;
  const bool other_course = !first_ && !lineage_.same && !lineage_.restart_proven();
  const bool baseline = before == nullptr || other_course ||
                        (!first_ && before->settings_fingerprint != now_.settings_fingerprint) ||
                        (first_ && !rebooted_);
  if (!baseline) {
    AppearFromZero(row, reading, *before);
    return;
  }
  known_[row] = Known::kBaseline;
  // As in TakeBaseline: nothing may be a bad reply's.
  if (other_course && ShowsNothing(reading)) state_.slots[row].base_may_be_bad = 1;
  const bool replaces = first_ && before != nullptr;
  AddEpoch(row, to, replaces ? EpochReason::kReplaced : EpochReason::kFirstSight);
  if (!replaces && !other_course) return;
  const RowLimits limits = LimitsNow(row, reading);
  AddUnseen(row, {before->attribution_us, to},
            CeilingBytes(RateBetween(limits, limits, Line()), ReachSince(*before)),
            Explanation::kTimeline);
}

// Of another device's header the uptime says nothing.
std::int64_t Applier::ReachSince(const SnapshotHeader& before) const {
  if (!first_) return ReachUs(before, now_);
  SnapshotHeader other = before;
  other.router_uptime_s = now_.router_uptime_s;
  return ReachUs(other, now_);
}

bool Applier::MayBeAnotherRenamed(const QueueReading& reading) {
  const counters::QueueDescriptor& now = *state_.dictionary.Find(reading.descriptor);
  if (now.dynamic || rebooted_) return false;
  if (!unmatched_ids_.has_value()) {
    unmatched_ids_.emplace();
    for (std::size_t row = 0; row < parent_before_.size(); ++row) {
      if (known_[row] != Known::kUnread || state_.rows[row].descriptor == kNoRow) continue;
      const counters::QueueDescriptor& d = DescriptorOf(static_cast<std::uint32_t>(row));
      if (!d.dynamic) unmatched_ids_->insert(d.row_id);
    }
  }
  return unmatched_ids_->contains(now.row_id);
}

// A queue that the snapshot before lacked: made since, or (one reply is no proof) it was there.
void Applier::AppearFromZero(std::uint32_t row, const QueueReading& reading,
                             const SnapshotHeader& before) {
  const std::int64_t to = now_.attribution_us;
  const std::int64_t from = before.attribution_us;
  const TrafficBytes bytes = BytesOf(reading);
  const RowLimits limits = LimitsNow(row, reading);
  const Rate rate = RateBetween(limits, limits, Line());
  const std::int64_t reach = ReachSince(before);
  const EpochReason reason = first_ ? EpochReason::kReplaced : EpochReason::kBorn;
  if (rebooted_) {
    // It may have lived before the restart, too.
    const std::int64_t boot = Between(from, boot_us_, to);
    const std::int64_t existed =
        std::min(reach, UptimeUs() + kSecondUs + (now_.end_us - now_.begin_us));
    AddEpoch(row, boot, reason);
    if (!Fits(bytes, CeilingBytes(rate, existed))) {
      Refuse(row, reading, from, CeilingBytes(rate, reach),
             "the router restarted and the counter is too high for the time since");
      return;
    }
    if (first_) state_.slots[row].since_us = from;
    AddUnseen(row, {from, boot}, CeilingBytes(rate, std::max<std::int64_t>(reach - UptimeUs(), 0)),
              Explanation::kRestart);
    state_.slots[row].since_us = boot;
    AddPart(row, boot, to, bytes, PartKind::kFromZero);
    return;
  }
  const TrafficBytes most = CeilingBytes(rate, reach);
  const bool renamed = MayBeAnotherRenamed(reading);
  state_.slots[row].base_may_be_bad = renamed ? 1 : 0;
  if (!Fits(bytes, most)) {
    AddEpoch(row, to, EpochReason::kFirstSight);
    Refuse(row, reading, from, most,
           "the queue is new in the reply and its counter is too high for the time since the last");
    return;
  }
  AddEpoch(row, from, reason);
  DoubtfulPart part;
  part.row = row;
  const bool proven = state_.replies >= kEnoughReplies && !renamed && lineage_.only_same();
  part.raw.sure = proven ? bytes : TrafficBytes{};
  part.raw.counted = part.raw.visible = bytes;
  part.raw.upper = most;
  Doubt& doubt = part.doubt;
  doubt.from_us = doubt.blind_from_us = doubt.watched_since_us = from;
  doubt.to_us = doubt.blind_to_us = to;
  doubt.observed_since_us = from;
  doubt.now = bytes;
  doubt.counted_as = Explanation::kMadeAnew;
  doubt.possible.emplace_back(Explanation::kMadeAnew, bytes);
  if (!proven) doubt.possible.emplace_back(Explanation::kMissing, TrafficBytes{});
  AddDoubtful(std::move(part));
  state_.slots[row].since_us = from;
}

// A queue that the snapshot shows, or that replies lack, names it as its parent.
bool Applier::IsNamedAsParent(std::uint32_t row) {
  if (!parent_names_.has_value()) {
    parent_names_.emplace();
    const auto note = [this](DescriptorIndex index) {
      const counters::QueueDescriptor* child = state_.dictionary.Find(index);
      if (child != nullptr && !child->parent.empty()) parent_names_->insert(child->parent);
    };
    for (const QueueReading& reading : *readings_) note(reading.descriptor);
    for (const Tombstone& stone : state_.tombstones) note(stone.descriptor);
  }
  return parent_names_->contains(DescriptorOf(row).name);
}

void Applier::Vanish(std::uint32_t row) {
  const bool in_doubt = state_.disputes.contains(row) || state_.slots[row].base_may_be_bad > 0;
  EndDispute(row);
  const std::int64_t read = ReadAt(row);
  const TrafficBytes most = MostSince(ReadHeader(row), RateOf(row));
  AddUnseen(row, {read, now_.attribution_us}, most, Explanation::kMadeAnew);
  if (!doubtful_.empty() && doubtful_.back().row == row) doubtful_.back().vanishing = true;
  if (rebooted_ || !lineage_.same) {
    unused_.push_back(state_.rows[row].descriptor);
  } else {
    Tombstone stone;
    stone.descriptor = state_.rows[row].descriptor;
    stone.reading = state_.rows[row];
    stone.header = ReadHeaderShared(row);
    stone.read_us = read;
    stone.vanished_us = now_.attribution_us;
    stone.limits = LimitsOf(row);
    stone.noted = CountsNothing(row) ? TrafficBytes{} : most;
    stone.is_parent = IsParent(row) || state_.debts.contains(row) || IsNamedAsParent(row);
    if (stone.is_parent) stones_of_[row] = state_.tombstones.size();
    // It may have gone with another course of the counters.
    stone.may_be_bad = in_doubt || !lineage_.only_same();
    state_.tombstones.push_back(std::move(stone));
  }
  known_[row] = Known::kGone;
  freed_.push_back(row);
}

std::uint32_t Applier::NewRow(const QueueReading& reading) {
  std::uint32_t row = 0;
  if (state_.free_rows.empty()) {
    row = static_cast<std::uint32_t>(state_.rows.size());
    state_.rows.emplace_back();
    state_.slots.emplace_back();
    known_.push_back(Known::kUnread);
    parent_before_.push_back(kNotThere);
  } else {
    row = state_.free_rows.back();
    state_.free_rows.pop_back();
    state_.slots[row] = Slot{};
    parent_before_[row] = kNotThere;
  }
  state_.rows[row] = reading;
  known_[row] = Known::kCounted;
  writes_.emplace_back(row, reading);
  return row;
}

}  // namespace netsentinel::accounting
