#include "collector/spool/pending_readings.h"

#include <algorithm>
#include <utility>

#include "absl/types/span.h"

#include "common/base/check.h"
#include "common/counters/merge.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::spool {
namespace {

using counters::DescriptorIndex;
using counters::QueueReading;

// A header with its texts, and what vectors and the row around it take.
constexpr std::uint64_t kHeaderBytes = 512;
constexpr std::size_t kStaleDescriptors = 4096;

std::uint64_t BytesOf(const counters::Snapshot& snapshot) {
  std::uint64_t bytes = kHeaderBytes + snapshot.readings.size() * sizeof(QueueReading);
  for (const counters::MergedStep& step : snapshot.steps) {
    bytes += kHeaderBytes + step.readings.size() * sizeof(QueueReading) +
             step.gone.size() * sizeof(DescriptorIndex);
  }
  return bytes;
}

std::uint64_t BytesOf(const counters::QueueDescriptor& d) {
  // Beside the texts the entry itself and its place in the table.
  return sizeof(d) + 64 + d.name.size() + d.target.size() + d.parent.size() + d.comment.size();
}

}  // namespace

void PendingReadings::SetBoundaries(const base::RouterId& router,
                                    std::vector<std::int64_t> boundaries_us) {
  boundaries_us_[router] = std::move(boundaries_us);
}

void PendingReadings::Add(NewRow row) {
  MenuQueue& queue = menus_[row.key];
  Held held{.row = std::move(row), .snapshot = std::nullopt, .bytes = 0};
  Decode(queue, held);
  queue.bytes += held.bytes;
  bytes_ += held.bytes;
  queue.rows.push_back(std::move(held));
  if (queue.rows.size() >= 4) {
    MergeIntoNext(queue, queue.rows.size() - 2, /*across_boundaries=*/false);
  }
  if (queue.table.next_index() > queue.rebuild_at) Rebuild(queue);
  MakeRoom();
}

void PendingReadings::Decode(MenuQueue& queue, Held& held) {
  auto decoded = counters::DecodeSelfContained(held.row.payload);
  if (!decoded.ok()) {
    held.bytes = held.row.payload.size();
    return;
  }
  Intern(queue, decoded->table, decoded->snapshot);
  held.row.payload = std::string();
  held.bytes = BytesOf(decoded->snapshot);
  held.snapshot = std::move(decoded->snapshot);
}

void PendingReadings::Intern(MenuQueue& queue, const counters::DescriptorTable& from,
                             counters::Snapshot& snapshot) {
  const auto renumber = [&](DescriptorIndex& index) {
    const counters::QueueDescriptor* descriptor = from.Find(index);
    NS_CHECK(descriptor != nullptr, "a reading whose descriptor is not in its table");
    const DescriptorIndex next = queue.table.next_index();
    index = queue.table.Intern(*descriptor);
    if (index != next) return;
    queue.table_bytes += BytesOf(*descriptor);
    bytes_ += BytesOf(*descriptor);
  };
  for (QueueReading& reading : snapshot.readings) renumber(reading.descriptor);
  for (counters::MergedStep& step : snapshot.steps) {
    for (QueueReading& reading : step.readings) renumber(reading.descriptor);
    for (DescriptorIndex& gone : step.gone) renumber(gone);
  }
}

void PendingReadings::Rebuild(MenuQueue& queue) {
  const counters::DescriptorTable old = std::exchange(queue.table, {});
  bytes_ -= std::exchange(queue.table_bytes, 0);
  for (Held& held : queue.rows) {
    if (held.snapshot.has_value()) Intern(queue, old, *held.snapshot);
  }
  queue.rebuild_at = 2 * queue.table.next_index() + kStaleDescriptors;
}

NewRow PendingReadings::Encode(const MenuQueue& queue, const Held& held) {
  NewRow row = held.row;
  if (held.snapshot.has_value()) {
    row.payload = counters::EncodeSelfContained(*held.snapshot, queue.table);
  }
  return row;
}

