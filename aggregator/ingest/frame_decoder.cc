#include "aggregator/ingest/frame_decoder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::ingest {
namespace {

using counters::DescriptorIndex;
using counters::QueueDescriptor;

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("snapshot frame: ", what));
}

absl::Status CheckText(absl::string_view what, const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("snapshot frame: ", what, " has ", text.size(), " bytes, the limit is ", limit));
}

absl::Status CheckDescriptor(const QueueDescriptor& descriptor, const DecoderLimits& limits) {
  const auto what = [&](absl::string_view text) {
    return absl::StrCat("the ", text, " of queue row ", descriptor.row_id);
  };
  NS_RETURN_IF_ERROR(CheckText(what("name"), descriptor.name, limits.name_bytes_max));
  NS_RETURN_IF_ERROR(CheckText(what("target"), descriptor.target, limits.text_bytes_max));
  NS_RETURN_IF_ERROR(CheckText(what("parent"), descriptor.parent, limits.text_bytes_max));
  return CheckText(what("comment"), descriptor.comment, limits.text_bytes_max);
}

absl::Status CheckHeader(const counters::SnapshotHeader& header, const DecoderLimits& limits) {
  if (header.end_us < header.begin_us) return Malformed("it ends before it begins");
  if (header.host_boot_id.empty()) return Malformed("it has no host_boot_id");
  NS_RETURN_IF_ERROR(CheckText("host_boot_id", header.host_boot_id, limits.text_bytes_max));
  const counters::DeviceIdentity& device = header.device;
  for (const std::string* text : {&device.serial_number, &device.system_id, &device.identity,
                                  &device.board_name, &device.version}) {
    NS_RETURN_IF_ERROR(CheckText("a text of the device", *text, limits.text_bytes_max));
  }
  return absl::OkStatus();
}

absl::Status CheckStep(const FrameColumns::Step& step, const DecoderLimits& limits) {
  NS_RETURN_IF_ERROR(CheckHeader(step.header, limits));
  if (step.queues.size() > limits.queues_max || step.gone.size() > limits.queues_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("snapshot frame: a merged step has more than ", limits.queues_max, " queues"));
  }
  for (const QueueDescriptor& queue : step.queues) {
    NS_RETURN_IF_ERROR(CheckDescriptor(queue, limits));
  }
  for (const QueueDescriptor& queue : step.gone) NS_RETURN_IF_ERROR(CheckDescriptor(queue, limits));
  return absl::OkStatus();
}

}  // namespace

void FrameDecoder::Clear() {
  dictionary_ = std::make_shared<accounting::StreamDictionary>();
  live_.clear();
  live_count_ = 0;
  text_bytes_ = 0;
  step_entries_.clear();
  primed_ = false;
  next_part_ = 0;
  header_.reset();
  steps_.clear();
}

absl::StatusOr<std::optional<DecodedSnapshot>> FrameDecoder::Take(FrameColumns frame) {
  absl::Status status = Apply(frame);
  if (status.ok()) status = CheckSizes();
  if (!status.ok()) {
    Clear();
    return status;
  }
  if (!frame.last_part) return std::nullopt;

  if (live_count_ != expected_queues_) {
    const absl::Status refused = Malformed(absl::StrCat(
        "the columns hold ", live_count_, " queues, the header says ", expected_queues_));
    Clear();
    return refused;
  }
  DecodedSnapshot snapshot;
  snapshot.header = *std::move(header_);
  snapshot.steps = std::move(steps_);
  snapshot.readings.reserve(live_count_);
  for (const Live& entry : live_) {
    if (entry.alive) snapshot.readings.push_back(entry.reading);
  }
  header_.reset();
  steps_.clear();
  next_part_ = 0;
  primed_ = true;
  return snapshot;
}

absl::Status FrameDecoder::Apply(FrameColumns& frame) {
  if (frame.part != next_part_) {
    return Malformed(
        absl::StrCat("part ", frame.part, " came where part ", next_part_, " was due"));
  }
  if (frame.part >= limits_.parts_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("snapshot frame: more than ", limits_.parts_max, " parts"));
  }
  if (frame.part == 0) {
    NS_RETURN_IF_ERROR(Begin(frame));
  } else if (frame.header.has_value() || !frame.steps.empty() || frame.absolute != absolute_) {
    return Malformed("a later part carries a header, steps, or another form than part 0");
  }
  ++next_part_;
  NS_RETURN_IF_ERROR(TakeDictionary(frame));
  return TakeRows(frame);
}

