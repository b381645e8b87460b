#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "aggregator/accounting/book.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/limits.h"
#include "common/counters/snapshot.h"

namespace netsentinel::ingest {

// What one frame of a snapshot carries, as views into the message it came in. The meaning of the
// columns is SnapshotFrame's in ingest.proto.
struct FrameColumns {
  std::uint32_t part = 0;
  bool last_part = false;
  bool absolute = false;
  // Part 0 only.
  std::optional<counters::SnapshotHeader> header;
  std::uint32_t queue_count = 0;  // part 0 only
  std::vector<counters::QueueDescriptor> added;
  absl::Span<const std::uint32_t> retired;
  absl::Span<const std::uint32_t> queue_index;
  absl::Span<const std::int64_t> upload;
  absl::Span<const std::int64_t> download;
  absl::Span<const std::int64_t> packets;
  // Part 0 only: what thinning kept of merged snapshots.
  struct Step {
    counters::SnapshotHeader header;
    std::vector<counters::QueueDescriptor> queues;
    std::vector<counters::QueueReading> readings;  // descriptor = position in `queues`
    std::vector<counters::QueueDescriptor> gone;
  };
  std::vector<Step> steps;
};

struct DecoderLimits {
  std::uint32_t queues_max = 1'000'000;
  std::uint32_t parts_max = 4'096;
  std::size_t steps_max = 4'096;  // no more than a journal row can hold
  std::size_t name_bytes_max = counters::kMaxNameBytes;
  // Every other text of a descriptor or header.
  std::size_t text_bytes_max = counters::kMaxDescriptionBytes;
  // Texts of all merged steps of a snapshot together. Those of its queues: counters::MenuTextMax.
  std::size_t step_text_bytes_max = counters::kMostMenuTextBytes;
  // Entries of the dictionary, retired ones included: so many, or so many times the queues.
  std::size_t entries_max = 262'144;
  std::size_t entries_per_queue_max = 8;
  // Numbers given in it, to merged steps too.
  std::size_t numbers_max = 4'000'000;
};

// A whole snapshot in the stream's numbering.
struct DecodedSnapshot {
  counters::SnapshotHeader header;
  // Live entries in ascending index order, absolute counters.
  std::vector<counters::QueueReading> readings;
  std::vector<FrameColumns::Step> steps;
};

// Puts the frames of one (router, menu) on one stream together. After an error it is empty again
// and takes nothing but an absolute snapshot, so that one bad frame cannot bend what follows.
// One thread.
class FrameDecoder {
 public:
  explicit FrameDecoder(const DecoderLimits& limits = {}) : limits_(limits) {}

  // Nothing while parts are missing. kInvalidArgument: the frame breaks the protocol;
  // kResourceExhausted: it passes a limit. The message says which and where.
  absl::StatusOr<std::optional<DecodedSnapshot>> Take(FrameColumns frame);

  // The steps of the snapshot that was taken last, in the dictionary's numbering; until the next
  // Take.
  std::vector<counters::MergedStep> InternSteps(std::vector<FrameColumns::Step> steps);

  // The stream's dictionary; DecodedSnapshot's indices are its until the next Take.
  std::shared_ptr<accounting::StreamDictionary> dictionary() const { return dictionary_; }

 private:
  struct Live {
    bool alive = false;
    counters::QueueReading reading;
  };

  absl::Status Apply(FrameColumns& frame);
  absl::Status Begin(FrameColumns& frame);
  absl::Status TakeDictionary(FrameColumns& frame);
  absl::Status CheckSizes() const;
  counters::DescriptorIndex InternForStep(const counters::QueueDescriptor& queue);
  absl::Status TakeRows(const FrameColumns& frame);
  void Clear();

  DecoderLimits limits_;
  std::shared_ptr<accounting::StreamDictionary> dictionary_ =
      std::make_shared<accounting::StreamDictionary>();
  std::vector<Live> live_;  // by index
  std::uint32_t live_count_ = 0;
  std::uint64_t text_bytes_ = 0;  // of live entries
  // Entries that only the steps of the last snapshot needed.
  std::vector<counters::DescriptorIndex> step_entries_;
  bool primed_ = false;  // an absolute snapshot has been taken whole

  // The snapshot under way.
  std::uint32_t next_part_ = 0;
  bool absolute_ = false;
  std::uint32_t expected_queues_ = 0;
  std::optional<counters::SnapshotHeader> header_;
  std::vector<FrameColumns::Step> steps_;
};

}  // namespace netsentinel::ingest
