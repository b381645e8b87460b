#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "common/base/varint.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

// Bytes of snapshots at rest: docs/spool-format.md and docs/journal-format.md describe them. No
// decoder trusts a length or a count: what it builds is bounded by the bytes it was given and by
// the limits below, and everything else is kDataLoss.
namespace netsentinel::counters {

// The most queues one menu may have, and the longest name, target, parent or comment.
inline constexpr std::size_t kMaxQueues = 1'000'000;
inline constexpr std::size_t kMaxTextBytes = 65'535;
inline constexpr std::size_t kMaxSteps = 4'096;

// --- pieces that other formats reuse ------------------------------------------------------------
void AppendHeader(std::string& out, const SnapshotHeader& header);
bool ReadHeader(base::ByteReader& in, SnapshotHeader& header);
void AppendDescriptor(std::string& out, const QueueDescriptor& descriptor);
bool ReadDescriptor(base::ByteReader& in, QueueDescriptor& descriptor);

// --- the collector's spool ----------------------------------------------------------------------
// The snapshot with everything needed to read it again: header, every descriptor, absolute
// readings, steps. Every reading's descriptor must be in `table`.
std::string EncodeSelfContained(const Snapshot& snapshot, const DescriptorTable& table);

struct SelfContained {
  Snapshot snapshot;  // indices are `table`'s
  DescriptorTable table;
};
// kDataLoss when the bytes are not what EncodeSelfContained wrote.
absl::StatusOr<SelfContained> DecodeSelfContained(absl::string_view bytes);

// --- the aggregator's journal -------------------------------------------------------------------
inline constexpr std::uint32_t kNoRow = 0xFFFFFFFF;

// The readings that differences are taken against: those of the state's last applied snapshot.
// `rows` may hold holes (descriptor kNoRow); row_of maps a descriptor's index to its row.
struct ReadingBase {
  absl::Span<const QueueReading> rows;
  absl::Span<const std::uint32_t> row_of;

  const QueueReading* Find(DescriptorIndex descriptor) const {
    if (descriptor >= row_of.size() || row_of[descriptor] == kNoRow) return nullptr;
    return &rows[row_of[descriptor]];
  }
};

// Descriptors that a snapshot brought into its menu's dictionary, with the indices they got.
using AddedDescriptors = std::vector<std::pair<DescriptorIndex, QueueDescriptor>>;

// `added` must name every descriptor of the snapshot that the dictionary lacks.
std::string EncodeJournal(const ReadingBase& base, const Snapshot& snapshot,
                          const AddedDescriptors& added);

// The header alone: whose device it is says which state the rest is to be read against.
absl::StatusOr<SnapshotHeader> DecodeJournalHeader(absl::string_view bytes);

struct JournalEntry {
  Snapshot snapshot;
  AddedDescriptors added;
};
// Readings come out in the order of the base, then the new ones. `router` and `menu` are the
// row's.
absl::StatusOr<JournalEntry> DecodeJournal(const ReadingBase& base, const base::RouterId& router,
                                           Menu menu, absl::string_view bytes);

}  // namespace netsentinel::counters
