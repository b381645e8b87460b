#include "collector/uplink/frame_encoder.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/ingest/frame_decoder.h"
#include "collector/routeros/queue_menu_reader.h"
#include "collector/uplink/wire.h"
#include "common/base/random.h"
#include "common/counters/limits.h"
#include "common/counters/merge.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::uplink {
namespace {

using counters::DescriptorTable;
using counters::QueueDescriptor;
using counters::QueueReading;
using counters::Snapshot;

QueueDescriptor Named(const std::string& name, std::uint64_t id) {
  QueueDescriptor descriptor;
  descriptor.row_id = id;
  descriptor.name = name;
  descriptor.target = "10.0.0.1/32";
  return descriptor;
}

// A menu that changes as menus do.
class MovingMenu {
 public:
  explicit MovingMenu(std::uint64_t seed) : random_(seed) {}

  void Add() {
    const std::uint64_t id = next_id_++;
    rows_.emplace_back(Named(absl::StrCat("user-", id), id),
                       QueueReading{.upload = random_.Next(), .download = 7, .packets = 1});
  }
  void Step(int active_percent) {
    for (auto& [descriptor, reading] : rows_) {
      if (random_.Next() % 100 >= static_cast<std::uint64_t>(active_percent)) continue;
      reading.upload += 100 + random_.Next() % 400'000;
      reading.download += 1000 + random_.Next() % 8'000'000;
      reading.packets += 1 + random_.Next() % 6000;
    }
  }
  void Disturb() {
    if (rows_.empty()) return Add();
    const std::size_t at = random_.Next() % rows_.size();
    switch (random_.Next() % 5) {
      case 0:
        Add();
        break;
      case 1:
        rows_.erase(rows_.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 2:
        rows_[at].first.comment += "x";
        break;
      case 3:
        rows_[at].second = {};
        break;
      default:
        std::swap(rows_[at], rows_[0]);
        break;
    }
  }
  // With a table of its own, as a row of the spool has it.
  std::pair<Snapshot, DescriptorTable> Take() const {
    std::pair<Snapshot, DescriptorTable> out;
    out.first.router = base::RouterId("r");
    out.first.header.host_boot_id = "boot";
    out.first.header.end_us = ++const_cast<MovingMenu*>(this)->taken_;
    for (const auto& [descriptor, reading] : rows_) {
      QueueReading copy = reading;
      copy.descriptor = out.second.Intern(descriptor);
      out.first.readings.push_back(copy);
    }
    return out;
  }
  std::map<std::string, std::vector<std::uint64_t>> Truth() const {
    std::map<std::string, std::vector<std::uint64_t>> truth;
    for (const auto& [descriptor, r] : rows_) {
      truth[absl::StrCat(descriptor.name, "/", descriptor.comment)] = {r.upload, r.download,
                                                                       r.packets};
    }
    return truth;
  }

 private:
  base::SeededRandom random_;
  std::uint64_t next_id_ = 1;
  std::int64_t taken_ = 0;
  std::vector<std::pair<QueueDescriptor, QueueReading>> rows_;
};

ingest::FrameColumns AsReceived(const FrameColumns& sent) {
  ingest::FrameColumns got;
  got.part = sent.part;
  got.last_part = sent.last_part;
  got.absolute = sent.absolute;
  got.header = sent.header;
  got.queue_count = sent.queue_count;
  got.added = sent.added;
  got.retired = sent.retired;
  got.queue_index = sent.queue_index;
  got.upload = sent.upload;
  got.download = sent.download;
  got.packets = sent.packets;
  for (const FrameColumns::Step& step : sent.steps) {
    got.steps.push_back({step.header, step.queues, step.readings, step.gone});
  }
  return got;
}

std::map<std::string, std::vector<std::uint64_t>> Decode(ingest::FrameDecoder& decoder,
                                                         const std::vector<FrameColumns>& frames) {
  std::map<std::string, std::vector<std::uint64_t>> out;
  for (const FrameColumns& frame : frames) {
    auto taken = decoder.Take(AsReceived(frame));
    EXPECT_THAT(taken, test::IsOk());
    if (!taken.ok() || !taken->has_value()) continue;
    for (const QueueReading& r : (*taken)->readings) {
      const QueueDescriptor* descriptor = decoder.dictionary()->table.Find(r.descriptor);
      out[absl::StrCat(descriptor->name, "/", descriptor->comment)] = {r.upload, r.download,
                                                                       r.packets};
    }
  }
  return out;
}

TEST(FrameEncoderTest, WhatTheAggregatorDecodesIsWhatTheRouterShowed) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    base::SeededRandom random(seed);
    MovingMenu menu(seed);
    for (std::uint64_t i = 0; i < seed % 17; ++i) menu.Add();
    FrameEncoder encoder({.frame_bytes_max = 300 + random.Next() % 2000});
    ingest::FrameDecoder decoder;
    for (int step = 0; step < 60; ++step) {
      menu.Step(30);
      if (random.Next() % 3 == 0) menu.Disturb();
      if (random.Next() % 20 == 0) {
        encoder.Reset();
      }
      const auto [snapshot, table] = menu.Take();
      ASSERT_EQ(Decode(decoder, encoder.Encode(snapshot, table)), menu.Truth())
          << "seed " << seed << " step " << step;
    }
  }
}

