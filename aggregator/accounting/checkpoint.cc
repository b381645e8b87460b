#include "aggregator/accounting/checkpoint.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"

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

void AppendRate(std::string& out, const Rate& rate) {
  AppendVarint(out, rate.upload);
  AppendVarint(out, rate.download);
}

void AppendLimits(std::string& out, const RowLimits& limits) {
  AppendRate(out, limits.own);
  AppendRate(out, limits.outer);
  AppendVarint(out, limits.parent);
}

RowLimits ReadLimits(Fields& in) {
  RowLimits limits;
  for (Rate* rate : {&limits.own, &limits.outer}) {
    rate->upload = in.U64();
    rate->download = in.U64();
  }
  limits.parent = in.U64();
  return limits;
}

void AppendOwed(std::string& out, const Owed& owed) {
  AppendTraffic(out, owed.least);
  AppendTraffic(out, owed.counted);
  AppendTraffic(out, owed.most);
  AppendTraffic(out, owed.unseen);
}

Owed ReadOwed(Fields& in) {
  Owed owed;
  owed.least = in.Sum();
  owed.counted = in.Sum();
  owed.most = in.Sum();
  owed.unseen = in.Sum();
  return owed;
}

// Many queues were read in few snapshots: each header is written once a blob.
class HeadersOut {
 public:
  void Append(std::string& out, const std::shared_ptr<const counters::SnapshotHeader>& header) {
    const auto [known, fresh] = numbers_.try_emplace(header.get(), numbers_.size());
    AppendVarint(out, known->second);
    if (fresh) counters::AppendHeader(out, *header);
  }

 private:
  absl::flat_hash_map<const counters::SnapshotHeader*, std::size_t> numbers_;
};

class HeadersIn {
 public:
  std::shared_ptr<const counters::SnapshotHeader> Read(Fields& in) {
    const std::uint64_t number = in.U64();
    in.Require(number <= headers_.size());
    if (!in.ok()) return nullptr;
    if (number == headers_.size()) {
      headers_.push_back(std::make_shared<const counters::SnapshotHeader>(in.Header()));
    }
    return headers_[number];
  }

 private:
  std::vector<std::shared_ptr<const counters::SnapshotHeader>> headers_;
};

// Tombstones begin … begin + kQueuesPerPart.
void AppendTombstones(std::string& out, const MenuState& state, std::size_t begin) {
  const std::size_t end = std::min<std::size_t>(begin + kQueuesPerPart, state.tombstones.size());
  AppendVarint(out, end > begin ? end - begin : 0);
  HeadersOut headers;
  for (std::size_t i = begin; i < end; ++i) {
    const Tombstone& stone = state.tombstones[i];
    AppendReading(out, stone.reading);
    AppendTime(out, stone.read_us);
    AppendTime(out, stone.vanished_us);
    headers.Append(out, stone.header);
    AppendLimits(out, stone.limits);
    AppendTraffic(out, stone.noted);
    AppendVarint(out, (stone.may_be_bad ? 1U : 0U) | (stone.is_parent ? 2U : 0U));
    if (!stone.is_parent) continue;
    AppendOwed(out, stone.children);
    AppendOwed(out, stone.debt);
  }
}

// A header for a reading of which only the instant was kept.
std::shared_ptr<const counters::SnapshotHeader> HeaderAt(const MenuState& state,
                                                         std::int64_t at_us) {
  counters::SnapshotHeader header = state.last.value_or(counters::SnapshotHeader{});
  const std::int64_t earlier = std::max<std::int64_t>(header.attribution_us - at_us, 0);
  header.attribution_us = at_us;
  header.begin_us = std::max<std::int64_t>(header.begin_us - earlier, 0);
  header.end_us = std::max(header.end_us - earlier, header.begin_us);
  const auto seconds = static_cast<std::uint64_t>(earlier / kSecondUs);
  header.router_uptime_s -= std::min(header.router_uptime_s, seconds);
  return std::make_shared<const counters::SnapshotHeader>(std::move(header));
}