std::optional<counters::Snapshot> PendingReadings::Merged(const MenuQueue& queue, std::size_t at,
                                                          bool across_boundaries) const {
  if (at < 2 || at + 1 >= queue.rows.size()) return std::nullopt;
  for (std::size_t i = at - 2; i <= at + 1; ++i) {
    if (!queue.rows[i].snapshot.has_value()) return std::nullopt;
  }
  const Held& a = queue.rows[at];
  if (a.row.lease_epoch != queue.rows[at + 1].row.lease_epoch) return std::nullopt;
  counters::MergeInput input{.earlier = &*queue.rows[at - 2].snapshot,
                             .before = &*queue.rows[at - 1].snapshot,
                             .a = &*a.snapshot,
                             .b = &*queue.rows[at + 1].snapshot,
                             .boundaries_us = {}};
  counters::Snapshot uncut;
  if (across_boundaries) {
    uncut = *a.snapshot;
    uncut.header.at_boundary = false;
    input.a = &uncut;
  } else if (const auto known = boundaries_us_.find(a.row.key.router);
             known != boundaries_us_.end()) {
    input.boundaries_us = known->second;
  }
  return counters::Merge(input, queue.table);
}

bool PendingReadings::MergeIntoNext(MenuQueue& queue, std::size_t at, bool across_boundaries) {
  std::optional<counters::Snapshot> merged = Merged(queue, at, across_boundaries);
  if (!merged.has_value()) return false;
  Held& next = queue.rows[at + 1];
  queue.bytes -= next.bytes;
  bytes_ -= next.bytes;
  next.bytes = BytesOf(*merged);
  queue.bytes += next.bytes;
  bytes_ += next.bytes;
  next.snapshot = *std::move(merged);
  Erase(queue, at);
  ++merged_;
  return true;
}

void PendingReadings::Erase(MenuQueue& queue, std::size_t at) {
  queue.bytes -= queue.rows[at].bytes;
  bytes_ -= queue.rows[at].bytes;
  queue.rows.erase(queue.rows.begin() + static_cast<std::ptrdiff_t>(at));
}

void PendingReadings::MakeRoom() {
  while (bytes_ > limits_.bytes_max) {
    MenuQueue* largest = nullptr;
    for (auto& [key, queue] : menus_) {
      if (queue.rows.size() < 2) continue;
      if (largest == nullptr || queue.bytes > largest->bytes) largest = &queue;
    }
    if (largest == nullptr) return;
    bool merged = false;
    for (std::size_t at = 2; !merged && at + 1 < largest->rows.size(); ++at) {
      merged = MergeIntoNext(*largest, at, /*across_boundaries=*/true);
    }
    if (merged) continue;
    Erase(*largest, 0);
    ++lost_;
    Rebuild(*largest);
  }
}

std::vector<NewRow> PendingReadings::All() const {
  std::vector<NewRow> all;
  for (const auto& [key, queue] : menus_) {
    for (const Held& held : queue.rows) all.push_back(Encode(queue, held));
  }
  return all;
}

std::vector<NewRow> PendingReadings::Oldest(const MenuKey& key, std::uint64_t bytes_max) const {
  std::vector<NewRow> oldest;
  const auto found = menus_.find(key);
  if (found == menus_.end()) return oldest;
  std::uint64_t bytes = 0;
  for (const Held& held : found->second.rows) {
    bytes += held.bytes;
    if (!oldest.empty() && bytes > bytes_max) break;
    oldest.push_back(Encode(found->second, held));
  }
  return oldest;
}

void PendingReadings::Remove(const MenuKey& key, std::size_t count) {
  const auto found = menus_.find(key);
  if (found == menus_.end()) return;
  MenuQueue& queue = found->second;
  for (; count > 0 && !queue.rows.empty(); --count) Erase(queue, 0);
  if (!queue.rows.empty()) return;
  bytes_ -= queue.table_bytes;
  menus_.erase(found);
}

void PendingReadings::Clear() {
  menus_.clear();
  bytes_ = 0;
}

void PendingReadings::ForgetLeaseEpochs() {
  for (auto& [key, queue] : menus_) {
    for (Held& held : queue.rows) held.row.lease_epoch = 0;
  }
}

std::vector<MenuKey> PendingReadings::Menus() const {
  std::vector<MenuKey> keys;
  keys.reserve(menus_.size());
  for (const auto& [key, queue] : menus_) keys.push_back(key);
  return keys;
}

}  // namespace netsentinel::spool