absl::Status FrameDecoder::Begin(FrameColumns& frame) {
  if (!frame.header.has_value()) return Malformed("part 0 has no header");
  NS_RETURN_IF_ERROR(CheckHeader(*frame.header, limits_));
  if (frame.queue_count > limits_.queues_max) {
    return absl::ResourceExhaustedError(absl::StrCat("snapshot frame: ", frame.queue_count,
                                                     " queues, the limit is ", limits_.queues_max));
  }
  if (frame.steps.size() > limits_.steps_max) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "snapshot frame: ", frame.steps.size(), " merged steps, the limit is ", limits_.steps_max));
  }
  std::uint64_t step_texts = 0;
  for (const FrameColumns::Step& step : frame.steps) {
    NS_RETURN_IF_ERROR(CheckStep(step, limits_));
    for (const QueueDescriptor& queue : step.queues) step_texts += counters::TextBytes(queue);
    for (const QueueDescriptor& queue : step.gone) step_texts += counters::TextBytes(queue);
  }
  if (step_texts > limits_.step_text_bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("snapshot frame: names and other texts of merged steps have ", step_texts,
                     " bytes, the limit is ", limits_.step_text_bytes_max));
  }
  for (const DescriptorIndex index : step_entries_) dictionary_->table.Drop(index);
  step_entries_.clear();
  if (!frame.absolute && !primed_) {
    return Malformed("differences without an absolute snapshot before them on this stream");
  }
  if (frame.absolute) Clear();
  absolute_ = frame.absolute;
  expected_queues_ = frame.queue_count;
  header_ = std::move(frame.header);
  steps_ = std::move(frame.steps);
  return absl::OkStatus();
}

absl::Status FrameDecoder::TakeDictionary(FrameColumns& frame) {
  for (const std::uint32_t index : frame.retired) {
    if (index >= live_.size() || !live_[index].alive) {
      return Malformed(absl::StrCat("entry ", index, " is retired but not live"));
    }
    live_[index].alive = false;
    --live_count_;
    const DescriptorIndex entry = live_[index].reading.descriptor;
    if (const QueueDescriptor* gone = dictionary_->table.Find(entry); gone != nullptr) {
      text_bytes_ -= counters::TextBytes(*gone);
    }
    // Merged steps put entries of their own into the table, so the two numberings may differ.
    dictionary_->table.Drop(live_[index].reading.descriptor);
  }
  if (frame.added.size() > limits_.queues_max - std::min(live_count_, limits_.queues_max)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("snapshot frame: more than ", limits_.queues_max, " queues"));
  }
  for (QueueDescriptor& descriptor : frame.added) {
    NS_RETURN_IF_ERROR(CheckDescriptor(descriptor, limits_));
    text_bytes_ += counters::TextBytes(descriptor);
    const DescriptorIndex index = dictionary_->table.next_index();
    if (!dictionary_->table.InsertAt(index, std::move(descriptor)))
      return Malformed("the dictionary is full");
    Live entry;
    entry.alive = true;
    entry.reading.descriptor = index;
    live_.push_back(entry);
    ++live_count_;
  }
  return absl::OkStatus();
}

// What is kept from snapshot to snapshot, and of one whose parts are still coming.
absl::Status FrameDecoder::CheckSizes() const {
  // The queues that the snapshot promises: parts that are under way hold fewer, and old ones more.
  const std::size_t queues = std::max(live_count_, expected_queues_);
  if (text_bytes_ > counters::MenuTextMax(queues)) {
    return absl::ResourceExhaustedError(counters::TooMuchText(text_bytes_, queues));
  }
  if (live_.size() > std::max(limits_.entries_max, limits_.entries_per_queue_max * queues) ||
      dictionary_->table.next_index() > limits_.numbers_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("snapshot frame: the stream's dictionary has ", live_.size(), " entries for ",
                     live_count_, " queues; start it anew with an absolute snapshot"));
  }
  return absl::OkStatus();
}

DescriptorIndex FrameDecoder::InternForStep(const QueueDescriptor& queue) {
  const DescriptorIndex before = dictionary_->table.next_index();
  const DescriptorIndex index = dictionary_->table.Intern(queue);
  if (index == before) step_entries_.push_back(index);
  return index;
}

std::vector<counters::MergedStep> FrameDecoder::InternSteps(std::vector<FrameColumns::Step> steps) {
  std::vector<counters::MergedStep> merged;
  merged.reserve(steps.size());
  for (FrameColumns::Step& step : steps) {
    counters::MergedStep& out = merged.emplace_back();
    out.header = std::move(step.header);
    out.readings.reserve(step.readings.size());
    for (counters::QueueReading reading : step.readings) {
      reading.descriptor = InternForStep(step.queues[reading.descriptor]);
      out.readings.push_back(reading);
    }
    for (const QueueDescriptor& queue : step.gone) out.gone.push_back(InternForStep(queue));
  }
  return merged;
}

absl::Status FrameDecoder::TakeRows(const FrameColumns& frame) {
  const std::size_t rows = frame.queue_index.size();
  if (frame.upload.size() != rows || frame.download.size() != rows ||
      frame.packets.size() != rows) {
    return Malformed(absl::StrCat("columns of unequal length: ", rows, " indices, ",
                                  frame.upload.size(), "/", frame.download.size(), "/",
                                  frame.packets.size(), " counters"));
  }
  std::uint64_t index = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::uint32_t gap = frame.queue_index[i];
    if (i > 0 && gap == 0) return Malformed("a queue index is repeated");
    index = i == 0 ? gap : index + gap;
    if (index >= live_.size() || !live_[index].alive) {
      return Malformed(absl::StrCat("queue index ", index, " is not in the dictionary"));
    }
    counters::QueueReading& reading = live_[index].reading;
    reading.upload += static_cast<std::uint64_t>(frame.upload[i]);
    reading.download += static_cast<std::uint64_t>(frame.download[i]);
    reading.packets += static_cast<std::uint64_t>(frame.packets[i]);
  }
  return absl::OkStatus();
}

}  // namespace netsentinel::ingest
