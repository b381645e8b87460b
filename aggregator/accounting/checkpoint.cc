#include "aggregator/accounting/checkpoint.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "common/base/crc32c.h"
#include "common/base/status_macros.h"
#include "common/base/varint.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::accounting {
namespace {

using base::AppendBytes;
using base::AppendVarint;
using base::ByteReader;
using base::TrafficBytes;
using counters::QueueReading;

constexpr char kVersion = 1;
constexpr std::size_t kCrcBytes = 4;

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged checkpoint: ", what));
}

std::string Begin() { return std::string(1, kVersion); }

std::string Seal(std::string body) {
  const std::uint32_t crc = base::Crc32c(body);
  for (std::size_t i = 0; i < kCrcBytes; ++i) {
    body.push_back(static_cast<char>((crc >> (8 * i)) & 0xFF));
  }
  return body;
}

absl::StatusOr<absl::string_view> Open(absl::string_view blob) {
  if (blob.size() < 1 + kCrcBytes) return Damaged("too short");
  const absl::string_view body = blob.substr(0, blob.size() - kCrcBytes);
  std::uint32_t crc = 0;
  for (std::size_t i = 0; i < kCrcBytes; ++i) {
    crc |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(blob[body.size() + i])) << (8 * i);
  }
  if (crc != base::Crc32c(body)) return Damaged("its checksum is wrong");
  if (body.front() != kVersion) return Damaged("version is not 1");
  return body.substr(1);
}

// Reads fields one after the other; after the first bad one nothing more is read.
class Fields {
 public:
  explicit Fields(absl::string_view body) : in_(body) {}
  std::uint64_t U64() {
    const std::optional<std::uint64_t> value = in_.Varint();
    ok_ = ok_ && value.has_value();
    return value.value_or(0);
  }
  std::int64_t I64() { return base::UnZigZag(U64()); }
  std::uint32_t U32() {
    const std::uint64_t value = U64();
    ok_ = ok_ && value <= 0xFFFFFFFF;
    return static_cast<std::uint32_t>(value);
  }
  std::size_t Count(std::size_t most) {
    const std::uint64_t value = U64();
    ok_ = ok_ && value <= most && value <= in_.remaining();
    return ok_ ? static_cast<std::size_t>(value) : 0;
  }
  std::string Text() {
    const std::optional<absl::string_view> bytes = in_.Bytes();
    ok_ = ok_ && bytes.has_value();
    return bytes.has_value() ? std::string(*bytes) : std::string();
  }
  TrafficBytes Traffic() {
    TrafficBytes bytes;
    bytes.upload = U64();
    bytes.download = U64();
    return bytes;
  }
  QueueReading Reading() {
    QueueReading reading;
    reading.descriptor = U32();
    reading.upload = U64();
    reading.download = U64();
    reading.packets = U64();
    ok_ = ok_ && reading.descriptor < kMaxDescriptorIndex;
    return reading;
  }
  counters::SnapshotHeader Header() {
    counters::SnapshotHeader header;
    ok_ = ok_ && counters::ReadHeader(in_, header);
    return header;
  }
  counters::QueueDescriptor Descriptor() {
    counters::QueueDescriptor descriptor;
    ok_ = ok_ && counters::ReadDescriptor(in_, descriptor);
    return descriptor;
  }
  void Require(bool condition) { ok_ = ok_ && condition; }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && in_.done(); }

 private:
  ByteReader in_;
  bool ok_ = true;
};

void AppendTraffic(std::string& out, const TrafficBytes& bytes) {
  AppendVarint(out, bytes.upload);
  AppendVarint(out, bytes.download);
}

void AppendReading(std::string& out, const QueueReading& reading) {
  AppendVarint(out, reading.descriptor);
  AppendVarint(out, reading.upload);
  AppendVarint(out, reading.download);
  AppendVarint(out, reading.packets);
}

