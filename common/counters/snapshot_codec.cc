#include "common/counters/snapshot_codec.h"

#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/check.h"

namespace netsentinel::counters {
namespace {

using base::AppendBytes;
using base::AppendVarint;
using base::ByteReader;

constexpr char kSpoolVersion = 1;
constexpr char kJournalVersion = 1;

// The flags of a header. Rows of before there were pauses have the first alone.
constexpr std::uint64_t kAtBoundary = 1;
constexpr std::uint64_t kPauseDecided = 2;
constexpr std::uint64_t kWithPause = 4;
constexpr std::uint64_t kAllFlags = kAtBoundary | kPauseDecided | kWithPause;

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged ", what));
}

bool ReadText(ByteReader& in, std::string& text) {
  const std::optional<absl::string_view> bytes = in.Bytes();
  if (!bytes.has_value() || bytes->size() > kMaxTextBytes) return false;
  text.assign(bytes->data(), bytes->size());
  return true;
}

bool ReadU64(ByteReader& in, std::uint64_t& value) {
  const std::optional<std::uint64_t> read = in.Varint();
  if (!read.has_value()) return false;
  value = *read;
  return true;
}

bool ReadI64(ByteReader& in, std::int64_t& value) {
  const std::optional<std::uint64_t> read = in.Varint();
  if (!read.has_value()) return false;
  value = base::UnZigZag(*read);
  return true;
}

bool ReadIndex(ByteReader& in, DescriptorIndex& value) {
  const std::optional<std::uint64_t> read = in.Varint();
  if (!read.has_value() || *read >= kNoRow) return false;
  value = static_cast<DescriptorIndex>(*read);
  return true;
}

// A count of things that take at least `min_bytes` each.
bool ReadCount(ByteReader& in, std::size_t min_bytes, std::size_t most, std::size_t& count) {
  const std::optional<std::uint64_t> read = in.Varint();
  if (!read.has_value() || *read > most || *read > in.remaining() / min_bytes) return false;
  count = static_cast<std::size_t>(*read);
  return true;
}

// Varints are written through a pointer into space made beforehand: the hot loops append nothing
// byte by byte.
char* PutVarint(char* at, std::uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<char>(value);
  return at;
}
constexpr std::size_t kMaxVarint = 10;
constexpr std::size_t kMaxRowBytes = 4 * kMaxVarint;

// Grows `out` in chunks so that a row always fits, and cuts it to size in the end.
class RowWriter {
 public:
  explicit RowWriter(std::string& out) : out_(out), used_(out.size()) {}
  char* Begin() {
    if (out_.size() - used_ < kMaxRowBytes) out_.resize(out_.size() + 4096 + out_.size() / 2);
    return out_.data() + used_;
  }
  void End(const char* at) { used_ = static_cast<std::size_t>(at - out_.data()); }
  void Finish() { out_.resize(used_); }

 private:
  std::string& out_;
  std::size_t used_;
};

std::uint64_t IndexGap(DescriptorIndex before, DescriptorIndex now) {
  return base::ZigZag(static_cast<std::int64_t>(now) - static_cast<std::int64_t>(before));
}

bool ApplyGap(std::uint64_t gap, DescriptorIndex& index) {
  const std::int64_t difference = base::UnZigZag(gap);
  if (difference > static_cast<std::int64_t>(kNoRow) ||
      difference < -static_cast<std::int64_t>(kNoRow)) {
    return false;
  }
  const std::int64_t next = static_cast<std::int64_t>(index) + difference;
  if (next < 0 || next >= static_cast<std::int64_t>(kNoRow)) return false;
  index = static_cast<DescriptorIndex>(next);
  return true;
}

// Rows with absolute counters, and indices as gaps.
void AppendAbsolute(std::string& out, const std::vector<QueueReading>& readings) {
  AppendVarint(out, readings.size());
  RowWriter rows(out);
  DescriptorIndex last = 0;
  for (const QueueReading& r : readings) {
    char* at = rows.Begin();
    at = PutVarint(at, IndexGap(last, r.descriptor));
    at = PutVarint(at, r.upload);
    at = PutVarint(at, r.download);
    at = PutVarint(at, r.packets);
    rows.End(at);
    last = r.descriptor;
  }
  rows.Finish();
}

bool ReadAbsolute(ByteReader& in, std::vector<QueueReading>& readings) {
  std::size_t count = 0;
  if (!ReadCount(in, 4, kMaxQueues, count)) return false;
  readings.reserve(count);
  DescriptorIndex last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t gap = 0;
    QueueReading r;
    if (!ReadU64(in, gap) || !ApplyGap(gap, last)) return false;
    if (!ReadU64(in, r.upload) || !ReadU64(in, r.download) || !ReadU64(in, r.packets)) return false;
    r.descriptor = last;
    readings.push_back(r);
  }
  return true;
}

