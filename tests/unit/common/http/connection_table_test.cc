#include "common/http/connection_table.h"

#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ConnectionTableTest, TheOldestOfTheSameAddressGivesWayToItsNewest) {
  ConnectionTable table({.total = 10, .reserved = 2, .per_address = 2});
  EXPECT_THAT(table.Add(1, "other"), IsEmpty());
  EXPECT_THAT(table.Add(2, "crowd"), IsEmpty());
  EXPECT_THAT(table.Add(3, "crowd"), IsEmpty());
  EXPECT_THAT(table.Add(4, "crowd"), ElementsAre(2));
  EXPECT_THAT(table.Add(5, "crowd"), ElementsAre(3));
  EXPECT_EQ(table.size(), 3U);
}

TEST(ConnectionTableTest, AFullTableCutsWhoeverHoldsMostPlaces) {
  ConnectionTable table({.total = 4, .reserved = 0, .per_address = 4});
  table.Add(1, "probe");
  table.Add(2, "crowd");
  table.Add(3, "crowd");
  table.Add(4, "crowd");
  EXPECT_THAT(table.Add(5, "second probe"), ElementsAre(2));
  EXPECT_THAT(table.Add(6, "third probe"), ElementsAre(3));
}

TEST(ConnectionTableTest, ARequestThatHasComeInWholeKeepsItsPlaceBeforeOneThatIsWaitedFor) {
  ConnectionTable table({.total = 3, .reserved = 0, .per_address = 3});
  table.Add(1, "a");
  table.Answers(1);
  table.Add(2, "a");
  table.Add(3, "a");
  EXPECT_THAT(table.Add(4, "a"), ElementsAre(2));
  // A slow taker is cut as well when nobody waits.
  table.Answers(3);
  table.Answers(4);
  EXPECT_THAT(table.Add(5, "a"), ElementsAre(1));
}

TEST(ConnectionTableTest, ReservedPlacesAreForRequestsThatHaveComeInWhole) {
  ConnectionTable table({.total = 4, .reserved = 2, .per_address = 4});
  table.Add(1, "a");
  table.Add(2, "b");
  EXPECT_THAT(table.Add(3, "c"), ElementsAre(1)) << "two wait, the other two are reserved";
  table.Answers(3);
  EXPECT_THAT(table.Add(4, "d"), IsEmpty());
}

TEST(ConnectionTableTest, TheNewestIsNeverCutAndTheLimitsHoldUnderAFlood) {
  ConnectionTable table({.total = 128, .reserved = 16, .per_address = 32});
  std::set<ConnectionTable::Id> open;
  for (ConnectionTable::Id id = 1; id <= 20'000; ++id) {
    open.insert(id);
    for (const ConnectionTable::Id lost : table.Add(id, std::to_string(id % 7))) {
      EXPECT_EQ(open.erase(lost), 1U);
    }
    EXPECT_TRUE(open.contains(id));
    ASSERT_LE(open.size(), 112U);
    ASSERT_EQ(open.size(), table.size());
  }
}

TEST(ConnectionTableTest, WhoeverWaitsAgainAfterAnAnswerIsTheNewestOfThoseThatWait) {
  ConnectionTable table({.total = 3, .reserved = 0, .per_address = 3});
  table.Add(1, "a");
  table.Add(2, "a");
  table.Answers(1);
  table.Waits(1);
  EXPECT_EQ(table.TakeSlowest(), 2U);
  EXPECT_EQ(table.TakeSlowest(), 1U);
  EXPECT_EQ(table.TakeSlowest(), 0U);
  table.Waits(1);
  EXPECT_EQ(table.size(), 0U) << "one that was cut does not come back";
}

TEST(AddressGroupTest, AnIpv6NetworkIsOneAddressAndAMappedIpv4AddressItself) {
  const unsigned char one[16] = {0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const unsigned char two[16] = {0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 1};
  const unsigned char far[16] = {0x20, 1, 0xd, 0xb8, 1, 2, 3, 5, 0, 0, 0, 0, 0, 0, 0, 1};
  const unsigned char mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 1};
  const unsigned char plain[4] = {10, 0, 0, 1};
  EXPECT_EQ(AddressGroup(one, 16), AddressGroup(two, 16));
  EXPECT_NE(AddressGroup(one, 16), AddressGroup(far, 16));
  EXPECT_EQ(AddressGroup(mapped, 16), AddressGroup(plain, 4));
}

}  // namespace
}  // namespace netsentinel::http
