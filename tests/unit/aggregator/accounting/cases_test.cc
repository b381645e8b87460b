#include <gtest/gtest.h>

#include "aggregator/accounting/ledger.h"
#include "aggregator/accounting/usage_sum.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

// Histories from the field: what is sure, what is counted and what may have passed beside it.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

constexpr std::uint64_t k50Mbps = 50'000'000;
constexpr std::uint64_t kRate = 6'250'000;  // bytes a second of it
constexpr std::uint64_t k30GB = 30'000'000'000;
constexpr std::uint64_t k500GB = 500'000'000'000;

class CasesTest : public ::testing::Test {
 protected:
  void SetUp() override { d.Start(); }
  // One queue limited to 50 Mbit/s, its downloads alone.
  void Limited(std::uint64_t download, std::int64_t second, std::uint64_t uptime_s) {
    d.Poll({{1, "alice", 0, download, download, "", false, k50Mbps}}, second, uptime_s);
  }
  void Unlimited(std::uint64_t download, std::int64_t second, std::uint64_t uptime_s) {
    d.Poll({{1, "alice", 0, download, download}}, second, uptime_s);
  }
  UsageSum Of(const std::string& name, int day = 0) const { return d.UsageOf(name, day); }
  void ExpectHolds(const std::string& name, std::uint64_t truth, int day = 0) const {
    d.ExpectHolds(name, truth, day);
  }
  void ExpectExactly(const std::string& name, std::uint64_t truth, int day = 0) const {
    const UsageSum sum = Of(name, day);
    EXPECT_EQ(sum.sure.download, truth) << name;
    EXPECT_EQ(sum.counted.download, truth) << name;
    EXPECT_EQ(sum.unseen.download, 0U) << name;
  }
  int Count(const std::string& kind) const {
    int count = 0;
    for (const EventRecord& e : d.events) count += e.kind == kind ? 1 : 0;
    return count;
  }
  BookDriver d;
};