void AppendIndices(std::string& out, const std::vector<DescriptorIndex>& indices) {
  AppendVarint(out, indices.size());
  DescriptorIndex last = 0;
  for (const DescriptorIndex index : indices) {
    AppendVarint(out, IndexGap(last, index));
    last = index;
  }
}

bool ReadIndices(ByteReader& in, std::vector<DescriptorIndex>& indices) {
  std::size_t count = 0;
  if (!ReadCount(in, 1, kMaxQueues, count)) return false;
  indices.reserve(count);
  DescriptorIndex last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t gap = 0;
    if (!ReadU64(in, gap) || !ApplyGap(gap, last)) return false;
    indices.push_back(last);
  }
  return true;
}

void AppendSteps(std::string& out, const std::vector<MergedStep>& steps) {
  AppendVarint(out, steps.size());
  for (const MergedStep& step : steps) {
    AppendHeader(out, step.header);
    AppendAbsolute(out, step.readings);
    AppendIndices(out, step.gone);
  }
}

bool ReadSteps(ByteReader& in, std::vector<MergedStep>& steps) {
  std::size_t count = 0;
  if (!ReadCount(in, 16, kMaxSteps, count)) return false;
  for (std::size_t i = 0; i < count; ++i) {
    MergedStep& step = steps.emplace_back();
    if (!ReadHeader(in, step.header) || !ReadAbsolute(in, step.readings) ||
        !ReadIndices(in, step.gone)) {
      return false;
    }
  }
  return true;
}

}  // namespace

void AppendHeader(std::string& out, const SnapshotHeader& header) {
  AppendBytes(out, header.host_boot_id);
  AppendVarint(out, base::ZigZag(header.begin_us));
  // Wraps as ReadHeader undoes it: the stamps of a damaged or hostile record can be any number.
  AppendVarint(out, base::EncodeDifference(static_cast<std::uint64_t>(header.begin_us),
                                           static_cast<std::uint64_t>(header.end_us)));
  AppendVarint(out, header.session_id);
  AppendVarint(out, base::ZigZag(header.attribution_us));
  AppendVarint(out, static_cast<std::uint64_t>(header.clock));
  AppendVarint(out, header.router_uptime_s);
  AppendBytes(out, header.device.serial_number);
  AppendBytes(out, header.device.system_id);
  AppendBytes(out, header.device.identity);
  AppendBytes(out, header.device.board_name);
  AppendBytes(out, header.device.version);
  AppendVarint(out, header.settings_fingerprint);
  AppendVarint(out, (header.at_boundary ? kAtBoundary : 0) |
                        (header.pause_decided ? kPauseDecided : 0) |
                        (header.host_paused_us != 0 ? kWithPause : 0));
  AppendVarint(out, header.boundary_skew_ms);
  if (header.host_paused_us != 0) AppendVarint(out, base::ZigZag(header.host_paused_us));
}

