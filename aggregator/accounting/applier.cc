// The rules of one row, and of whole snapshots.
#include "aggregator/accounting/applier.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/display_name.h"

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using counters::MatchKind;
using counters::QueueReading;
using counters::SnapshotHeader;

TrafficBytes Difference(const QueueReading& before, const QueueReading& now) {
  return {now.upload - before.upload, now.download - before.download};
}

// `at`, moved into [from, to]; `to` when there is no such interval.
std::int64_t Between(std::int64_t from, std::int64_t at, std::int64_t to) {
  return std::min(std::max(from, at), to);
}

}  // namespace

// --- going on -----------------------------------------------------------------------------------

void Applier::ReadOnward(std::uint32_t row, Observation now) {
  if (state_.disputes.contains(row)) {
    Contest(row, {}, std::move(now));
    return;
  }
  Observation before = SeenBefore(row);
  const QueueReading reading = now.reading;
  const std::int64_t from = before.header->attribution_us;
  const bool disputed = !lineage_.only_same() || now.renamed || habit_ ||
                        state_.slots[row].base_may_be_bad > 0 ||
                        !StepIsPlain(before, now, Line());
  if (disputed) {
    Contest(row, std::move(before), std::move(now));
    return;
  }
  const TrafficBytes moved = Difference(before.reading, reading);
  if (!moved.zero()) {
    const std::int64_t elapsed = LongestElapsedUs(*before.header, now_);
    state_.slots[row].rate = {moved.total(),
                              static_cast<std::uint64_t>(std::max<std::int64_t>(elapsed, 1))};
  }
  if (reading.packets < before.reading.packets) TellOfPackets(row);
  AddPart(row, from, now_.attribution_us, moved, PartKind::kOnward);
  if (IsParent(row)) parents_before_.insert_or_assign(row, std::move(before));
}

// The same name under another `.id`: the queue was removed and made anew.
void Applier::Recreate(std::uint32_t row, const QueueReading& reading) {
  EndDispute(row);
  TakeStone(reading);
  const QueueReading before = state_.rows[row];
  const std::int64_t from = ReadAt(row);
  const std::int64_t to = now_.attribution_us;
  const TrafficBytes most = MostSince(ReadHeader(row), RateOf(row));
  state_.rows[row] = reading;  // its epoch is the new queue's
  state_.slots[row].base_may_be_bad = 0;
  const TrafficBytes bytes = BytesOf(reading);
  Doubt times;
  times.from_us = times.blind_from_us = from;
  times.to_us = times.blind_to_us = times.observed_since_us = to;
  times.watched_since_us = state_.slots[row].since_us;
  times.counted_as = Explanation::kMadeAnew;
  if (Fits(bytes, most)) {
    AddEpoch(row, from, EpochReason::kRecreated);
    AddFromZero(row, before, reading, times, Less(most, bytes));
  } else {
    AddEpoch(row, from, EpochReason::kRecreated);
    Refuse(row, reading, from, most,
           "the queue was made anew and its counter is too high for the time it can have existed");
  }
  state_.slots[row].since_us = to;
}

void Applier::RestartWithBoot(std::uint32_t row, const QueueReading& reading) {
  EndDispute(row);
  const SnapshotHeader& read = ReadHeader(row);
  const std::int64_t before_us = read.attribution_us;
  const std::int64_t from = Between(before_us, boot_us_, now_.attribution_us);
  const Rate rate = RateOf(row);
  const std::int64_t reach = ReachUs(read, now_);
  const TrafficBytes unseen = CeilingBytes(rate, std::max<std::int64_t>(reach - UptimeUs(), 0));
  const std::int64_t existed =
      std::min(reach, UptimeUs() + kSecondUs + (now_.end_us - now_.begin_us));
  state_.rows[row] = reading;
  state_.slots[row].base_may_be_bad = 0;
  const TrafficBytes bytes = BytesOf(reading);
  if (!Fits(bytes, CeilingBytes(rate, existed))) {
    AddEpoch(row, from, EpochReason::kReboot);
    Refuse(row, reading, before_us, CeilingBytes(rate, reach),
           "the router restarted and the counter is too high for the time since");
    state_.slots[row].since_us = now_.attribution_us;
    return;
  }
  AddUnseen(row, {before_us, from}, unseen, Explanation::kRestart);
  AddEpoch(row, from, EpochReason::kReboot);
  AddPart(row, from, now_.attribution_us, bytes, PartKind::kFromZero);
  state_.slots[row].since_us = from;
}

