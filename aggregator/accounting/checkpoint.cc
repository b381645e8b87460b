#include "aggregator/accounting/checkpoint.h"

#include <algorithm>
#include <utility>

#include "aggregator/accounting/checkpoint_fields.h"
#include "common/base/status_macros.h"

namespace netsentinel::accounting {
namespace {

using base::AppendBytes;
using base::AppendVarint;
using counters::QueueReading;

template <typename Map>
std::vector<std::uint32_t> SortedKeys(const Map& map) {
  std::vector<std::uint32_t> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

// Tombstones begin … begin + kQueuesPerPart.
void AppendTombstones(std::string& out, const MenuState& state, std::size_t begin) {
  const std::size_t end = std::min<std::size_t>(begin + kQueuesPerPart, state.tombstones.size());
  AppendVarint(out, end > begin ? end - begin : 0);
  for (std::size_t i = begin; i < end; ++i) {
    const Tombstone& stone = state.tombstones[i];
    AppendReading(out, stone.reading);
    AppendTime(out, stone.read_us);
    AppendTime(out, stone.vanished_us);
  }
}

void DecodeTombstones(Fields& in, MenuState& state) {
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    Tombstone stone;
    stone.reading = in.Reading();
    stone.descriptor = stone.reading.descriptor;
    stone.read_us = in.Time();
    stone.vanished_us = in.Time();
    state.tombstones.push_back(stone);
  }
}

void DecodeHead(Fields& in, StateHead& head, MenuState& state) {
  head.device_key = in.Text();
  head.rows = in.U32();
  in.Require(head.rows <= 2 * counters::kMaxQueues);
  const std::uint32_t next_index = in.U32();
  in.Require(next_index <= kMaxDescriptorIndex);
  if (in.U64() == 1) state.last = in.Header();
  if (in.U64() == 1) state.pending = PendingSnapshot{in.Header(), {}};
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    Hold hold;
    hold.before = in.Reading();
    hold.before_us = in.Time();
    hold.held_us = in.Time();
    hold.existed_us = in.I64();
    in.Require(hold.existed_us >= 0 && hold.existed_us <= 2 * kLatestUs);
    state.holds[row] = hold;
  }
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    state.debts[row] = in.Sum();
  }
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    state.read_at[row] = std::make_shared<const counters::SnapshotHeader>(in.Header());
  }
  DecodeTombstones(in, state);
  if (in.more()) head.snapshots = in.U64();
  // The dictionary ends here though its last entries may be gone. Parts follow with lower numbers.
  head.dictionary_end = next_index;
}

void DecodeStateRows(Fields& in, const StateHead& head, MenuState& state) {
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    QueueReading reading;
    reading.descriptor = kNoRow;
    Slot slot;
    if (in.U64() == 1) {
      reading = in.Reading();
      slot.since_us = in.Time();
      in.Require(reading.descriptor < head.dictionary_end);
      if (!in.ok()) return;
      if (reading.descriptor >= state.row_of.size()) {
        state.row_of.resize(reading.descriptor + 1, kNoRow);
      }
      in.Require(state.row_of[reading.descriptor] == kNoRow);
      state.row_of[reading.descriptor] = static_cast<std::uint32_t>(state.rows.size());
    } else {
      state.free_rows.push_back(static_cast<std::uint32_t>(state.rows.size()));
    }
    in.Require(state.rows.size() < head.rows);
    state.rows.push_back(reading);
    state.slots.push_back(slot);
  }
}

void DecodeDictionary(Fields& in, const StateHead& head, std::uint32_t number, MenuState& state) {
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    const std::uint32_t index = in.U32();
    in.Require(index < head.dictionary_end && index / kQueuesPerPart == number);
    counters::QueueDescriptor descriptor = in.Descriptor();
    if (in.ok()) in.Require(state.dictionary.InsertAt(index, std::move(descriptor)));
  }
}

}  // namespace

std::string EncodeStateHead(const StateHead& head, const MenuState& state) {
  std::string out = Begin();
  AppendBytes(out, head.device_key);
  AppendVarint(out, head.rows);
  AppendVarint(out, state.dictionary.next_index());
  AppendVarint(out, state.last.has_value() ? 1 : 0);
  if (state.last.has_value()) counters::AppendHeader(out, *state.last);
  AppendVarint(out, state.pending.has_value() ? 1 : 0);
  if (state.pending.has_value()) counters::AppendHeader(out, state.pending->header);
  AppendVarint(out, state.holds.size());
  for (const std::uint32_t row : SortedKeys(state.holds)) {
    const Hold& hold = state.holds.at(row);
    AppendVarint(out, row);
    AppendReading(out, hold.before);
    AppendTime(out, hold.before_us);
    AppendTime(out, hold.held_us);
    AppendTime(out, hold.existed_us);
  }
  AppendVarint(out, state.debts.size());
  for (const std::uint32_t row : SortedKeys(state.debts)) {
    AppendVarint(out, row);
    AppendTraffic(out, state.debts.at(row));
  }
  AppendVarint(out, state.read_at.size());
  for (const std::uint32_t row : SortedKeys(state.read_at)) {
    AppendVarint(out, row);
    counters::AppendHeader(out, *state.read_at.at(row));
  }
  AppendTombstones(out, state, 0);
  AppendVarint(out, head.snapshots);
  return Seal(std::move(out));
}

