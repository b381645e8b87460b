#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"

#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

// How a spool thins itself without losing a byte. Pure.
namespace netsentinel::counters {

// What the steps of one snapshot may come to, so that it stays readable and its first frame small:
// how many, and their bytes on the wire.
inline constexpr std::size_t kMaxMergedSteps = 256;
inline constexpr std::size_t kMaxMergedStepBytes = 128 * 1024;

// Four snapshots of one (router, menu) in the order they were read; their indices are one table's.
struct MergeInput {
  const Snapshot* earlier = nullptr;  // the one before `before`
  const Snapshot* before = nullptr;
  const Snapshot* a = nullptr;  // merged away
  const Snapshot* b = nullptr;  // takes it in
  // Boundary instants of the site, ascending.
  absl::Span<const std::int64_t> boundaries_us;
};

// `b` with `a` merged into it: applied after `before` it counts the same bytes on the same days,
// and leaves the same holds, as `a` and then `b`. Queues whose life changed, whose drop is not
// explained yet, or whose parent's residue would come out otherwise keep their reading at `a` as a
// step. Nothing when the two must stay apart: `a` is a boundary, a boundary instant lies between
// `before` and `b`, the router, its device, the collector's host or its settings changed, too many
// queues were missing, a name or `.id` occurs twice, a queue whose drop is not explained changed
// its name, or the steps would pass their limits.
std::optional<Snapshot> Merge(const MergeInput& input, const DescriptorTable& table);

// At least what a step takes on the wire, where it names its queues in full.
std::size_t StepBytes(const MergedStep& step, const DescriptorTable& table);

}  // namespace netsentinel::counters