void DecodeTombstones(Fields& in, MenuState& state) {
  HeadersIn headers;
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    Tombstone stone;
    stone.reading = in.Reading();
    stone.descriptor = stone.reading.descriptor;
    stone.read_us = in.Time();
    stone.vanished_us = in.Time();
    if (in.old()) {
      stone.header = HeaderAt(state, stone.read_us);
    } else {
      stone.header = headers.Read(in);
      stone.limits = ReadLimits(in);
      stone.noted = in.Sum();
      const std::uint64_t flags = in.U64();
      in.Require(flags <= 3);
      stone.may_be_bad = (flags & 1) != 0;
      stone.is_parent = (flags & 2) != 0;
      if (stone.is_parent) {
        stone.children = ReadOwed(in);
        stone.debt = ReadOwed(in);
      }
    }
    if (in.ok()) state.tombstones.push_back(std::move(stone));
  }
}

// A drop that was to be explained by the next reading. The row itself follows in a later part.
void DecodeHolds(Fields& in, MenuState& state) {
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    Dispute dispute;
    Observation before;
    before.reading = in.Reading();
    before.header = HeaderAt(state, in.Time());
    Observation held;
    held.reading.descriptor = kNoRow;
    held.header = HeaderAt(state, in.Time());
    in.Require(in.I64() >= 0);
    dispute.seen = {std::move(before), std::move(held)};
    state.disputes[row] = std::move(dispute);
  }
}

void DecodeDisputes(Fields& in, MenuState& state) {
  HeadersIn headers;
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    Dispute dispute;
    const std::uint64_t flags = in.U64();
    in.Require(flags <= 15);
    dispute.first_is_first = (flags & 1) != 0;
    dispute.waits = (flags & 2) != 0;
    dispute.outlived_parent = (flags & 4) != 0;
    dispute.children = ReadOwed(in);
    dispute.taken_early = in.Sum();
    if ((flags & 8) != 0) {
      for (std::size_t i = in.Count(kMostDisputed + 1); i > 0 && in.ok(); --i) {
        dispute.parents.push_back(in.U32());
      }
    }
    for (std::size_t i = in.Count(kMostDisputed + 1); i > 0 && in.ok(); --i) {
      Observation& seen = dispute.seen.emplace_back();
      seen.reading = in.Reading();
      seen.header = headers.Read(in);
      seen.limits = ReadLimits(in);
      const std::uint64_t marks = in.U64();
      in.Require(marks <= 15);
      seen.may_restart = (marks & 1) != 0;
      seen.may_timeline = (marks & 2) != 0;
      seen.renamed = (marks & 4) != 0;
      seen.good = (marks & 8) != 0;
    }
    in.Require(dispute.seen.size() >= 2);
    if (in.ok()) state.disputes[row] = std::move(dispute);
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
  if (in.old()) DecodeHolds(in, state);
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    if (in.old()) {
      const base::TrafficBytes bytes = in.Sum();
      state.debts[row] = {bytes, bytes, bytes, {}};
    } else {
      state.debts[row] = ReadOwed(in);
    }
  }
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    state.read_at[row] = std::make_shared<const counters::SnapshotHeader>(in.Header());
  }
  DecodeTombstones(in, state);
  if (!in.old()) {
    state.replies = in.U32();
    in.Require(state.replies <= kEnoughReplies);
    for (std::int64_t& at_us : state.resets_us) at_us = in.Time();
  } else {
    state.replies = kEnoughReplies;
  }
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
      if (!in.old()) {
        slot.rate.bytes = in.U64();
        slot.rate.us = in.U64();
        in.Require(slot.rate.us <= 2 * static_cast<std::uint64_t>(kLatestUs));
        const std::uint64_t doubted = in.U64();
        in.Require(doubted <= kMostDisputed);
        slot.base_may_be_bad = static_cast<std::uint8_t>(doubted);
      }
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
  AppendVarint(out, state.debts.size());
  for (const std::uint32_t row : SortedKeys(state.debts)) {
    AppendVarint(out, row);
    AppendOwed(out, state.debts.at(row));
  }
  AppendVarint(out, state.read_at.size());
  for (const std::uint32_t row : SortedKeys(state.read_at)) {
    AppendVarint(out, row);
    counters::AppendHeader(out, *state.read_at.at(row));
  }
  AppendTombstones(out, state, 0);
  AppendVarint(out, state.replies);
  for (const std::int64_t at_us : state.resets_us) AppendTime(out, at_us);
  AppendVarint(out, head.snapshots);
  return Seal(std::move(out));
}