std::string EncodeStateTombstones(const MenuState& state, std::uint32_t number) {
  std::string out = Begin();
  AppendTombstones(out, state, (std::size_t{number} + 1) * kQueuesPerPart);
  return Seal(std::move(out));
}

std::string EncodeStateRows(const MenuState& state, std::uint32_t number) {
  std::string out = Begin();
  const std::size_t begin = std::size_t{number} * kQueuesPerPart;
  const std::size_t end = std::min<std::size_t>(begin + kQueuesPerPart, state.rows.size());
  AppendVarint(out, end > begin ? end - begin : 0);
  for (std::size_t row = begin; row < end; ++row) {
    const bool live = state.rows[row].descriptor != kNoRow;
    AppendVarint(out, live ? 1 : 0);
    if (!live) continue;
    AppendReading(out, state.rows[row]);
    AppendTime(out, state.slots[row].since_us);
  }
  return Seal(std::move(out));
}

std::string EncodeStateDictionary(const MenuState& state, std::uint32_t number) {
  std::string out = Begin();
  const DescriptorIndex begin = number * kQueuesPerPart;
  const DescriptorIndex end =
      std::min<DescriptorIndex>(begin + kQueuesPerPart, state.dictionary.next_index());
  std::size_t live = 0;
  for (DescriptorIndex i = begin; i < end; ++i) live += state.dictionary.Find(i) != nullptr;
  AppendVarint(out, live);
  for (DescriptorIndex i = begin; i < end; ++i) {
    const counters::QueueDescriptor* descriptor = state.dictionary.Find(i);
    if (descriptor == nullptr) continue;
    AppendVarint(out, i);
    counters::AppendDescriptor(out, *descriptor);
  }
  return Seal(std::move(out));
}

std::string EncodeStatePending(const MenuState& state, std::uint32_t number) {
  std::string out = Begin();
  const std::vector<QueueReading>& readings = state.pending->readings;
  const std::size_t begin = std::size_t{number} * kQueuesPerPart;
  const std::size_t end = std::min<std::size_t>(begin + kQueuesPerPart, readings.size());
  AppendVarint(out, end > begin ? end - begin : 0);
  for (std::size_t i = begin; i < end; ++i) AppendReading(out, readings[i]);
  return Seal(std::move(out));
}

absl::Status DecodeStatePart(std::uint32_t part, absl::string_view blob, StateHead& head,
                             MenuState& state) {
  NS_ASSIGN_OR_RETURN(const absl::string_view body, Open(blob));
  Fields in(body);
  switch (KindOfPart(part)) {
    case BlobKind::kHead:
      DecodeHead(in, head, state);
      break;
    case BlobKind::kRows:
      DecodeStateRows(in, head, state);
      break;
    case BlobKind::kDictionary:
      DecodeDictionary(in, head, part & 0xFFFFFF, state);
      break;
    case BlobKind::kPending:
      in.Require(state.pending.has_value());
      for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
        state.pending->readings.push_back(in.Reading());
      }
      break;
    case BlobKind::kTombstones:
      DecodeTombstones(in, state);
      break;
    default:
      in.Require(false);
  }
  return in.done() ? absl::OkStatus() : Damaged("a device's state");
}

absl::Status FinishState(const StateHead& head, MenuState& state) {
  if (state.rows.size() != head.rows) return Damaged("parts of a device's state are missing");
  const auto known = [&](DescriptorIndex index) { return state.dictionary.Find(index) != nullptr; };
  const auto live = [&](std::uint32_t row) {
    return row < state.rows.size() && state.rows[row].descriptor != kNoRow;
  };
  // The numbers that are out are in proportion to those in use, whatever the head says.
  constexpr std::size_t kLeeway = 16;
  bool sound =
      head.dictionary_end <= kLeeway * (kSpareNumbers + kNumbersPerQueue * state.dictionary.live());
  sound = sound && state.dictionary.SkipTo(head.dictionary_end);
  for (const QueueReading& row : state.rows) {
    sound = sound && (row.descriptor == kNoRow || known(row.descriptor));
  }
  for (const Tombstone& stone : state.tombstones) sound = sound && known(stone.descriptor);
  if (state.pending.has_value()) {
    for (const QueueReading& r : state.pending->readings) sound = sound && known(r.descriptor);
  }
  for (const auto& [row, hold] : state.holds) sound = sound && live(row);
  for (const auto& [row, debt] : state.debts) sound = sound && live(row);
  for (const auto& [row, header] : state.read_at) sound = sound && live(row);
  sound = sound && (state.last.has_value() || state.live() == 0);
  if (!sound) return Damaged("a device's state does not fit together");
  state.row_of.resize(state.dictionary.next_index(), kNoRow);
  LinkParents(state);

  // Entries that were dropped after their part had been written.
  std::vector<bool> used(state.dictionary.next_index());
  for (const Tombstone& stone : state.tombstones) used[stone.descriptor] = true;
  if (state.pending.has_value()) {
    for (const QueueReading& r : state.pending->readings) used[r.descriptor] = true;
  }
  for (DescriptorIndex i = 0; i < used.size(); ++i) {
    if (!used[i] && state.row_of[i] == kNoRow) state.dictionary.Drop(i);
  }
  return absl::OkStatus();
}

}  // namespace netsentinel::accounting