void AppendTime(std::string& out, std::int64_t us) { AppendVarint(out, base::ZigZag(us)); }

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
    stone.read_us = in.I64();
    stone.vanished_us = in.I64();
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
    hold.before_us = in.I64();
    hold.held_us = in.I64();
    hold.existed_us = in.I64();
    state.holds[row] = hold;
  }
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    state.debts[row] = in.Traffic();
  }
  for (std::size_t n = in.Count(2 * counters::kMaxQueues); n > 0 && in.ok(); --n) {
    const std::uint32_t row = in.U32();
    state.read_at[row] = std::make_shared<const counters::SnapshotHeader>(in.Header());
  }
  DecodeTombstones(in, state);
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
      slot.since_us = in.I64();
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

void DecodeDictionary(Fields& in, const StateHead& head, MenuState& state) {
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    const std::uint32_t index = in.U32();
    in.Require(index < head.dictionary_end);
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
      DecodeDictionary(in, head, state);
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
  bool sound = state.dictionary.SkipTo(head.dictionary_end);
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

std::string EncodeRows(const DaySpan& span, const std::vector<StoredRow>& rows) {
  std::string out = Begin();
  AppendTime(out, span.day - absl::CivilDay(1970, 1, 1));
  AppendVarint(out, span.segment);
  AppendTime(out, span.begin_us);
  AppendTime(out, span.end_us);
  AppendVarint(out, rows.size());
  for (const StoredRow& stored : rows) {
    const DayRow& row = stored.row;
    AppendVarint(out, stored.queue_id);
    AppendVarint(out, stored.subscriber_id);
    AppendTraffic(out, row.best);
    AppendTime(out, row.first_reading_us);
    AppendTime(out, row.last_reading_us);
    AppendTime(out, row.observed_us);
    AppendTime(out, row.observed_until_us);
    AppendVarint(out, row.epochs);
    AppendVarint(out, static_cast<std::uint64_t>(row.grade));
    const RowExtra& extra = stored.extra;
    AppendVarint(out, row.extra == kNoRow ? 0 : 1);
    if (row.extra == kNoRow) continue;
    AppendTraffic(out, extra.estimated_at_start);
    AppendTraffic(out, extra.estimated_at_end);
    AppendTraffic(out, extra.implausible);
    AppendTraffic(out, extra.loss_bound);
    AppendVarint(out, extra.blind_us);
  }
  return Seal(std::move(out));
}

absl::StatusOr<DecodedRows> DecodeRows(absl::string_view blob) {
  NS_ASSIGN_OR_RETURN(const absl::string_view body, Open(blob));
  Fields in(body);
  DecodedRows decoded;
  const std::int64_t day = in.I64();
  const std::uint64_t segment = in.U64();
  in.Require(day > -4'000'000 && day < 4'000'000 && segment <= kMaxCutTimes);
  decoded.span.begin_us = in.I64();
  decoded.span.end_us = in.I64();
  if (!in.ok()) return Damaged("usage rows");
  decoded.span.day = absl::CivilDay(1970, 1, 1) + day;
  decoded.span.segment = static_cast<std::uint8_t>(segment);
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    StoredRow& stored = decoded.rows.emplace_back();
    stored.queue_id = in.U64();
    stored.subscriber_id = in.U64();
    stored.row.best = in.Traffic();
    stored.row.first_reading_us = in.I64();
    stored.row.last_reading_us = in.I64();
    stored.row.observed_us = in.I64();
    stored.row.observed_until_us = in.I64();
    const std::uint64_t epochs = in.U64();
    const std::uint64_t grade = in.U64();
    in.Require(epochs <= 0xFFFF && grade >= 1 && grade <= 4);
    stored.row.epochs = static_cast<std::uint16_t>(epochs);
    stored.row.grade = static_cast<Grade>(grade);
    if (in.U64() != 1) continue;
    stored.extra.estimated_at_start = in.Traffic();
    stored.extra.estimated_at_end = in.Traffic();
    stored.extra.implausible = in.Traffic();
    stored.extra.loss_bound = in.Traffic();
    stored.extra.blind_us = in.U64();
  }
  if (!in.done()) return Damaged("usage rows");
  return decoded;
}