std::string EncodeStateTombstones(const MenuState& state, std::uint32_t number) {
  std::string out = Begin();
  AppendTombstones(out, state, (std::size_t{number} + 1) * kQueuesPerPart);
  return Seal(std::move(out));
}

std::string EncodeStateDisputes(const MenuState& state, std::uint32_t number) {
  std::string out = Begin();
  const std::vector<std::uint32_t> rows = SortedKeys(state.disputes);
  const std::size_t begin = std::size_t{number} * kQueuesPerPart;
  const std::size_t end = std::min<std::size_t>(begin + kQueuesPerPart, rows.size());
  AppendVarint(out, end > begin ? end - begin : 0);
  HeadersOut headers;
  for (std::size_t i = begin; i < end; ++i) {
    const Dispute& dispute = state.disputes.at(rows[i]);
    AppendVarint(out, rows[i]);
    AppendVarint(out, (dispute.first_is_first ? 1U : 0U) | (dispute.waits ? 2U : 0U) |
                          (dispute.outlived_parent ? 4U : 0U) |
                          (dispute.parents.empty() ? 0U : 8U));
    AppendOwed(out, dispute.children);
    AppendTraffic(out, dispute.taken_early);
    if (!dispute.parents.empty()) {
      AppendVarint(out, dispute.parents.size());
      for (const std::uint32_t parent : dispute.parents) AppendVarint(out, parent);
    }
    AppendVarint(out, dispute.seen.size());
    for (const Observation& seen : dispute.seen) {
      AppendReading(out, seen.reading);
      headers.Append(out, seen.header);
      AppendLimits(out, seen.limits);
      AppendVarint(out, (seen.may_restart ? 1U : 0U) | (seen.may_timeline ? 2U : 0U) |
                            (seen.renamed ? 4U : 0U) | (seen.good ? 8U : 0U));
    }
  }
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
    const Slot& slot = state.slots[row];
    AppendTime(out, slot.since_us);
    AppendVarint(out, slot.rate.bytes);
    AppendVarint(out, slot.rate.us);
    AppendVarint(out, slot.base_may_be_bad);
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
  NS_ASSIGN_OR_RETURN(const OpenedBlob opened, Open(blob));
  Fields in(opened);
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
    case BlobKind::kDisputes:
      DecodeDisputes(in, state);
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
  for (auto& [row, dispute] : state.disputes) {
    sound = sound && live(row) && dispute.seen.size() >= 2 &&
            std::all_of(dispute.parents.begin(), dispute.parents.end(), live);
    if (!sound) break;
    // Of an old checkpoint: the reading that was lower is the row's.
    for (Observation& seen : dispute.seen) {
      if (seen.reading.descriptor == kNoRow) seen.reading = state.rows[row];
      seen.reading.descriptor = state.rows[row].descriptor;
    }
  }
  for (const auto& [row, debt] : state.debts) sound = sound && live(row);
  for (const auto& [row, header] : state.read_at) sound = sound && live(row);
  sound = sound && (state.last.has_value() || state.live() == 0);
  if (!sound) return Damaged("a device's state does not fit together");
  state.row_of.resize(state.dictionary.next_index(), kNoRow);
  LinkParents(state);
  NoteLooseEnds(state);

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
