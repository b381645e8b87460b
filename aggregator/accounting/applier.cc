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
                        state_.slots[row].base_may_be_bad > 0 || !StepIsPlain(before, now, Line());
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
  const TrafficBytes most = MostSince(ReadHeader(row), RateTo(row, reading));
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
  const Rate rate = RateTo(row, reading);
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
  const Rate rate = RateTo(row, reading);
  const TrafficBytes most = MostSince(ReadHeader(row), rate);
  const QueueReading before = state_.rows[row];
  const std::int64_t from = ReadAt(row);
  const std::int64_t to = now_.attribution_us;
  state_.rows[row] = reading;
  // Nothing may be a bad reply's.
  state_.slots[row].base_may_be_bad = ShowsNothing(reading) ? 1 : 0;
  known_[row] = Known::kBaseline;
  AddEpoch(row, to, EpochReason::kTimeline);
  const TrafficBytes bytes = BytesOf(reading);
  // Where stamps alone tell the time, it may have been a restart all the same.
  const std::int64_t existed = std::min(ReachUs(ReadHeader(row), now_),
                                        UptimeUs() + kSecondUs + (now_.end_us - now_.begin_us));
  const bool restart = lineage_.restart && Fits(bytes, CeilingBytes(rate, existed));
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
  stones_of_.clear();
  parents_back_.clear();
  reparented_.clear();
  parent_stones_.reset();
  parent_names_.reset();
  stones_before_ = state_.tombstones.size();
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
  const TrafficBytes most = MostSince(ReadHeader(row), RateTo(row, reading));
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
    if (was.parent != is.parent) reparented_.insert(row);
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