TEST(FrameEncoderTest, MergedStepsArriveWithTheQueuesThatWereGone) {
  MovingMenu menu(2);
  for (int i = 0; i < 3; ++i) menu.Add();
  auto [snapshot, table] = menu.Take();
  counters::MergedStep step;
  step.header = snapshot.header;
  step.header.end_us = 7;
  step.readings.push_back({.descriptor = snapshot.readings[1].descriptor, .download = 42});
  step.gone.push_back(table.Intern(Named("gone", 99)));
  counters::MergedStep empty;
  empty.header = step.header;
  snapshot.steps = {step, empty};

  auto frames = FrameEncoder().Encode(snapshot, table);
  ASSERT_EQ(frames.size(), 1U);
  ingest::FrameDecoder decoder;
  ASSERT_OK_AND_ASSIGN(const auto decoded, decoder.Take(AsReceived(frames[0])));
  ASSERT_TRUE(decoded.has_value());
  ASSERT_EQ(decoded->steps.size(), 2U);
  EXPECT_EQ(decoded->steps[0].header, step.header);
  ASSERT_EQ(decoded->steps[0].queues.size(), 1U);
  EXPECT_EQ(decoded->steps[0].queues[0].name, "user-2");
  EXPECT_EQ(decoded->steps[0].readings[0].download, 42U);
  ASSERT_EQ(decoded->steps[0].gone.size(), 1U);
  EXPECT_EQ(decoded->steps[0].gone[0].name, "gone");
  EXPECT_TRUE(decoded->steps[1].queues.empty());

  const v1::IngestRequest wire =
      ToWire(FrameMessage{.key = {base::RouterId("r"), counters::Menu::kSimple},
                          .spool_uuid = std::string(16, 'u'),
                          .columns = std::move(frames[0])});
  ASSERT_EQ(wire.snapshot().steps_size(), 2);
  ASSERT_EQ(wire.snapshot().steps(0).gone_size(), 1);
  EXPECT_EQ(wire.snapshot().steps(0).gone(0).name(), "gone");
  EXPECT_EQ(wire.snapshot().steps(0).gone(0).row_id(), 99U);
}

