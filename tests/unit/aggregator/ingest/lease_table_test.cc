#include "aggregator/ingest/lease_table.h"

#include <string>

#include "gtest/gtest.h"

namespace netsentinel::ingest {
namespace {

const base::RouterId kRouter("hq-core");
const LeaseParty kFirst{base::CollectorId("one"), std::string(16, 'a')};
const LeaseParty kFirstRestored{base::CollectorId("one"), std::string(16, 'r')};
const LeaseParty kSecond{base::CollectorId("two"), std::string(16, 'b')};

TEST(LeaseTableTest, TheHolderKeepsItsEpochWhenItComesBack) {
  LeaseTable table(absl::Seconds(30));
  EXPECT_EQ(table.Ask(kRouter, kFirst, absl::Seconds(0)), LeaseTable::Answer::kFree);
  table.Grant(kRouter, kFirst, 7, absl::Seconds(0));
  EXPECT_EQ(table.Ask(kRouter, kFirst, absl::Seconds(100)), LeaseTable::Answer::kHeld);
  EXPECT_EQ(table.Find(kRouter)->epoch, 7U);
}

TEST(LeaseTableTest, AnotherCollectorWaitsUntilTheLeaseLapses) {
  LeaseTable table(absl::Seconds(30));
  table.Grant(kRouter, kFirst, 1, absl::Seconds(0));
  EXPECT_EQ(table.Ask(kRouter, kSecond, absl::Seconds(29)), LeaseTable::Answer::kForeign);
  EXPECT_TRUE(table.Extend(kRouter, kFirst, absl::Seconds(29)));
  EXPECT_EQ(table.Ask(kRouter, kSecond, absl::Seconds(58)), LeaseTable::Answer::kForeign);
  EXPECT_EQ(table.Ask(kRouter, kSecond, absl::Seconds(59)), LeaseTable::Answer::kFree);
}

TEST(LeaseTableTest, ACollectorWithAnotherSpoolNeedsANewEpochButNotAWait) {
  LeaseTable table(absl::Seconds(30));
  table.Grant(kRouter, kFirst, 1, absl::Seconds(0));
  EXPECT_EQ(table.Ask(kRouter, kFirstRestored, absl::Seconds(1)), LeaseTable::Answer::kFree);
}

TEST(LeaseTableTest, OnlyTheHolderExtendsAndReleases) {
  LeaseTable table(absl::Seconds(30));
  table.Grant(kRouter, kFirst, 1, absl::Seconds(0));
  EXPECT_FALSE(table.Extend(kRouter, kSecond, absl::Seconds(1)));
  table.Release(kRouter, kSecond);
  EXPECT_EQ(table.Ask(kRouter, kSecond, absl::Seconds(2)), LeaseTable::Answer::kForeign);
  table.Release(kRouter, kFirst);
  EXPECT_EQ(table.Ask(kRouter, kSecond, absl::Seconds(2)), LeaseTable::Answer::kFree);
}

}  // namespace
}  // namespace netsentinel::ingest
