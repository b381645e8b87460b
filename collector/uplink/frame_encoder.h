#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

namespace netsentinel::uplink {

// One frame of a snapshot as ingest.proto's SnapshotFrame has it: a dictionary that lives as long
// as the stream, and columns over it.
struct FrameColumns {
  std::uint32_t part = 0;
  bool last_part = false;
  bool absolute = false;
  // In part 0 only.
  std::optional<counters::SnapshotHeader> header;
  std::uint32_t queue_count = 0;
  std::vector<counters::QueueDescriptor> added;
  std::vector<std::uint32_t> retired;
  // Gaps; the first is the index itself.
  std::vector<std::uint32_t> queue_index;
  // Absolute counters or differences, as two's complement: a counter may fall, or pass 2⁶³.
  std::vector<std::int64_t> upload;
  std::vector<std::int64_t> download;
  std::vector<std::int64_t> packets;
  struct Step {
    counters::SnapshotHeader header;
    std::vector<counters::QueueDescriptor> queues;
    std::vector<counters::QueueReading> readings;  // descriptor = position in `queues`
    std::vector<counters::QueueDescriptor> gone;
  };
  std::vector<Step> steps;  // in part 0 only
  // At least what the frame takes on the wire, its address included.
  std::size_t bytes_bound = 0;
};

struct EncoderLimits {
  // A frame is closed before it would pass this; one row may, and part 0 by its steps, which
  // counters::Merge bounds.
  std::size_t frame_bytes_max = 256 * 1024;
  // Entries of the dictionary, retired ones included, beyond which it is started anew: so many, or
  // so many times the snapshot's queues. The aggregator takes twice as many.
  std::size_t dictionary_max = 131'072;
  std::size_t dictionary_per_queue_max = 4;
};

// Turns the snapshots of one (router, menu) into the frames of one stream: the first is absolute,
// each further one holds what moved. Give it every snapshot that is sent, in order; after one that
// was not taken, Reset. One thread.
class FrameEncoder {
 public:
  explicit FrameEncoder(EncoderLimits limits = {}) : limits_(limits) {}

  // At least one frame; only the last has last_part.
  std::vector<FrameColumns> Encode(const counters::Snapshot& snapshot,
                                   const counters::DescriptorTable& table);
  // The next snapshot is absolute and starts the dictionary anew.
  void Reset();

 private:
  struct Live {
    bool alive = false;
    counters::QueueReading last;
    std::uint64_t seen_in = 0;
  };
  struct Row {
    std::uint32_t index = 0;
    bool added = false;
    std::int64_t upload = 0;
    std::int64_t download = 0;
    std::int64_t packets = 0;
  };

  std::vector<Row> TakeRows(const counters::Snapshot& snapshot,
                            const counters::DescriptorTable& table, bool absolute);
  std::vector<std::uint32_t> RetireUnseen();

  const EncoderLimits limits_;
  bool primed_ = false;
  std::uint64_t snapshot_ = 0;
  counters::DescriptorTable dictionary_;
  std::vector<Live> live_;  // by index
};

}  // namespace netsentinel::uplink
