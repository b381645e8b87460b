#include "collector/spool/pending_readings.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/collector/spool/spool_fixture.h"

namespace netsentinel::spool {
namespace {

using ::testing::ElementsAre;

NewRow Boundary(const MenuKey& key, std::string payload, std::int64_t at) {
  NewRow row = RowOf(key, std::move(payload), at);
  row.at_boundary = true;
  return row;
}

std::vector<std::string> Payloads(const PendingReadings& pending) {
  std::vector<std::string> payloads;
  for (const NewRow& row : pending.All()) payloads.push_back(row.payload);
  return payloads;
}

TEST(PendingReadingsTest, ANewerReadingReplacesTheOneBeforeIt) {
  PendingReadings pending;
  pending.Add(RowOf(Simple("a"), "a1"));
  pending.Add(RowOf(Simple("b"), "b1"));
  pending.Add(RowOf(Simple("a"), "a2"));
  EXPECT_THAT(Payloads(pending), ElementsAre("a2", "b1"));
  EXPECT_EQ(pending.replaced(), 1U);
  EXPECT_EQ(pending.bytes(), 4U);
}

TEST(PendingReadingsTest, BoundaryReadingsStayUntilTheirLimit) {
  PendingReadings pending({.boundaries_per_menu = 2});
  pending.Add(Boundary(Simple("a"), "d1", 1));
  pending.Add(RowOf(Simple("a"), "x"));
  pending.Add(Boundary(Simple("a"), "d2", 2));
  pending.Add(RowOf(Simple("a"), "y"));
  EXPECT_THAT(Payloads(pending), ElementsAre("d1", "d2", "y"));
  pending.Add(Boundary(Simple("a"), "d3", 3));
  EXPECT_THAT(Payloads(pending), ElementsAre("d2", "d3"));
}

TEST(PendingReadingsTest, AtItsByteLimitTheOldestBoundaryGoesAndTheNewestOfEachMenuStays) {
  PendingReadings pending({.bytes_max = 6});
  pending.Add(Boundary(Simple("a"), "aa", 5));
  pending.Add(RowOf(Simple("a"), "A"));
  pending.Add(Boundary(Simple("b"), "bb", 4));
  pending.Add(RowOf(Simple("b"), "BBB"));
  EXPECT_THAT(Payloads(pending), ElementsAre("aa", "A", "BBB"));
  pending.Add(RowOf(Simple("c"), "CCCCC"));
  EXPECT_THAT(Payloads(pending), ElementsAre("A", "BBB", "CCCCC"));
}

}  // namespace
}  // namespace netsentinel::spool