TEST_F(CasesTest, AQueueThatGetsAnotherNameAndTargetGoesOn) {
  d.Poll({{1, "alice", 0, k30GB, 30'000'000}}, 100, 50'000);
  d.Poll({{1, "bob", 0, k30GB, 30'000'000, "tower-2"}}, 130, 50'030);
  EXPECT_EQ(Of("bob").sure.download, 0U);
  EXPECT_EQ(Of("bob").counted.download, 0U);
  d.Poll({{1, "bob", 0, k30GB + 700, 30'000'001, "tower-2"}}, 160, 50'060);
  EXPECT_EQ(Of("bob").sure.download, 700U);
  EXPECT_EQ(Of("bob").counted.download, 700U);
  EXPECT_TRUE(d.breaches.empty());
}

TEST_F(CasesTest, ACounterTooHighForTheLimitIsNoQueueMadeUnderAnOldId) {
  d.Poll({{1, "alice", 0, k30GB, 30'000'000, "", false, k50Mbps}}, 100, 50'000);
  d.Poll({{1, "bob", 0, k30GB + 9, 30'000'001, "", false, k50Mbps}}, 130, 50'030);
  ExpectExactly("bob", 9);
  EXPECT_EQ(Of("alice").unseen.download, 0U);
}

TEST_F(CasesTest, ARestoredImageIsABaselineAndNoRestart) {
  d.Poll({{1, "alice", 0, k30GB, 30'000'000}, {2, "idle", 0, 7'000'000, 7000}}, 100, 7 * kDay);
  d.session = 2;
  d.Poll({{1, "alice", 0, k30GB - kMiB, 29'000'000}, {2, "idle", 0, 7'000'000, 7000}}, 130,
         6 * kDay);
  for (const std::string name : {"alice", "idle"}) {
    EXPECT_EQ(Of(name).sure.download, 0U) << name;
    EXPECT_EQ(Of(name).counted.download, 0U) << name;
    EXPECT_GT(Of(name).unseen.download, 0U) << name;
    EXPECT_NE(Of(name).grade, Grade::kComplete) << name;
  }
  EXPECT_EQ(Count("timeline_changed"), 1);
  EXPECT_EQ(Count("reboot"), 0);
  EXPECT_TRUE(d.breaches.empty());
}

TEST_F(CasesTest, AnUptimeThatRanAheadIsAnotherTimelineUnlessTheHostMayHavePaused) {
  Unlimited(1000, 100, 50'000);
  d.session = 2;
  Unlimited(1700, 130, 50'630);
  // Either the collector's host stood still for ten minutes, or this is a clone.
  EXPECT_EQ(Of("alice").counted.download, 700U);
  EXPECT_EQ(Of("alice").sure.download, 0U);
  EXPECT_NE(Of("alice").grade, Grade::kComplete);
}

TEST_F(CasesTest, AnotherToolThatResetsEachMinuteIsSeenForWhatItIs) {
  constexpr std::uint64_t kSteady = 500'000;  // bytes a second
  for (std::int64_t t = 15; t <= 495; t += 30) {
    const auto shown = static_cast<std::uint64_t>(t % 60) * kSteady;
    Unlimited(shown, 1000 + t, static_cast<std::uint64_t>(50'000 + t));
  }
  const std::uint64_t truth = 480 * kSteady;
  ExpectHolds("alice", truth);
  // What passes between a reading and the reset after it is on no counter.
  EXPECT_GE(Of("alice").counted.download, truth * 3 / 4);
  EXPECT_EQ(Count("foreign_resets"), 1);
  EXPECT_NE(Of("alice").grade, Grade::kComplete);
}

TEST_F(CasesTest, ACounterThatFallsByOneByteWasNotReset) {
  Limited(5'000'000'000, 100, 50'000);
  Limited(4'999'999'999, 130, 50'030);
  EXPECT_EQ(Of("alice").sure.download, 0U);
  EXPECT_EQ(Of("alice").counted.download, 0U);
  EXPECT_GT(Of("alice").unseen.download, 0U);
  Limited(5'000'000'050, 160, 50'060);
  // 50 if the reading was wrong, 51 if the router took a byte back.
  EXPECT_EQ(Of("alice").sure.download, 50U);
  EXPECT_EQ(Of("alice").counted.download, 51U);
  EXPECT_TRUE(d.breaches.empty());
}

TEST_F(CasesTest, WhatNoLineCarriesIsHeldUntilTheCounterIsBack) {
  Unlimited(1000, 100, 50'000);
  Unlimited(1'000'000'000'000'000, 130, 50'030);
  EXPECT_EQ(Of("alice").counted.download, 0U);
  Unlimited(1500, 160, 50'060);
  ExpectExactly("alice", 500);
}

TEST_F(CasesTest, WhatAChildMovedUnseenIsDoubtOfItsParent) {
  d.Poll({{1, "site", 0, 10'000'000, 10'000}, {2, "child", 0, 5'000'000, 5000, "site", true}}, 100,
         50'000);
  // It redials between the polls: 380 kB under its old session, 960 kB of the site's own.
  d.Poll({{1, "site", 0, 11'440'000, 11'440}, {3, "child", 0, 100'000, 100, "site", true}}, 130,
         50'030);
  ExpectHolds("site", 960'000);
  ExpectHolds("child", 480'000);
  EXPECT_EQ(Of("site").counted.download, 1'340'000U);
  EXPECT_NE(Of("site").grade, Grade::kComplete);
}

TEST_F(CasesTest, OneReplyIsNoProofThatAQueueWasNotThere) {
  d.Poll({{2, "other", 0, 1, 1}}, 100, 50'000);
  d.Poll({{1, "alice", 0, k30GB, 30'000'000, "", false, k50Mbps}, {2, "other", 0, 1, 1}}, 130,
         50'030);
  ExpectHolds("alice", 0);
  EXPECT_EQ(Of("alice").counted.download, 0U);
  EXPECT_NE(Of("alice").grade, Grade::kComplete);
}

TEST_F(CasesTest, AQueueThatTwoRepliesLackedWasMadeSince) {
  d.Poll({{2, "other", 0, 1, 1}}, 100, 50'000);
  d.Poll({{2, "other", 0, 1, 1}}, 130, 50'030);
  d.Poll({{1, "alice", 0, 7000, 7, "", false, k50Mbps}, {2, "other", 0, 1, 1}}, 160, 50'060);
  EXPECT_EQ(Of("alice").sure.download, 7000U);
  EXPECT_EQ(Of("alice").counted.download, 7000U);
}

TEST_F(CasesTest, ZerosInTheVeryFirstReplyAreNoCounter) {
  Limited(0, 100, 50'000);
  Limited(k500GB, 130, 50'030);
  ExpectHolds("alice", 77);
  EXPECT_EQ(Of("alice").counted.download, 0U);
  EXPECT_NE(Of("alice").grade, Grade::kComplete);
  Limited(k500GB + 300, 160, 50'060);
  EXPECT_EQ(Of("alice").sure.download, 300U);
}

TEST_F(CasesTest, ZerosTwiceAndTheOldCounterAgainAreBadReadings) {
  Limited(k500GB, 100, 50'000);
  Limited(0, 130, 50'030);
  Limited(0, 160, 50'060);
  EXPECT_EQ(Of("alice").sure.download, 0U);
  Limited(k500GB + 77, 190, 50'090);
  ExpectExactly("alice", 77);
}

TEST_F(CasesTest, AChildsResetIsNotItsParentsTraffic) {
  constexpr std::uint64_t kMoved = 701'000;
  const auto poll = [&](std::uint64_t site, std::uint64_t child, std::int64_t at) {
    d.Poll({{1, "site", 0, site, site, "", false, k50Mbps},
            {2, "c", 0, child, child, "site", false, k50Mbps}},
           at, static_cast<std::uint64_t>(49'900 + at));
  };
  poll(20'000'000, 10'000'000, 100);
  poll(20'500'000, 500'000, 130);
  poll(20'000'000 + kMoved, kMoved, 160);
  ExpectHolds("site", 0);
  ExpectHolds("c", kMoved);
  EXPECT_EQ(Of("site").sure.download, 0U);
  EXPECT_EQ(Of("site").counted.download, 0U);
  EXPECT_EQ(Of("c").counted.download, kMoved);
  EXPECT_TRUE(d.breaches.empty());
}

TEST_F(CasesTest, AChildMissingFromOneReplyIsNotItsParentsTraffic) {
  const Row other{3, "other", 0, 1, 1};
  const auto site = [&](std::uint64_t bytes) {
    return Row{1, "site", 0, bytes, bytes, "", false, k50Mbps};
  };
  const auto child = [&](std::uint64_t bytes) {
    return Row{2, "c", 0, bytes, bytes, "site", false, k50Mbps};
  };
  d.Poll({site(20'000'000), child(10'000'000), other}, 100, 50'000);
  d.Poll({site(20'500'000), other}, 130, 50'030);
  d.Poll({site(20'701'000), child(10'701'000), other}, 160, 50'060);
  ExpectHolds("site", 0);
  ExpectHolds("c", 701'000);
  EXPECT_EQ(Of("site").sure.download, 0U);
  EXPECT_NE(Of("site").grade, Grade::kComplete);
}

TEST_F(CasesTest, WhatTheGapCanCarryIsUnseenBesideABadReading) {
  Limited(100'000, 100, 50'000);
  Limited(1'600, 130, 50'030);
  Limited(600'000, 160, 50'060);
  // 3 MB passed before a reset that left 1.6 kB.
  ExpectHolds("alice", 3'000'000 + 600'000);
  EXPECT_EQ(Of("alice").sure.download, 500'000U);
}

TEST_F(CasesTest, ASessionThatIsBackUnderItsIdMayBeANewOne) {
  constexpr std::uint64_t kBefore = 180'000'000;
  const auto session = [](std::uint64_t bytes) {
    return Row{1, "alice", 0, bytes, bytes / 1000, "", true, k50Mbps};
  };
  const Row other{2, "other", 0, 1, 1};
  d.Poll({session(kBefore), other}, 100, 50'000);
  d.Poll({other}, 130, 50'030);
  d.Poll({session(kBefore + 40'000'000), other}, 160, 50'060);
  // 29 s at the full rate unseen, then a new session.
  ExpectHolds("alice", 29 * kRate + kBefore + 40'000'000);
  EXPECT_EQ(Of("alice").sure.download, 40'000'000U);
}

TEST_F(CasesTest, ASlowReplyShowsTheCountersOfItsBegin) {
  counters::Snapshot slow = d.Make({{1, "alice", 0, 0, 0, "", false, k50Mbps}}, 100, 50'000);
  slow.readings[0].download = 1'000'000'000;
  slow.readings[0].packets = 1'000'000;
  slow.header.begin_us -= 20'000'000;
  ASSERT_THAT(d.Take(slow), test::IsOk());
  Limited(700, 130, 50'030);
  Limited(900, 160, 50'060);
  // 49 s at the full rate passed between the begin of the slow request and the reset.
  ExpectHolds("alice", 29 * kRate + 900);
}

TEST_F(CasesTest, AQueueFirstSeenAfterARestartMayHaveLivedBeforeIt) {
  d.Poll({{2, "other", 0, 1, 1}}, 100, 50'000);
  d.Poll({{2, "other", 0, 1, 1}}, 130, 50'030);
  d.session = 2;
  d.Poll({{1, "alice", 0, 700, 1, "", false, k50Mbps}, {2, "other", 0, 1, 1}}, 190, 10);
  ExpectHolds("alice", 25 * kRate + 700);
  EXPECT_EQ(Of("alice").sure.download, 700U);
  EXPECT_NE(Of("alice").grade, Grade::kComplete);
}

TEST_F(CasesTest, ADayBesideAMidnightThatNobodyReadHoldsTheWholeDelta) {
  Unlimited(0, kDay - kHour, 50'000);
  d.session = 1;
  constexpr std::uint64_t kAll = 2'000'000'000;
  Unlimited(kAll, kDay + 2 * kHour, static_cast<std::uint64_t>(50'000 + 3 * kHour));
  EXPECT_EQ(Of("alice", 0).counted.download + Of("alice", 1).counted.download, kAll);
  ExpectHolds("alice", kAll, 0);
  ExpectHolds("alice", 0, 0);
  ExpectHolds("alice", kAll, 1);
  ExpectHolds("alice", 0, 1);
  // Both days together hold it for sure.
  std::vector<UsageRow> rows = d.Rows();
  const UsageSum both =
      SumUsage(absl::MakeConstSpan(rows), absl::CivilDay(2026, 1, 1), absl::CivilDay(2026, 1, 2));
  EXPECT_EQ(both.sure.download, kAll);
  EXPECT_EQ(both.unseen.download, 0U);
}

TEST_F(CasesTest, EvidenceSaysWhatADisputedStepMayBe) {
  Limited(k500GB, 100, 50'000);
  Limited(0, 130, 50'030);
  Limited(90'000, 160, 50'060);
  const auto evidence = d.book.Evidence({base::SiteId("site"), base::RouterId("r1"), "alice"},
                                        absl::CivilDay(2026, 1, 1), absl::CivilDay(2026, 1, 1));
  ASSERT_EQ(evidence.size(), 1U);
  ASSERT_EQ(evidence[0].evidence.steps.size(), 1U);
  const DisputedStep& step = evidence[0].evidence.steps[0];
  EXPECT_EQ(step.counted.download, 90'000U);
  EXPECT_EQ(step.doubt.download, 0U);
  EXPECT_GT(step.unseen.download, 0U);
  d.Flush(170);
  d.Restart(180);
  EXPECT_EQ(d.book
                .Evidence({base::SiteId("site"), base::RouterId("r1"), "alice"},
                          absl::CivilDay(2026, 1, 1), absl::CivilDay(2026, 1, 1))[0]
                .evidence,
            evidence[0].evidence);
}

TEST_F(CasesTest, EvidenceIsWrittenWhenItHasGrownAndAgainAfterAFlushThatFailed) {
  Limited(k500GB, 100, 50'000);
  Limited(0, 130, 50'030);
  Limited(90'000, 160, 50'060);
  d.Flush(165, /*fails=*/true);
  EXPECT_EQ(d.flushed_evidence, 1U);
  d.Flush(170);
  EXPECT_EQ(d.flushed_evidence, 1U);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const auto second = static_cast<std::int64_t>(160 + 30 * i);
    Limited(90'000 + 1'000 * i, second, 50'060 + 30 * i);
    const std::size_t rows = d.usage.size();
    d.Flush(second + 5);
    EXPECT_EQ(d.usage.size(), rows);
    EXPECT_EQ(d.flushed_evidence, 0U) << "its bytes grew, nothing new is to be explained";
  }
  Limited(5, 290, 50'190);
  Limited(10'000, 320, 50'220);
  d.Flush(325);
  EXPECT_EQ(d.flushed_evidence, 1U);
}

TEST(UsageEvidenceTest, SaysHowManyDisputedStepsAreNotKept) {
  Partition partition{DaySpan{}};
  DisputedStep step;
  step.possible = {{Explanation::kWentOn, {1, 1}}, {Explanation::kReset, {0, 1}}};
  const auto explain = [&](std::uint32_t queue) {
    DoubtChange change;
    change.queue = queue;
    partition.Explain(change, step);
  };
  for (int i = 0; i < 11; ++i) explain(0);
  EXPECT_EQ(partition.EvidenceOf(*partition.Find(0, 0))->steps.size(), kMostStepsKept);
  EXPECT_EQ(partition.EvidenceOf(*partition.Find(0, 0))->StepsLeftOut(), 3U);
  for (std::uint32_t queue = 1; queue <= kMostRowsWithSteps; ++queue) explain(queue);
  const UsageEvidence& last = *partition.EvidenceOf(*partition.Find(kMostRowsWithSteps, 0));
  EXPECT_TRUE(last.steps.empty());
  EXPECT_EQ(last.totals.size(), 2U);
  EXPECT_EQ(last.StepsLeftOut(), 1U);
}

TEST_F(CasesTest, AnOpenDisputeIsShownAndSurvivesARestart) {
  Limited(k500GB, 100, 50'000);
  Limited(40'000, 130, 50'030);
  const std::string open = d.Ledger();
  EXPECT_GT(Of("alice").unseen.download, 0U);
  d.Flush(140);
  d.Restart(150);
  EXPECT_EQ(d.Ledger(), open);
  Limited(50'000, 160, 50'060);
  EXPECT_EQ(Of("alice").sure.download, 50'000U);
}

}  // namespace
}  // namespace netsentinel::accounting