bool ReadHeader(ByteReader& in, SnapshotHeader& header) {
  std::uint64_t duration = 0;
  std::uint64_t clock = 0;
  std::uint64_t flags = 0;
  std::uint64_t skew = 0;
  const bool ok =
      ReadText(in, header.host_boot_id) && ReadI64(in, header.begin_us) && ReadU64(in, duration) &&
      ReadU64(in, header.session_id) && ReadI64(in, header.attribution_us) && ReadU64(in, clock) &&
      ReadU64(in, header.router_uptime_s) && ReadText(in, header.device.serial_number) &&
      ReadText(in, header.device.system_id) && ReadText(in, header.device.identity) &&
      ReadText(in, header.device.board_name) && ReadText(in, header.device.version) &&
      ReadU64(in, header.settings_fingerprint) && ReadU64(in, flags) && ReadU64(in, skew);
  if (!ok || clock < 1 || clock > 2 || flags > kAllFlags || skew > 0xFFFFFFFF) return false;
  header.host_paused_us = 0;
  if ((flags & kWithPause) != 0 && !ReadI64(in, header.host_paused_us)) return false;
  header.end_us = static_cast<std::int64_t>(
      base::ApplyDifference(static_cast<std::uint64_t>(header.begin_us), duration));
  header.clock = static_cast<AttributionClock>(clock);
  header.at_boundary = (flags & kAtBoundary) != 0;
  header.pause_decided = (flags & kPauseDecided) != 0;
  header.boundary_skew_ms = static_cast<std::uint32_t>(skew);
  return true;
}

void AppendDescriptor(std::string& out, const QueueDescriptor& d) {
  AppendVarint(out, d.row_id);
  AppendBytes(out, d.name);
  AppendBytes(out, d.target);
  AppendBytes(out, d.parent);
  AppendBytes(out, d.comment);
  AppendVarint(out, (d.dynamic ? 1U : 0U) | (d.disabled ? 2U : 0U) | (d.invalid ? 4U : 0U));
  AppendVarint(out, d.max_limit_upload);
  AppendVarint(out, d.max_limit_download);
  AppendVarint(out, d.burst_limit_upload);
  AppendVarint(out, d.burst_limit_download);
}

bool ReadDescriptor(ByteReader& in, QueueDescriptor& d) {
  std::uint64_t flags = 0;
  const bool ok = ReadU64(in, d.row_id) && ReadText(in, d.name) && ReadText(in, d.target) &&
                  ReadText(in, d.parent) && ReadText(in, d.comment) && ReadU64(in, flags) &&
                  ReadU64(in, d.max_limit_upload) && ReadU64(in, d.max_limit_download) &&
                  ReadU64(in, d.burst_limit_upload) && ReadU64(in, d.burst_limit_download);
  if (!ok || flags > 7) return false;
  d.dynamic = (flags & 1) != 0;
  d.disabled = (flags & 2) != 0;
  d.invalid = (flags & 4) != 0;
  return true;
}

std::string EncodeSelfContained(const Snapshot& snapshot, const DescriptorTable& table) {
  std::string out(1, kSpoolVersion);
  AppendBytes(out, snapshot.router.value());
  AppendVarint(out, static_cast<std::uint64_t>(snapshot.menu));
  AppendHeader(out, snapshot.header);

  // Descriptors are numbered anew, in the order of their first use.
  absl::flat_hash_map<DescriptorIndex, DescriptorIndex> numbers;
  std::vector<DescriptorIndex> used;
  const auto number = [&](DescriptorIndex index) {
    const auto [it, fresh] =
        numbers.try_emplace(index, static_cast<DescriptorIndex>(numbers.size()));
    if (fresh) used.push_back(index);
    return it->second;
  };
  std::vector<QueueReading> readings = snapshot.readings;
  std::vector<MergedStep> steps = snapshot.steps;
  for (QueueReading& r : readings) r.descriptor = number(r.descriptor);
  for (MergedStep& step : steps) {
    for (QueueReading& r : step.readings) r.descriptor = number(r.descriptor);
    for (DescriptorIndex& index : step.gone) index = number(index);
  }
  AppendVarint(out, used.size());
  for (const DescriptorIndex index : used) {
    const QueueDescriptor* descriptor = table.Find(index);
    NS_CHECK(descriptor != nullptr, "a reading whose descriptor is not in its table");
    AppendDescriptor(out, *descriptor);
  }
  AppendAbsolute(out, readings);
  AppendSteps(out, steps);
  return out;
}

