#include "collector/spool/pending_readings.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/counters/snapshot_codec.h"
#include "tests/unit/collector/spool/spool_fixture.h"

namespace netsentinel::spool {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kSecond = 1'000'000;

// A reading of one queue at `second`, on all clocks.
NewRow At(const std::string& router, std::int64_t second, std::uint64_t download,
          std::uint64_t lease_epoch = 3) {
  counters::DescriptorTable table;
  counters::QueueDescriptor descriptor;
  descriptor.name = "q";
  counters::Snapshot snapshot;
  snapshot.router = base::RouterId(router);
  snapshot.header.host_boot_id = "boot";
  snapshot.header.begin_us = snapshot.header.end_us = second * kSecond;
  snapshot.header.attribution_us = second * kSecond;
  snapshot.header.session_id = 1;
  snapshot.header.router_uptime_s = static_cast<std::uint64_t>(10'000 + second);
  snapshot.readings.push_back({.descriptor = table.Intern(descriptor), .download = download});
  return {.key = Simple(router),
          .lease_epoch = lease_epoch,
          .attribution_us = second * kSecond,
          .at_boundary = false,
          .payload = counters::EncodeSelfContained(snapshot, table)};
}

NewRow AtBoundary(const std::string& router, std::int64_t second, std::uint64_t download) {
  NewRow row = At(router, second, download);
  auto decoded = counters::DecodeSelfContained(row.payload);
  decoded->snapshot.header.at_boundary = true;
  row.payload = counters::EncodeSelfContained(decoded->snapshot, decoded->table);
  row.at_boundary = true;
  return row;
}

std::vector<std::uint64_t> Downloads(const PendingReadings& pending) {
  std::vector<std::uint64_t> downloads;
  for (const NewRow& row : pending.All()) {
    const auto decoded = counters::DecodeSelfContained(row.payload);
    downloads.push_back(decoded.ok() ? decoded->snapshot.readings[0].download : 0);
  }
  return downloads;
}

TEST(PendingReadingsTest, KeepsTheFirstTwoOfAMenuAndMergesTheRestIntoTheNewest) {
  PendingReadings pending;
  for (std::int64_t i = 1; i <= 50; ++i) {
    pending.Add(At("a", i * 30, static_cast<std::uint64_t>(i)));
    if (i <= 2) pending.Add(At("b", i * 30, static_cast<std::uint64_t>(100 + i)));
  }
  EXPECT_THAT(Downloads(pending), ElementsAre(1, 2, 50, 101, 102));
  EXPECT_EQ(pending.All()[2].attribution_us, 50 * 30 * kSecond);
  EXPECT_EQ(pending.merged(), 47U);
  EXPECT_EQ(pending.lost(), 0U);
}

TEST(PendingReadingsTest, ADropStaysVisible) {
  PendingReadings pending;
  const std::vector<std::uint64_t> downloads = {10, 20, 900, 5, 30, 40, 50};
  std::int64_t second = 0;
  for (const std::uint64_t download : downloads) pending.Add(At("a", second += 30, download));
  std::vector<std::uint64_t> seen;
  for (const NewRow& row : pending.All()) {
    const auto decoded = counters::DecodeSelfContained(row.payload);
    for (const counters::MergedStep& step : decoded->snapshot.steps) {
      for (const auto& reading : step.readings) seen.push_back(reading.download);
    }
    seen.push_back(decoded->snapshot.readings[0].download);
  }
  // The reading before the drop, the drop, and the one that confirms it.
  EXPECT_THAT(seen, testing::IsSupersetOf({900, 5, 30}));
}

TEST(PendingReadingsTest, BoundaryReadingsStayAndSoDoesWhatLiesOnEitherSideOfABoundary) {
  PendingReadings pending;
  pending.SetBoundaries(base::RouterId("a"), {100 * kSecond, 200 * kSecond});
  for (const std::int64_t second : {10, 20, 30, 40}) {
    pending.Add(At("a", second, static_cast<std::uint64_t>(second)));
  }
  pending.Add(AtBoundary("a", 100, 100));
  for (const std::int64_t second : {110, 120, 130, 140, 210, 220, 230, 240, 250}) {
    pending.Add(At("a", second, static_cast<std::uint64_t>(second)));
  }
  // At 200 nobody read: 140 and 210 are what tells the two days apart.
  EXPECT_THAT(Downloads(pending), ElementsAre(10, 20, 100, 140, 210, 250));
}

TEST(PendingReadingsTest, ReadingsOfTwoLeasesAreNotMerged) {
  PendingReadings pending;
  for (std::int64_t i = 1; i <= 4; ++i) {
    pending.Add(At("a", i * 30, static_cast<std::uint64_t>(i), i < 4 ? 3 : 4));
  }
  EXPECT_THAT(Downloads(pending), ElementsAre(1, 2, 3, 4));
  pending.ForgetLeaseEpochs();
  for (const NewRow& row : pending.All()) EXPECT_EQ(row.lease_epoch, 0U);
}

TEST(PendingReadingsTest, AtItsLimitBoundariesGoFirstAndNoBytesWithThem) {
  PendingReadings pending({.bytes_max = 4000});
  for (std::int64_t day = 1; day <= 20; ++day) {
    pending.Add(AtBoundary("a", day * 1000, static_cast<std::uint64_t>(day * 10)));
    pending.Add(At("a", day * 1000 + 500, static_cast<std::uint64_t>(day * 10 + 5)));
  }
  EXPECT_LE(pending.bytes(), 4000U);
  EXPECT_EQ(pending.lost(), 0U);
  const std::vector<std::uint64_t> downloads = Downloads(pending);
  EXPECT_EQ(downloads[0], 10U);
  EXPECT_EQ(downloads[1], 15U);
  EXPECT_EQ(downloads.back(), 205U);
}

TEST(PendingReadingsTest, WhatCannotBeMergedIsDroppedOldestFirstAndCountedAsLost) {
  PendingReadings pending({.bytes_max = 6});
  pending.Add(RowOf(Simple("a"), "aa"));
  pending.Add(RowOf(Simple("a"), "AA"));
  pending.Add(RowOf(Simple("b"), "BBB"));
  EXPECT_EQ(pending.lost(), 1U);
  EXPECT_EQ(pending.All()[0].payload, "AA");
  // The newest of a menu stays in any case.
  pending.Add(RowOf(Simple("b"), "CCCCCCC"));
  EXPECT_EQ(pending.lost(), 2U);
  EXPECT_EQ(pending.All().size(), 2U);
}

TEST(PendingReadingsTest, GoesInSlicesAndIsEmptyAfterTheLast) {
  PendingReadings pending;
  pending.SetBoundaries(base::RouterId("a"), {});
  for (std::int64_t i = 1; i <= 5; ++i) {
    pending.Add(AtBoundary("a", i * 30, static_cast<std::uint64_t>(i)));
  }
  EXPECT_EQ(pending.Oldest(Simple("a"), 1).size(), 1U);
  const auto slice = pending.Oldest(Simple("a"), 1200);
  ASSERT_EQ(slice.size(), 2U);
  EXPECT_EQ(slice[0].attribution_us, 30 * kSecond);
  pending.Remove(Simple("a"), 2);
  EXPECT_THAT(Downloads(pending), ElementsAre(3, 4, 5));
  EXPECT_TRUE(pending.Has(Simple("a")));
  pending.Remove(Simple("a"), 3);
  EXPECT_TRUE(pending.empty());
  EXPECT_EQ(pending.bytes(), 0U);
}

TEST(PendingReadingsTest, QueuesThatComeAndGoLeaveNothingBehind) {
  PendingReadings pending;
  std::uint64_t most = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    counters::DescriptorTable table;
    counters::QueueDescriptor descriptor;
    descriptor.row_id = i;
    descriptor.name = absl::StrCat("session-", i);
    counters::Snapshot snapshot;
    snapshot.router = base::RouterId("a");
    snapshot.header.router_uptime_s = 5;  // every reading is one of a new boot: none is merged
    snapshot.readings.push_back({.descriptor = table.Intern(descriptor)});
    pending.Add({.key = Simple("a"), .payload = counters::EncodeSelfContained(snapshot, table)});
    pending.Remove(Simple("a"), pending.Oldest(Simple("a"), 1 << 30).size() - 1);
    most = std::max(most, pending.bytes());
  }
  EXPECT_LT(most, std::uint64_t{4} << 20);
}

}  // namespace
}  // namespace netsentinel::spool
