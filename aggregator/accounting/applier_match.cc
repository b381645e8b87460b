// Which readings are which rows, and steps of merged snapshots.
#include <memory>
#include <utility>

#include "absl/strings/string_view.h"

#include "aggregator/accounting/applier.h"

namespace netsentinel::accounting {
namespace {

using counters::MatchKind;
using counters::QueueReading;
using counters::SnapshotHeader;

}  // namespace

// One that only waits for a child goes on under another name like any other.
bool Applier::IsDisputed(std::uint32_t row) const {
  const auto found = state_.disputes.find(row);
  return found != state_.disputes.end() && !found->second.seen.back().good;
}

counters::Matches Applier::MatchRows(const std::vector<QueueReading>& readings,
                                     bool across_boots) const {
  std::vector<counters::MatchRow> before(state_.rows.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (state_.rows[i].descriptor == kNoRow) continue;
    before[i] = {state_.dictionary.Find(state_.rows[i].descriptor), state_.rows[i],
                 IsDisputed(static_cast<std::uint32_t>(i))};
  }
  std::vector<counters::MatchRow> now(readings.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    now[i] = {state_.dictionary.Find(readings[i].descriptor), readings[i], false};
  }
  return across_boots ? counters::MatchAcrossBoots(before, now)
                      : counters::MatchWithinBoot(before, now);
}

bool Applier::LacksTooMany(const SnapshotHeader& now,
                           const std::vector<QueueReading>& readings) const {
  if (!state_.last.has_value() || !counters::LineageOf(*state_.last, now).same) return false;
  const std::size_t live = state_.live();
  if (live <= 3) return false;
  const counters::Matches matches = MatchRows(readings, false);
  std::size_t matched = 0;
  for (const std::uint32_t now_row : matches.before) matched += now_row != counters::kNoMatch;
  return counters::LacksTooMany(live, live - matched);
}

absl::flat_hash_set<std::uint32_t> Applier::RowsBackAgain(
    const std::vector<QueueReading>& readings) const {
  absl::flat_hash_set<std::uint32_t> missing;
  for (std::uint32_t row = 0; row < state_.rows.size(); ++row) {
    if (state_.rows[row].descriptor != kNoRow) missing.insert(row);
  }
  const counters::Matches pending = MatchRows(state_.pending->readings, false);
  for (const counters::Match& match : pending.now) {
    if (match.kind != MatchKind::kNone) missing.erase(match.before);
  }
  absl::flat_hash_set<std::uint64_t> taken;  // `.id`s that the pending snapshot shows
  for (const QueueReading& reading : state_.pending->readings) {
    taken.insert(state_.dictionary.Find(reading.descriptor)->row_id);
  }
  absl::flat_hash_set<std::uint32_t> back;
  const counters::Matches now = MatchRows(readings, false);
  for (const counters::Match& match : now.now) {
    if (match.kind == MatchKind::kContinues && missing.contains(match.before) &&
        !taken.contains(DescriptorOf(match.before).row_id)) {
      back.insert(match.before);
    }
  }
  return back;
}

counters::Matches Applier::MatchNamed(const std::vector<QueueReading>& readings) const {
  absl::flat_hash_set<std::uint64_t> ids;
  absl::flat_hash_set<absl::string_view> names;
  std::vector<counters::MatchRow> now(readings.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    now[i] = {state_.dictionary.Find(readings[i].descriptor), readings[i], false};
    ids.insert(now[i].descriptor->row_id);
    names.insert(now[i].descriptor->name);
  }
  std::vector<counters::MatchRow> before(state_.rows.size());
  for (std::uint32_t row = 0; row < before.size() && !now.empty(); ++row) {
    if (state_.rows[row].descriptor == kNoRow) continue;
    const counters::QueueDescriptor& descriptor = DescriptorOf(row);
    if (!ids.contains(descriptor.row_id) && !names.contains(descriptor.name)) continue;
    before[row] = {&descriptor, state_.rows[row], IsDisputed(row)};
  }
  return rebooted_ ? counters::MatchAcrossBoots(before, now)
                   : counters::MatchWithinBoot(before, now);
}

bool Applier::TwoRowsOfOneId(const std::vector<QueueReading>& readings) const {
  absl::flat_hash_map<std::uint64_t, int> rows;  // of the `.id`s that the readings name
  for (const QueueReading& r : readings) rows[state_.dictionary.Find(r.descriptor)->row_id] = 0;
  for (std::uint32_t row = 0; row < state_.rows.size() && !rows.empty(); ++row) {
    if (state_.rows[row].descriptor == kNoRow) continue;
    const auto found = rows.find(DescriptorOf(row).row_id);
    if (found != rows.end() && ++found->second > 1) return true;
  }
  return false;
}

absl::Status Applier::ApplyStep(const SnapshotHeader& now, const counters::MergedStep& step) {
  Begin(now);
  const counters::Matches matches = MatchNamed(step.readings);
  ApplyRows(step.readings, matches);
  for (const DescriptorIndex gone : step.gone) {
    const std::uint32_t row = state_.RowOf(gone);
    if (row != kNoRow && known_[row] == Known::kUnread) Vanish(row);
  }
  // A collector does not know that a queue is disputed, and takes a static one that came under its
  // `.id` for it under another name.
  absl::flat_hash_set<std::uint64_t> ids;
  for (const QueueReading& r : step.readings) {
    const counters::QueueDescriptor& d = *state_.dictionary.Find(r.descriptor);
    if (!d.dynamic) ids.insert(d.row_id);
  }
  for (std::uint32_t row = 0; row < parent_before_.size() && !ids.empty(); ++row) {
    if (known_[row] != Known::kUnread || !IsDisputed(row)) continue;
    if (!DescriptorOf(row).dynamic && ids.contains(DescriptorOf(row).row_id)) Vanish(row);
  }
  const Header header = NowShared();
  Finish();
  for (const auto& [row, reading] : writes_) state_.read_at[row] = header;
  last_step_ = now;
  state_.replies = std::min(state_.replies + 1, kEnoughReplies);
  if (!TwoRowsOfOneId(step.readings)) return absl::OkStatus();
  return absl::InvalidArgumentError("a merged step leaves two queues with one .id");
}

}  // namespace netsentinel::accounting
