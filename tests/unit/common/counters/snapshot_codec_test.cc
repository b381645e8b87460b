#include "common/counters/snapshot_codec.h"

#include <random>

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace netsentinel::counters {
namespace {

QueueDescriptor NamedQueue(std::uint64_t id, const std::string& name) {
  QueueDescriptor d;
  d.row_id = id;
  d.name = name;
  d.target = "10.0.0.1/32";
  d.comment = "\xff\x01";
  d.dynamic = id % 2 == 0;
  d.max_limit_download = 10'000'000;
  return d;
}

SelfContained Sample() {
  SelfContained s;
  s.snapshot.router = base::RouterId("r1");
  s.snapshot.menu = Menu::kTree;
  s.snapshot.header.host_boot_id = "boot";
  s.snapshot.header.begin_us = 5;
  s.snapshot.header.end_us = 9;
  s.snapshot.header.attribution_us = -3;
  s.snapshot.header.device.serial_number = "SN";
  s.snapshot.header.at_boundary = true;
  s.snapshot.header.host_paused_us = 7'200'000'000;
  s.snapshot.header.pause_decided = true;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const DescriptorIndex index = s.table.Intern(NamedQueue(i + 1, std::string(i, 'q')));
    s.snapshot.readings.push_back({index, i, ~std::uint64_t{0} - i, i * i});
  }
  MergedStep step;
  step.header = s.snapshot.header;
  step.readings = {s.snapshot.readings[3]};
  step.gone = {s.snapshot.readings[1].descriptor};
  s.snapshot.steps = {step};
  return s;
}

TEST(SnapshotCodecTest, ASelfContainedSnapshotComesBackWhole) {
  const SelfContained sample = Sample();
  const std::string bytes = EncodeSelfContained(sample.snapshot, sample.table);
  ASSERT_OK_AND_ASSIGN(const SelfContained back, DecodeSelfContained(bytes));
  EXPECT_EQ(back.snapshot.router, sample.snapshot.router);
  EXPECT_EQ(back.snapshot.menu, sample.snapshot.menu);
  EXPECT_EQ(back.snapshot.header, sample.snapshot.header);
  ASSERT_EQ(back.snapshot.readings.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(back.snapshot.readings[i].download, sample.snapshot.readings[i].download);
    EXPECT_EQ(*back.table.Find(back.snapshot.readings[i].descriptor),
              *sample.table.Find(sample.snapshot.readings[i].descriptor));
  }
  ASSERT_EQ(back.snapshot.steps.size(), 1U);
  EXPECT_EQ(back.snapshot.steps[0].readings.size(), 1U);
  EXPECT_EQ(back.snapshot.steps[0].gone.size(), 1U);
}

TEST(SnapshotCodecTest, EveryTruncationIsRefused) {
  const SelfContained sample = Sample();
  const std::string bytes = EncodeSelfContained(sample.snapshot, sample.table);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(DecodeSelfContained(absl::string_view(bytes).substr(0, n)).status().code(),
              absl::StatusCode::kDataLoss)
        << n;
  }
}

TEST(SnapshotCodecTest, FlippedBitsAreRefusedOrReadWithinBounds) {
  const SelfContained sample = Sample();
  const std::string bytes = EncodeSelfContained(sample.snapshot, sample.table);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string bad = bytes;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const auto back = DecodeSelfContained(bad);
    if (!back.ok()) continue;
    for (const QueueReading& r : back->snapshot.readings) {
      EXPECT_NE(back->table.Find(r.descriptor), nullptr);
    }
  }
}