absl::StatusOr<SelfContained> DecodeSelfContained(absl::string_view bytes) {
  if (bytes.empty() || bytes.front() != kSpoolVersion) {
    return Damaged("spool row: version is not 1");
  }
  ByteReader in(bytes.substr(1));
  SelfContained result;
  Snapshot& snapshot = result.snapshot;
  std::string router;
  std::uint64_t menu = 0;
  if (!ReadText(in, router) || !ReadU64(in, menu) || menu < 1 || menu > 2 ||
      !ReadHeader(in, snapshot.header)) {
    return Damaged("spool row: header");
  }
  snapshot.router = base::RouterId(std::move(router));
  snapshot.menu = static_cast<Menu>(menu);
  std::size_t count = 0;
  if (!ReadCount(in, 10, 2 * kMaxQueues, count)) return Damaged("spool row: descriptor count");
  for (std::size_t i = 0; i < count; ++i) {
    QueueDescriptor descriptor;
    if (!ReadDescriptor(in, descriptor)) return Damaged("spool row: descriptor");
    result.table.InsertAt(static_cast<DescriptorIndex>(i), std::move(descriptor));
  }
  if (!ReadAbsolute(in, snapshot.readings) || !ReadSteps(in, snapshot.steps) || !in.done()) {
    return Damaged("spool row: readings");
  }
  const auto known = [&](DescriptorIndex index) { return index < count; };
  for (const QueueReading& r : snapshot.readings) {
    if (!known(r.descriptor)) return Damaged("spool row: reading of no descriptor");
  }
  for (const MergedStep& step : snapshot.steps) {
    for (const QueueReading& r : step.readings) {
      if (!known(r.descriptor)) return Damaged("spool row: step of no descriptor");
    }
    for (const DescriptorIndex index : step.gone) {
      if (!known(index)) return Damaged("spool row: step of no descriptor");
    }
  }
  return result;
}

std::string EncodeJournal(const ReadingBase& base, const Snapshot& snapshot,
                          const AddedDescriptors& added) {
  std::string out(1, kJournalVersion);
  AppendHeader(out, snapshot.header);
  AppendVarint(out, added.size());
  for (const auto& [index, descriptor] : added) {
    AppendVarint(out, index);
    AppendDescriptor(out, descriptor);
  }

  std::vector<QueueReading> fresh;
  std::size_t kept = 0;
  std::size_t moved = 0;
  std::string rows_out;
  rows_out.reserve(snapshot.readings.size() * 4);
  RowWriter rows(rows_out);
  DescriptorIndex last = 0;
  for (const QueueReading& now : snapshot.readings) {
    const QueueReading* before = base.Find(now.descriptor);
    if (before == nullptr) {
      fresh.push_back(now);
      continue;
    }
    ++kept;
    if (*before == now) continue;
    ++moved;
    char* at = rows.Begin();
    at = PutVarint(at, IndexGap(last, now.descriptor));
    at = PutVarint(at, base::EncodeDifference(before->upload, now.upload));
    at = PutVarint(at, base::EncodeDifference(before->download, now.download));
    at = PutVarint(at, base::EncodeDifference(before->packets, now.packets));
    rows.End(at);
    last = now.descriptor;
  }
  rows.Finish();
  AppendVarint(out, moved);
  out += rows_out;

  std::vector<DescriptorIndex> removed;
  std::size_t live = 0;
  for (const QueueReading& row : base.rows) live += row.descriptor != kNoRow ? 1U : 0U;
  if (kept != live) {
    std::vector<bool> seen(base.row_of.size());
    for (const QueueReading& now : snapshot.readings) {
      if (now.descriptor < seen.size()) seen[now.descriptor] = true;
    }
    for (const QueueReading& row : base.rows) {
      if (row.descriptor != kNoRow && !seen[row.descriptor]) removed.push_back(row.descriptor);
    }
  }
  AppendIndices(out, removed);
  AppendAbsolute(out, fresh);
  AppendSteps(out, snapshot.steps);
  return out;
}

