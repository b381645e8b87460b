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

// Takes min(bytes, owed) off both.
void PayOff(std::uint64_t& bytes, std::uint64_t& owed) {
  const std::uint64_t paid = std::min(bytes, owed);
  bytes -= paid;
  owed -= paid;
}

}  // namespace

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
  const std::int64_t boot =
      until - std::min(static_cast<std::int64_t>(successor.now.router_uptime_s) * kSecondUs, until);
  absl::flat_hash_set<absl::string_view> shown;
  if (successor.is_new) {
    for (const auto& [index, descriptor] : *successor.shows) shown.insert(descriptor.name);
  }
  Begin(last);
  for (std::uint32_t row = 0; row < state_.rows.size(); ++row) {
    if (state_.rows[row].descriptor == kNoRow) continue;
    const std::int64_t read = ReadAt(row);
    if (!shown.contains(DescriptorOf(row).name)) {
      AddBlind(row, read, until, {});
      continue;
    }
    AddBlind(row, read, last.attribution_us, {});
    if (from_zero) AddBlind(row, std::max(read, boot), until, {});
  }
}

void Applier::ResolveAll() {
  if (!state_.last.has_value()) return;
  if (state_.pending.has_value()) ApplyPending(state_.pending->header.attribution_us, {});
  Begin(*state_.last);
  std::vector<std::uint32_t> rows;
  for (const auto& [row, hold] : state_.holds) rows.push_back(row);
  std::sort(rows.begin(), rows.end());
  for (const std::uint32_t row : rows) ResolveAsReset(row);
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
  for (const std::uint32_t row : freed_) {
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

// --- parents

void Applier::SettleParents() {
  absl::flat_hash_map<std::uint32_t, TrafficBytes> owed = std::move(state_.debts);
  state_.debts.clear();
  for (const Part& part : parts_) {
    const std::uint32_t now = state_.slots[part.row].parent;
    const std::uint32_t before = parent_before_[part.row];
    if (now != kNoRow) owed[now] += part.delta.bytes;
    if (before != kNoRow && before != now) owed[before] += part.delta.bytes;
  }
  if (owed.empty()) return;
  for (Part& part : parts_) {
    const auto found = owed.find(part.row);
    if (found == owed.end()) continue;
    PayOff(part.delta.bytes.upload, found->second.upload);
    PayOff(part.delta.bytes.download, found->second.download);
  }
  for (const auto& [parent, rest] : owed) {
    // What a parent moved before its baseline is not known, so nothing can be taken off it.
    const bool unknown = known_[parent] == Known::kBaseline || known_[parent] == Known::kGone;
    if (!unknown && !rest.zero()) state_.debts[parent] = rest;
  }
}

void Applier::Settle() {
  if (context_.settings.parents == ParentsMode::kResidue) SettleParents();
  for (const Part& part : parts_) {
    if (part.delta.bytes.zero() || CountsNothing(part.row)) continue;
    effects_.deltas.push_back(part.delta);
  }
  parts_.clear();
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