TEST(SnapshotCodecTest, AJournalRowIsReadAgainstItsBase) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 200; ++round) {
    std::vector<QueueReading> rows;
    std::vector<std::uint32_t> row_of(40, kNoRow);
    for (DescriptorIndex d = 0; d < 30; ++d) {
      if (random() % 4 == 0) continue;
      row_of[d] = static_cast<std::uint32_t>(rows.size());
      rows.push_back({d, random(), random(), random()});
    }
    const ReadingBase base{rows, row_of};
    Snapshot snapshot;
    snapshot.router = base::RouterId("r1");
    snapshot.header.host_boot_id = "b";
    for (const QueueReading& row : rows) {
      if (random() % 8 == 0) continue;  // gone
      snapshot.readings.push_back(row);
      if (random() % 2 == 0) snapshot.readings.back().upload += random() % 1000;
      if (random() % 16 == 0) snapshot.readings.back().download = 0;
    }
    AddedDescriptors added;
    for (DescriptorIndex d = 30; d < 33; ++d) {
      added.emplace_back(d, NamedQueue(d, "new"));
      snapshot.readings.push_back({d, random(), random(), random()});
    }
    const std::string bytes = EncodeJournal(base, snapshot, added);
    ASSERT_OK_AND_ASSIGN(const JournalEntry back,
                         DecodeJournal(base, snapshot.router, snapshot.menu, bytes));
    EXPECT_EQ(back.snapshot.readings, snapshot.readings) << "round " << round;
    EXPECT_EQ(back.added, added);
    ASSERT_OK_AND_ASSIGN(const SnapshotHeader header, DecodeJournalHeader(bytes));
    EXPECT_EQ(header, snapshot.header);
    EXPECT_FALSE(
        DecodeJournal(base, snapshot.router, snapshot.menu, bytes.substr(0, bytes.size() - 1))
            .ok());
  }
}

TEST(SnapshotCodecTest, EveryHeaderComesBackWhole) {
  for (int flags = 0; flags < 8; ++flags) {
    SnapshotHeader header;
    header.host_boot_id = "boot";
    header.end_us = 9;
    header.boundary_skew_ms = 700;
    header.at_boundary = (flags & 1) != 0;
    header.pause_decided = (flags & 2) != 0;
    header.host_paused_us = (flags & 4) != 0 ? 1 : 0;
    std::string bytes;
    AppendHeader(bytes, header);
    base::ByteReader in(bytes);
    SnapshotHeader back;
    back.host_paused_us = 5;  // of whatever was read before
    ASSERT_TRUE(ReadHeader(in, back)) << flags;
    EXPECT_TRUE(in.done());
    EXPECT_EQ(back, header) << flags;
  }
}

// The header's flags were the boundary alone once, and the bytes of that time still lie on disks.
TEST(SnapshotCodecTest, AHeaderOfBeforeThereWerePausesIsRead) {
  SnapshotHeader header;
  header.host_boot_id = "b";
  header.at_boundary = true;
  header.boundary_skew_ms = 3;
  const std::string old(
      "\x01"
      "b"
      "\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x03",
      16);
  base::ByteReader in(old);
  SnapshotHeader back;
  ASSERT_TRUE(ReadHeader(in, back));
  EXPECT_TRUE(in.done());
  EXPECT_EQ(back, header);
  EXPECT_EQ(back.host_paused_us, 0);
  EXPECT_FALSE(back.pause_decided);
}

TEST(SnapshotCodecTest, FlagsThatNobodyKnowsAreRefused) {
  SnapshotHeader header;
  std::string bytes;
  AppendHeader(bytes, header);
  bytes[bytes.size() - 2] = 8;
  base::ByteReader in(bytes);
  EXPECT_FALSE(ReadHeader(in, header));
}

TEST(SnapshotCodecTest, IdleQueuesCostNothingInTheJournal) {
  std::vector<QueueReading> rows;
  std::vector<std::uint32_t> row_of;
  Snapshot snapshot;
  for (std::uint32_t d = 0; d < 10'000; ++d) {
    row_of.push_back(d);
    rows.push_back({d, 1, 2, 3});
  }
  snapshot.readings = rows;
  EXPECT_LT(EncodeJournal({rows, row_of}, snapshot, {}).size(), 64U);
}

}  // namespace
}  // namespace netsentinel::counters