absl::StatusOr<SnapshotHeader> DecodeJournalHeader(absl::string_view bytes) {
  if (bytes.empty() || bytes.front() != kJournalVersion) {
    return Damaged("journal row: version is not 1");
  }
  ByteReader in(bytes.substr(1));
  SnapshotHeader header;
  if (!ReadHeader(in, header)) return Damaged("journal row: header");
  return header;
}

absl::StatusOr<JournalEntry> DecodeJournal(const ReadingBase& base, const base::RouterId& router,
                                           Menu menu, absl::string_view bytes) {
  if (bytes.empty() || bytes.front() != kJournalVersion) {
    return Damaged("journal row: version is not 1");
  }
  ByteReader in(bytes.substr(1));
  JournalEntry entry;
  entry.snapshot.router = router;
  entry.snapshot.menu = menu;
  if (!ReadHeader(in, entry.snapshot.header)) return Damaged("journal row: header");
  std::size_t count = 0;
  if (!ReadCount(in, 11, 2 * kMaxQueues, count)) return Damaged("journal row: dictionary");
  for (std::size_t i = 0; i < count; ++i) {
    auto& [index, descriptor] = entry.added.emplace_back();
    if (!ReadIndex(in, index) || !ReadDescriptor(in, descriptor)) {
      return Damaged("journal row: dictionary");
    }
    if (i > 0 && index <= entry.added[i - 1].first) return Damaged("journal row: dictionary order");
  }

  std::vector<QueueReading> rows(base.rows.begin(), base.rows.end());
  if (!ReadCount(in, 4, kMaxQueues, count)) return Damaged("journal row: count");
  DescriptorIndex last = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t gap = 0;
    std::uint64_t upload = 0;
    std::uint64_t download = 0;
    std::uint64_t packets = 0;
    if (!ReadU64(in, gap) || !ApplyGap(gap, last) || base.Find(last) == nullptr ||
        !ReadU64(in, upload) || !ReadU64(in, download) || !ReadU64(in, packets)) {
      return Damaged("journal row: moved queue");
    }
    QueueReading& row = rows[base.row_of[last]];
    row.upload = base::ApplyDifference(row.upload, upload);
    row.download = base::ApplyDifference(row.download, download);
    row.packets = base::ApplyDifference(row.packets, packets);
  }
  std::vector<DescriptorIndex> removed;
  if (!ReadIndices(in, removed)) return Damaged("journal row: removed queues");
  for (const DescriptorIndex index : removed) {
    if (base.Find(index) == nullptr) return Damaged("journal row: removed queue");
    rows[base.row_of[index]].descriptor = kNoRow;
  }
  std::erase_if(rows, [](const QueueReading& row) { return row.descriptor == kNoRow; });
  std::vector<QueueReading> fresh;
  if (!ReadAbsolute(in, fresh)) return Damaged("journal row: new queues");
  rows.insert(rows.end(), fresh.begin(), fresh.end());
  entry.snapshot.readings = std::move(rows);
  if (!ReadSteps(in, entry.snapshot.steps) || !in.done()) return Damaged("journal row: steps");
  return entry;
}

}  // namespace netsentinel::counters