// The counter belongs to another course of the device: nothing links it to the last reading.
void Applier::TakeBaseline(std::uint32_t row, const QueueReading& reading) {
  EndDispute(row);
  const TrafficBytes most = MostSince(ReadHeader(row), RateOf(row));
  const QueueReading before = state_.rows[row];
  const std::int64_t from = ReadAt(row);
  const std::int64_t to = now_.attribution_us;
  state_.rows[row] = reading;
  state_.slots[row].base_may_be_bad = 0;
  known_[row] = Known::kBaseline;
  AddEpoch(row, to, EpochReason::kTimeline);
  const TrafficBytes bytes = BytesOf(reading);
  // Where stamps alone tell the time, it may have been a restart all the same.
  const std::int64_t existed = std::min(ReachUs(ReadHeader(row), now_),
                                        UptimeUs() + kSecondUs + (now_.end_us - now_.begin_us));
  const bool restart = lineage_.restart && Fits(bytes, CeilingBytes(RateOf(row), existed));
  DoubtfulPart part;
  part.row = row;
  part.raw.counted = restart ? bytes : TrafficBytes{};
  part.raw.visible = part.raw.counted;
  part.raw.upper = Most(most, bytes);
  if (!restart) part.raw.upper = most;
  Doubt& doubt = part.doubt;
  doubt.from_us = doubt.blind_from_us = from;
  doubt.to_us = doubt.blind_to_us = doubt.observed_since_us = to;
  doubt.watched_since_us = state_.slots[row].since_us;
  doubt.partial = true;
  doubt.before = BytesOf(before);
  doubt.now = bytes;
  doubt.counted_as = restart ? Explanation::kRestart : Explanation::kTimeline;
  if (restart) doubt.possible.emplace_back(Explanation::kRestart, bytes);
  doubt.possible.emplace_back(Explanation::kTimeline, TrafficBytes{});
  AddDoubtful(std::move(part));
  state_.slots[row].since_us = to;
}

// --- appearing, returning, vanishing ------------------------------------------------------------

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
  const TrafficBytes most_since_gone = MostSince(*gone, rate);
  const bool anew = Fits(bytes, most_since_gone);
  DoubtfulPart part;
  part.row = row;
  Doubt& doubt = part.doubt;
  doubt.from_us = stone.read_us;
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