TEST(FrameEncoderTest, StepsAtTheirLimitFitIntoOneFrameOfTheProtocol) {
  MovingMenu menu(8);
  for (int i = 0; i < 20'000; ++i) menu.Add();
  auto [snapshot, table] = menu.Take();
  counters::MergedStep step;
  step.header = snapshot.header;
  std::size_t bytes = 0;
  while (snapshot.steps.size() < counters::kMaxMergedSteps) {
    step.readings = {snapshot.readings[snapshot.steps.size()]};
    step.gone = {snapshot.readings[snapshot.steps.size() + 500].descriptor};
    bytes += counters::StepBytes(step, table);
    if (bytes > counters::kMaxMergedStepBytes) break;
    snapshot.steps.push_back(step);
  }
  for (FrameColumns& frame : FrameEncoder().Encode(snapshot, table)) {
    const std::size_t bound = frame.bytes_bound;
    EXPECT_LE(bound, EncoderLimits().frame_bytes_max);
    EXPECT_LE(ToWire(FrameMessage{.key = {base::RouterId("r"), counters::Menu::kSimple},
                                  .spool_uuid = std::string(16, 'u'),
                                  .columns = std::move(frame)})
                  .ByteSizeLong(),
              bound);
  }
}

// The reader keeps to the limits of the other end: nothing is spooled that would be refused for
// ever.
TEST(FrameEncoderTest, WhateverTheReaderTakesTheAggregatorTakes) {
  std::string targets = "10.0.0.1/32";
  for (int n = 1; n < 400; ++n) absl::StrAppend(&targets, ",10.0.", n / 250, ".", n % 250, "/32");
  const std::vector<std::string> words = {"=.id=*1",
                                          "=name=" + std::string(2048, 'n'),
                                          "=parent=" + std::string(2048, 'p'),
                                          "=target=" + targets,
                                          "=comment=" + std::string(60'000, 'c'),
                                          "=bytes=1/2",
                                          "=packets=1/1"};
  Snapshot snapshot;
  DescriptorTable table;
  routeros::QueueMenuReader reader(counters::Menu::kSimple, table);
  reader.Begin();
  reader.AddRow(std::vector<absl::string_view>(words.begin(), words.end()));
  ASSERT_THAT(reader.Finish(snapshot.readings), test::IsOk());
  snapshot.router = base::RouterId("r");
  snapshot.header.host_boot_id = "boot";
  snapshot.header.device.serial_number = counters::DeviceText(std::string(60'000, '\xFF'));
  FrameEncoder encoder;
  ingest::FrameDecoder decoder;
  EXPECT_EQ(Decode(decoder, encoder.Encode(snapshot, table)).size(), 1U);
}

TEST(FrameEncoderTest, IdleQueuesCostNothing) {
  MovingMenu menu(3);
  for (int i = 0; i < 100; ++i) menu.Add();
  FrameEncoder encoder;
  auto first = menu.Take();
  encoder.Encode(first.first, first.second);
  auto second = menu.Take();
  const auto frames = encoder.Encode(second.first, second.second);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_FALSE(frames[0].absolute);
  EXPECT_TRUE(frames[0].queue_index.empty());
  EXPECT_EQ(frames[0].queue_count, 100U);
}

TEST(FrameEncoderTest, ABigSnapshotIsCutIntoFramesUnderTheLimit) {
  MovingMenu menu(4);
  for (int i = 0; i < 20'000; ++i) menu.Add();
  FrameEncoder encoder;
  const auto [snapshot, table] = menu.Take();
  auto frames = encoder.Encode(snapshot, table);
  EXPECT_GT(frames.size(), 3U);
  for (FrameColumns& frame : frames) {
    const std::size_t bound = frame.bytes_bound;
    EXPECT_LE(bound, EncoderLimits().frame_bytes_max);
    const FrameMessage message{.key = {base::RouterId(std::string(64, 'r')), counters::Menu::kTree},
                               .lease_epoch = ~std::uint64_t{0},
                               .spool_uuid = std::string(16, 'u'),
                               .sequence = ~std::uint64_t{0},
                               .previous_sequence = ~std::uint64_t{0},
                               .columns = std::move(frame)};
    EXPECT_LE(ToWire(message).ByteSizeLong(), bound);
  }
}

TEST(FrameEncoderTest, ADictionaryThatIsFullStartsAnew) {
  FrameEncoder encoder({.dictionary_max = 12, .dictionary_per_queue_max = 2});
  ingest::FrameDecoder decoder;
  MovingMenu menu(5);
  for (int i = 0; i < 5; ++i) menu.Add();
  int absolutes = 0;
  for (int step = 0; step < 30; ++step) {
    menu.Disturb();
    menu.Disturb();
    const auto [snapshot, table] = menu.Take();
    const auto frames = encoder.Encode(snapshot, table);
    absolutes += frames[0].absolute ? 1 : 0;
    ASSERT_EQ(Decode(decoder, frames), menu.Truth());
  }
  EXPECT_GT(absolutes, 1);
}

// The budget is bytes for each queue in the snapshot, 1,000 queues, header and address included.
double WireBytesPerQueue(int active_percent) {
  constexpr int kQueues = 1000;
  constexpr int kSnapshots = 20;
  MovingMenu menu(6);
  for (int i = 0; i < kQueues; ++i) menu.Add();
  FrameEncoder encoder;
  const auto first = menu.Take();
  encoder.Encode(first.first, first.second);
  std::size_t bytes = 0;
  for (int i = 0; i < kSnapshots; ++i) {
    menu.Step(active_percent);
    auto [snapshot, table] = menu.Take();
    snapshot.header.host_boot_id = std::string(36, 'b');
    snapshot.header.device = {"SERIAL123456", "", "site-router", "CCR2004", "7.18.2"};
    for (FrameColumns& columns : encoder.Encode(snapshot, table)) {
      bytes += ToWire(FrameMessage{.key = {base::RouterId("hq-core"), counters::Menu::kSimple},
                                   .lease_epoch = 3,
                                   .spool_uuid = std::string(16, 'u'),
                                   .sequence = 1'000'000,
                                   .previous_sequence = 999'999,
                                   .columns = std::move(columns)})
                   .ByteSizeLong();
    }
  }
  return static_cast<double>(bytes) / kQueues / kSnapshots;
}

TEST(FrameEncoderTest, ASteadyStreamKeepsToTheWireBudget) {
  const double at_30 = WireBytesPerQueue(30);
  const double at_90 = WireBytesPerQueue(90);
  std::printf("wire bytes a queue: %.2f with 30 %% of the queues active, %.2f with 90 %%\n", at_30,
              at_90);
  EXPECT_LE(at_30, 3.5);
  EXPECT_LE(at_90, 10.0);
}

}  // namespace
}  // namespace netsentinel::uplink
