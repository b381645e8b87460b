#include "collector/uplink/frame_encoder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/check.h"
#include "common/base/varint.h"
#include "common/counters/merge.h"

namespace netsentinel::uplink {
namespace {

using counters::QueueDescriptor;
using counters::QueueReading;
using counters::SnapshotHeader;

// Router id, epoch, uuid, sequences, tags and lengths of the columns.
constexpr std::size_t kFrameOverhead = 256;
// Numbers, flags, tags and lengths of a descriptor.
constexpr std::size_t kDescriptorOverhead = 72;

std::size_t VarintBytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

std::size_t BytesOf(const QueueDescriptor& descriptor) {
  return kDescriptorOverhead + descriptor.name.size() + descriptor.target.size() +
         descriptor.parent.size() + descriptor.comment.size();
}

std::size_t BytesOf(const SnapshotHeader& header) {
  const counters::DeviceIdentity& device = header.device;
  return 128 + header.host_boot_id.size() + device.serial_number.size() + device.system_id.size() +
         device.identity.size() + device.board_name.size() + device.version.size();
}

FrameColumns::Step StepOf(const counters::MergedStep& step,
                          const counters::DescriptorTable& table) {
  FrameColumns::Step out{.header = step.header, .queues = {}, .readings = {}, .gone = {}};
  for (const QueueReading& reading : step.readings) {
    const QueueDescriptor* descriptor = table.Find(reading.descriptor);
    NS_CHECK(descriptor != nullptr, "a step's descriptor is not in its table");
    QueueReading copy = reading;
    copy.descriptor = static_cast<counters::DescriptorIndex>(out.queues.size());
    out.queues.push_back(*descriptor);
    out.readings.push_back(copy);
  }
  for (const counters::DescriptorIndex index : step.gone) {
    const QueueDescriptor* descriptor = table.Find(index);
    NS_CHECK(descriptor != nullptr, "a step's descriptor is not in its table");
    out.gone.push_back(*descriptor);
  }
  return out;
}

std::int64_t Difference(std::uint64_t now, std::uint64_t before) {
  return static_cast<std::int64_t>(now - before);
}

// Fills frames one after the other.
class FrameWriter {
 public:
  FrameWriter(std::size_t bytes_max, bool absolute) : bytes_max_(bytes_max), absolute_(absolute) {
    Begin();
  }
  FrameColumns& frame() { return frames_.back(); }
  // Room for `bytes` more, in the frame at hand or a new one.
  void Need(std::size_t bytes) {
    if (frame().bytes_bound + bytes > bytes_max_ && frame().bytes_bound > base_) Begin();
    frame().bytes_bound += bytes;
  }
  // What part 0 carries besides rows does not by itself open a second frame.
  void CountBase(std::size_t bytes) {
    frame().bytes_bound += bytes;
    base_ = frame().bytes_bound;
  }
  void Retire(std::uint32_t index) {
    Need(VarintBytes(index));
    frame().retired.push_back(index);
  }
  void Row(std::uint32_t index, std::int64_t upload, std::int64_t download, std::int64_t packets,
           const QueueDescriptor* added) {
    const std::size_t bytes = VarintBytes(index) + VarintBytes(base::ZigZag(upload)) +
                              VarintBytes(base::ZigZag(download)) +
                              VarintBytes(base::ZigZag(packets)) +
                              (added == nullptr ? 0 : BytesOf(*added));
    Need(bytes);
    FrameColumns& columns = frame();
    if (added != nullptr) columns.added.push_back(*added);
    columns.queue_index.push_back(columns.queue_index.empty() ? index : index - last_index_);
    last_index_ = index;
    columns.upload.push_back(upload);
    columns.download.push_back(download);
    columns.packets.push_back(packets);
  }
  std::vector<FrameColumns> Finish() {
    frame().last_part = true;
    return std::move(frames_);
  }

 private:
  void Begin() {
    FrameColumns next;
    next.part = static_cast<std::uint32_t>(frames_.size());
    next.absolute = absolute_;
    next.bytes_bound = kFrameOverhead;
    base_ = kFrameOverhead;
    frames_.push_back(std::move(next));
  }

  const std::size_t bytes_max_;
  const bool absolute_;
  std::vector<FrameColumns> frames_;
  std::size_t base_ = 0;
  std::uint32_t last_index_ = 0;
};

}  // namespace

void FrameEncoder::Reset() {
  primed_ = false;
  dictionary_ = counters::DescriptorTable();
  live_.clear();
}

std::vector<FrameEncoder::Row> FrameEncoder::TakeRows(const counters::Snapshot& snapshot,
                                                      const counters::DescriptorTable& table,
                                                      bool absolute) {
  std::vector<Row> rows;
  rows.reserve(absolute ? snapshot.readings.size() : snapshot.readings.size() / 2);
  for (const QueueReading& reading : snapshot.readings) {
    const QueueDescriptor* descriptor = table.Find(reading.descriptor);
    NS_CHECK(descriptor != nullptr, "a reading's descriptor is not in its table");
    const counters::DescriptorIndex index = dictionary_.Intern(*descriptor);
    const bool added = index == live_.size();
    if (added) live_.push_back({.alive = true, .last = {.descriptor = index}, .seen_in = 0});
    Live& live = live_[index];
    live.seen_in = snapshot_;
    const Row row{.index = index,
                  .added = added,
                  .upload = Difference(reading.upload, live.last.upload),
                  .download = Difference(reading.download, live.last.download),
                  .packets = Difference(reading.packets, live.last.packets)};
    if (added || row.upload != 0 || row.download != 0 || row.packets != 0) rows.push_back(row);
    live.last.upload = reading.upload;
    live.last.download = reading.download;
    live.last.packets = reading.packets;
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.index < b.index; });
  return rows;
}

std::vector<std::uint32_t> FrameEncoder::RetireUnseen() {
  std::vector<std::uint32_t> retired;
  for (std::size_t index = 0; index < live_.size(); ++index) {
    Live& live = live_[index];
    if (!live.alive || live.seen_in == snapshot_) continue;
    live.alive = false;
    dictionary_.Drop(static_cast<counters::DescriptorIndex>(index));
    retired.push_back(static_cast<std::uint32_t>(index));
  }
  return retired;
}

std::vector<FrameColumns> FrameEncoder::Encode(const counters::Snapshot& snapshot,
                                               const counters::DescriptorTable& table) {
  const std::size_t queues = snapshot.readings.size();
  const std::size_t most =
      std::max(limits_.dictionary_max, limits_.dictionary_per_queue_max * queues);
  if (live_.size() + queues > most) Reset();
  const bool absolute = !primed_;
  primed_ = true;
  ++snapshot_;

  const std::vector<Row> rows = TakeRows(snapshot, table, absolute);
  FrameWriter writer(limits_.frame_bytes_max, absolute);
  writer.frame().header = snapshot.header;
  writer.frame().queue_count = static_cast<std::uint32_t>(snapshot.readings.size());
  writer.CountBase(BytesOf(snapshot.header));
  for (const counters::MergedStep& step : snapshot.steps) {
    writer.frame().steps.push_back(StepOf(step, table));
    writer.CountBase(counters::StepBytes(step, table));
  }
  for (const std::uint32_t index : RetireUnseen()) writer.Retire(index);
  for (const Row& row : rows) {
    writer.Row(row.index, row.upload, row.download, row.packets,
               row.added ? dictionary_.Find(row.index) : nullptr);
  }
  return writer.Finish();
}

}  // namespace netsentinel::uplink