void Applier::Vanish(std::uint32_t row) {
  const bool in_doubt = state_.disputes.contains(row) || state_.slots[row].base_may_be_bad > 0;
  EndDispute(row);
  const std::int64_t read = ReadAt(row);
  const TrafficBytes most = MostSince(ReadHeader(row), RateOf(row));
  AddUnseen(row, {read, now_.attribution_us}, most, Explanation::kMadeAnew);
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

// --- whole snapshots and steps ------------------------------------------------------------------

void Applier::Begin(const SnapshotHeader& now) {
  now_ = now;
  now_shared_.reset();
  last_shared_.reset();
  first_ = !state_.last.has_value();
  const SnapshotHeader* before = first_ ? context_.replaces : &*state_.last;
  lineage_ = {.same = true};
  if (first_) {
    // Another device's uptime says nothing; one that started after the other's last reading can
    // have moved nothing before that.
    rebooted_ = before != nullptr && StartedAfter(*before, now);
  } else {
    lineage_ = counters::LineageOf(last_step_.has_value() ? *last_step_ : *before, now);
    rebooted_ = lineage_.restart_proven();
  }
  habit_ = state_.resets_us[0] != 0 && now.attribution_us - state_.resets_us[0] <= kResetHabitUs;
  boot_us_ = now.attribution_us - std::min(UptimeUs(), now.attribution_us);
  parts_.clear();
  doubtful_.clear();
  parents_before_.clear();
  freed_.clear();
  writes_.clear();
  shown_by_name_.reset();
  unmatched_ids_.reset();
  outer_may_differ_ = false;
  rows_above_zero_ = rows_reset_ = 0;
  known_.assign(state_.rows.size(), Known::kUnread);
  parent_before_.resize(state_.slots.size());
  has_children_.assign(state_.parents == 0 ? 0 : state_.slots.size(), false);
  for (std::size_t i = 0; i < state_.slots.size(); ++i) {
    const std::uint32_t parent = state_.slots[i].parent;
    parent_before_[i] = parent;
    if (parent != kNoRow) has_children_[parent] = true;
    if (state_.rows[i].descriptor != kNoRow && !BytesOf(state_.rows[i]).zero()) ++rows_above_zero_;
  }
  if (first_) return;
  if (!lineage_.same) {
    state_.replies = 0;
    for (const Tombstone& stone : state_.tombstones) unused_.push_back(stone.descriptor);
    state_.tombstones.clear();
  }
  if (rebooted_) {
    AddEvent(now.attribution_us, "reboot", "",
             absl::StrCat("the router restarted ", now.router_uptime_s, " s ago"));
  } else if (!lineage_.same) {
    AddEvent(now.attribution_us, "timeline_changed", "",
             absl::StrCat("the router's uptime of ", now.router_uptime_s,
                          " s does not follow from the last reading: a restored image, or another "
                          "machine with the same identity. Its counters are taken as new "
                          "baselines"));
  } else if (lineage_.timeline) {
    AddEvent(now.attribution_us, "uptime_ahead", "",
             "the router's uptime ran ahead of the collector's clock: the collector's host was "
             "paused, or the router was restored from an image. What it moved since the last "
             "reading is counted and not sure");
  }
  if (lineage_.only_same()) return;
  // What is gone may be of another course of the counters.
  for (Tombstone& stone : state_.tombstones) stone.may_be_bad = true;
  EndAllDisputes();
}

// What the old name may have moved before it was deleted and its `.id` used again, or on another
// course of the device.
void Applier::NoteOldName(std::uint32_t row, const QueueReading& reading) {
  const Rate rate = RateBetween(LimitsOf(row), LimitsNow(row, reading), Line());
  const TrafficBytes most = MostSince(ReadHeader(row), rate);
  if (lineage_.only_same() && !Fits(BytesOf(reading), most)) return;
  DoubtfulPart part;
  part.row = row;
  part.no_child = true;
  part.raw.upper = most;
  part.doubt.from_us = ReadAt(row);
  part.doubt.to_us = part.doubt.observed_since_us = now_.attribution_us;
  part.doubt.before = part.doubt.now = BytesOf(state_.rows[row]);
  part.doubt.counted_as = Explanation::kMadeAnew;
  part.doubt.possible.emplace_back(Explanation::kMadeAnew, TrafficBytes{});
  AddDoubtful(std::move(part));
}

void Applier::ApplyMatched(const QueueReading& reading, const counters::Match& match) {
  const std::uint32_t row = match.before;
  const DescriptorIndex descriptor = state_.rows[row].descriptor;
  const bool goes_on = match.kind == MatchKind::kContinues || match.kind == MatchKind::kRenamed;
  bool changed = false;
  std::string old_name;
  if (descriptor != reading.descriptor) {
    const counters::QueueDescriptor& was = *state_.dictionary.Find(descriptor);
    const counters::QueueDescriptor& is = *state_.dictionary.Find(reading.descriptor);
    changed = was.name != is.name || was.target != is.target || was.parent != is.parent;
    if (match.kind == MatchKind::kRenamed) old_name = was.name;
    unused_.push_back(descriptor);
  }
  if (match.kind == MatchKind::kRenamed && !rebooted_) NoteOldName(row, reading);
  if (rebooted_ || !goes_on || !lineage_.same) {
    if (rebooted_) {
      RestartWithBoot(row, reading);
    } else if (!lineage_.same) {
      TakeBaseline(row, reading);
    } else {
      Recreate(row, reading);
    }
  } else {
    Observation now = SeenNow(row, reading, changed);
    // From here on the row is described as the router describes it now.
    state_.rows[row].descriptor = reading.descriptor;
    ReadOnward(row, std::move(now));
  }
  if (match.kind == MatchKind::kRenamed) {
    AddEvent(now_.attribution_us, "queue_renamed", state_.dictionary.Find(reading.descriptor)->name,
             absl::StrCat("was ", base::DisplayName(old_name)));
  }
  if (descriptor < state_.row_of.size()) state_.row_of[descriptor] = kNoRow;
  writes_.emplace_back(row, reading);
}

void Applier::ApplyRows(const std::vector<QueueReading>& readings,
                        const counters::Matches& matches) {
  readings_ = &readings;
  for (std::size_t i = 0; i < readings.size() && !outer_may_differ_; ++i) {
    const counters::Match& match = matches.now[i];
    outer_may_differ_ = match.kind == MatchKind::kNone ||
                        state_.rows[match.before].descriptor != readings[i].descriptor;
  }
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (matches.now[i].kind != MatchKind::kNone) ApplyMatched(readings[i], matches.now[i]);
  }
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (matches.now[i].kind == MatchKind::kNone) Appear(readings[i]);
  }
}

void Applier::ApplyFull(const SnapshotHeader& now, const std::vector<QueueReading>& readings,
                        const absl::flat_hash_set<std::uint32_t>& keep) {
  Begin(now);
  const counters::Matches matches = MatchRows(readings, rebooted_);
  const auto rows_before = static_cast<std::uint32_t>(state_.rows.size());
  std::vector<std::uint32_t> missing;
  for (std::uint32_t row = 0; row < rows_before; ++row) {
    if (state_.rows[row].descriptor != kNoRow && matches.before[row] == counters::kNoMatch) {
      missing.push_back(row);
    }
  }
  ApplyRows(readings, matches);
  absl::flat_hash_map<std::uint32_t, Header> unread;
  for (const std::uint32_t row : missing) {
    if (!keep.contains(row)) {
      Vanish(row);
    } else {
      unread[row] = ReadHeaderShared(row);
    }
  }
  Finish();
  state_.read_at = std::move(unread);
  const bool same_settings =
      first_ || state_.last->settings_fingerprint == now.settings_fingerprint;
  state_.replies = same_settings ? std::min(state_.replies + 1, kEnoughReplies) : 1;
  state_.last = now;
  last_step_.reset();
}

}  // namespace netsentinel::accounting