std::string EncodeCalendars(const std::vector<StoredCalendar>& calendars) {
  std::string out = Begin();
  AppendVarint(out, calendars.size());
  for (const StoredCalendar& calendar : calendars) {
    AppendBytes(out, calendar.site);
    AppendVarint(out, calendar.versions.size());
    for (const Calendar::Version& version : calendar.versions) {
      AppendTime(out, version.from_us);
      AppendBytes(out, version.rule.zone.name());
      AppendTime(out, absl::ToInt64Seconds(version.rule.day_start));
      AppendVarint(out, version.rule.cuts.size());
      for (const absl::Duration cut : version.rule.cuts) {
        AppendTime(out, absl::ToInt64Seconds(cut));
      }
    }
  }
  return Seal(std::move(out));
}

absl::StatusOr<std::vector<StoredCalendar>> DecodeCalendars(absl::string_view blob) {
  constexpr std::size_t kMostSites = 100'000;
  constexpr std::size_t kMostVersions = 64;
  constexpr std::int64_t kDaySeconds = 86'400;
  NS_ASSIGN_OR_RETURN(const absl::string_view body, Open(blob));
  Fields in(body);
  std::vector<StoredCalendar> calendars;
  for (std::size_t n = in.Count(kMostSites); n > 0 && in.ok(); --n) {
    StoredCalendar& calendar = calendars.emplace_back();
    calendar.site = in.Text();
    for (std::size_t v = in.Count(kMostVersions); v > 0 && in.ok(); --v) {
      Calendar::Version& version = calendar.versions.emplace_back();
      version.from_us = in.I64();
      const std::string zone = in.Text();
      if (in.ok() && !absl::LoadTimeZone(zone, &version.rule.zone)) {
        return absl::FailedPreconditionError(
            absl::StrCat("site \"", calendar.site, "\" counted days in the time zone \"", zone,
                         "\", which this host does not know: install tzdata"));
      }
      const auto time_of_day = [&] {
        const std::int64_t seconds = in.I64();
        in.Require(seconds >= 0 && seconds < kDaySeconds);
        return absl::Seconds(seconds);
      };
      version.rule.day_start = time_of_day();
      for (std::size_t c = in.Count(kMaxCutTimes); c > 0 && in.ok(); --c) {
        version.rule.cuts.push_back(time_of_day());
      }
      const std::size_t at = calendar.versions.size() - 1;
      in.Require(at == 0 || version.from_us > calendar.versions[at - 1].from_us);
    }
    in.Require(!calendar.versions.empty());
  }
  if (!in.done()) return Damaged("calendars");
  return calendars;
}

std::string EncodeRouter(const StoredRouter& router) {
  std::string out = Begin();
  AppendTime(out, router.open_from_us);
  for (const StoredRouter::Menu& menu : router.menus) {
    AppendVarint(out, menu.next_ordinal);
    AppendVarint(out, menu.current);
    AppendVarint(out, menu.journal_id);
  }
  return Seal(std::move(out));
}

absl::StatusOr<StoredRouter> DecodeRouter(absl::string_view blob) {
  NS_ASSIGN_OR_RETURN(const absl::string_view body, Open(blob));
  Fields in(body);
  StoredRouter router;
  router.open_from_us = in.I64();
  for (StoredRouter::Menu& menu : router.menus) {
    menu.next_ordinal = in.U32();
    menu.current = in.U32();
    menu.journal_id = in.U64();
    in.Require(menu.current <= menu.next_ordinal);
  }
  if (!in.done()) return Damaged("a router's record");
  return router;
}

}  // namespace netsentinel::accounting
