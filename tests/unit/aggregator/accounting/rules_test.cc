#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "aggregator/accounting/calendar.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

// One story a rule of the table in docs/accounting.md.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

class RulesTest : public ::testing::Test {
 protected:
  void SetUp() override { d.Start(); }
  void Poll(std::vector<Row> rows, std::int64_t second, std::uint64_t uptime) {
    d.Poll(rows, second, uptime);
  }
  void One(std::uint64_t up, std::uint64_t down, std::uint64_t packets, std::int64_t second,
           std::uint64_t uptime) {
    d.Poll({{1, "alice", up, down, packets}}, second, uptime);
  }
  BookDriver d;
};

TEST_F(RulesTest, FirstSightIsABaselineOnly) {
  One(5 * kMiB, 9 * kMiB, 100'000, 100, 50'000);
  EXPECT_EQ(d.Total(), TrafficBytes{});
  ASSERT_EQ(d.epochs.size(), 1U);
  EXPECT_EQ(d.epochs[0].reason, EpochReason::kFirstSight);
}

TEST_F(RulesTest, ACounterThatGoesOnCountsTheDifference) {
  One(100, 1000, 10, 100, 50'000);
  One(150, 5000, 20, 130, 50'030);
  EXPECT_EQ(d.Total(), (TrafficBytes{50, 4000}));
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kComplete);
}

TEST_F(RulesTest, AfterARebootTheWholeCounterCounts) {
  One(100, 1000, 10, 100, 50'000);
  d.session = 2;
  One(7, 70, 3, 160, 20);
  EXPECT_EQ(d.Total(), (TrafficBytes{7, 70}));
  EXPECT_EQ(d.Epochs(), "reboot");
  EXPECT_EQ(d.RowOf("alice").blind_us, 40'000'000U);
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kBounded);
}

TEST_F(RulesTest, AfterARebootAHigherCounterCountsWhole) {
  One(100, 1000, 10, 100, 50'000);
  d.session = 2;
  One(900, 9000, 90, 160, 20);
  EXPECT_EQ(d.Total(), (TrafficBytes{900, 9000}));
  EXPECT_EQ(d.Epochs(), "reboot");
}

TEST_F(RulesTest, ARebootInALongOutageIsSeenThoughTheUptimeGrew) {
  One(100, 1000, 10, 100, 600);
  d.session = 2;
  One(200, 2000, 20, 100 + 7200, 3600);
  EXPECT_EQ(d.Total(), (TrafficBytes{200, 2000}));
  EXPECT_EQ(d.Epochs(), "reboot");
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kPartial);
}

TEST_F(RulesTest, OneSessionNeverSpansAReboot) {
  One(100, 1000, 10, 100, 50'000);
  One(200, 2000, 20, 160, 10);
  EXPECT_EQ(d.Total(), (TrafficBytes{100, 1000}));
  EXPECT_EQ(d.Epochs(), "");
}

TEST_F(RulesTest, AnUptimeThatSlipsByASecondIsNoReboot) {
  One(100, 1000, 10, 100, 50'000);
  d.session = 2;
  One(200, 2000, 20, 130, 50'029);
  EXPECT_EQ(d.Total(), (TrafficBytes{100, 1000}));
  EXPECT_EQ(d.Epochs(), "");
}

TEST_F(RulesTest, OneZeroReplyCountsNothing) {
  One(100'000, 4'000'000, 5000, 100, 50'000);
  One(0, 0, 0, 130, 50'030);
  One(100'010, 4'000'020, 5001, 160, 50'060);
  EXPECT_EQ(d.Total(), (TrafficBytes{10, 20}));
  EXPECT_EQ(d.Events(), "bad_reply");
  ASSERT_EQ(d.holds.size(), 2U);
  EXPECT_FALSE(d.holds[0].resolved);
  EXPECT_TRUE(d.holds[1].resolved);
  // It could also have been a reset that was overtaken: then all that the line carries passed
  // before it, and the new counter as a whole after it.
  const std::uint64_t most = CeilingBytes(10'000'000'000, d.Reach(30));
  EXPECT_EQ(d.RowOf("alice").unseen, (TrafficBytes{most + 100'010 - 10, most + 4'000'020 - 20}));
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kBounded);
}

TEST_F(RulesTest, AResetIsConfirmedByTheNextReading) {
  One(100'000, 4'000'000, 5000, 100, 50'000);
  One(10, 40, 2, 130, 50'030);
  EXPECT_EQ(d.Total(), TrafficBytes{});
  One(15, 90, 4, 160, 50'060);
  EXPECT_EQ(d.Total(), (TrafficBytes{15, 90}));
  EXPECT_EQ(d.Epochs(), "reset");
}

TEST_F(RulesTest, AResetThatTheNextReadingOvertakesInAllButOneWitnessIsAReset) {
  One(1'000'000, 10'000'000, 5000, 100, 50'000);
  One(100'000, 400'000, 20, 130, 50'030);
  One(2'000'000, 20'000'000, 600, 160, 50'060);  // packets are below 5000
  EXPECT_EQ(d.Total(), (TrafficBytes{2'000'000, 20'000'000}));
  EXPECT_EQ(d.Epochs(), "reset");
}

TEST_F(RulesTest, TwoResetsInARowAreTwoHolds) {
  One(10 * kMiB, 10 * kMiB, 50'000, 100, 50'000);
  One(kMiB, kMiB, 5'000, 130, 50'030);
  One(kMiB / 2, kMiB / 2, 500, 160, 50'060);
  One(3 * kMiB, 3 * kMiB, 1'500, 190, 50'090);
  // One of the two may have been a bad reply.
  EXPECT_EQ(d.Total(), (TrafficBytes{4 * kMiB, 4 * kMiB}));
  EXPECT_EQ(d.RowOf("alice").doubt, (TrafficBytes{kMiB, kMiB}));
  EXPECT_EQ(d.Epochs(), "reset reset");
}

TEST_F(RulesTest, AHoldThatARebootInterruptsWasAReset) {
  One(9 * kMiB, 9 * kMiB, 9000, 70, 49'970);
  One(10 * kMiB, 10 * kMiB, 10'000, 100, 50'000);
  One(kMiB, kMiB, 1000, 130, 50'030);
  d.session = 2;
  One(5, 5, 1, 190, 10);
  // As fast as before the drop: it was a reset, and may have been a bad reply.
  EXPECT_EQ(d.Total(), (TrafficBytes{2 * kMiB + 5, 2 * kMiB + 5}));
  EXPECT_EQ(d.RowOf("alice").doubt, (TrafficBytes{kMiB, kMiB}));
  EXPECT_EQ(d.Epochs(), "reset reboot");
}

TEST_F(RulesTest, AResetThatOvertookIsFoundByThePacketSum) {
  One(1000, 1000, 500, 100, 50'000);
  One(3000, 2000, 60, 130, 50'030);
  EXPECT_EQ(d.Total(), TrafficBytes{});
  One(3100, 2100, 70, 160, 50'060);
  EXPECT_EQ(d.Total(), (TrafficBytes{3100, 2100}));
  EXPECT_EQ(d.Epochs(), "reset");
}

TEST_F(RulesTest, APacketSumThatCannotCarryTheBytesIsNoEvidence) {
  One(1000, 1'000'000, 500, 100, 50'000);
  One(1000, 1'000'500, 0, 130, 50'030);
  EXPECT_EQ(d.Total(), (TrafficBytes{0, 500}));
  EXPECT_EQ(d.Epochs(), "");
  EXPECT_EQ(d.Events(), "packets_fell");
}

TEST_F(RulesTest, ARenamedQueueGoesOnUnderItsNewName) {
  One(100, 1000, 10, 100, 50'000);
  Poll({{1, "alice2", 150, 1500, 15}}, 130, 50'030);
  EXPECT_EQ(d.On(0, "alice2"), (TrafficBytes{50, 500}));
  EXPECT_EQ(d.Events(), "queue_renamed");
}

TEST_F(RulesTest, ADynamicQueueIsNeverRenamed) {
  Poll({{1, "<pppoe-a>", 100, 1000, 10, "", true}}, 100, 50'000);
  Poll({{1, "<pppoe-b>", 150, 1500, 15, "", true}}, 130, 50'030);
  EXPECT_EQ(d.On(0, "<pppoe-b>"), (TrafficBytes{150, 1500}));
  EXPECT_EQ(d.Epochs(), "born");
}

TEST_F(RulesTest, AReusedIdIsANewQueue) {
  Poll({{1, "alice", 100, 1000, 10}, {2, "bob", 5, 5, 5}}, 100, 50'000);
  Poll({{1, "carol", 40, 40, 4}, {2, "bob", 6, 6, 6}}, 130, 50'030);
  EXPECT_EQ(d.On(0, "carol"), (TrafficBytes{40, 40}));
  EXPECT_EQ(d.Epochs(), "born");
}

TEST_F(RulesTest, ARecreatedQueueCountsFromZeroAndIsBlind) {
  One(100, 1000, 10, 100, 50'000);
  Poll({{9, "alice", 30, 300, 3}}, 130, 50'030);
  EXPECT_EQ(d.Total(), (TrafficBytes{30, 300}));
  EXPECT_EQ(d.Epochs(), "recreated");
  EXPECT_EQ(d.RowOf("alice").blind_us, 30'000'000U);
}

TEST_F(RulesTest, APppoeReconnectWithASuffixIsAnotherQueueOfTheRouter) {
  Poll({{1, "<pppoe-a>", 100, 1000, 10, "", true}}, 100, 50'000);
  Poll({{1, "<pppoe-a>", 200, 2000, 20, "", true}, {2, "<pppoe-a-1>", 7, 7, 1, "", true}}, 130,
       50'030);
  Poll({{2, "<pppoe-a-1>", 9, 9, 2, "", true}}, 160, 50'060);
  EXPECT_EQ(d.On(0, "<pppoe-a>"), (TrafficBytes{100, 1000}));
  EXPECT_EQ(d.On(0, "<pppoe-a-1>"), (TrafficBytes{9, 9}));
  EXPECT_EQ(d.RowOf("<pppoe-a>").subscriber.name, "a");
  EXPECT_EQ(d.RowOf("<pppoe-a-1>").subscriber.name, "a-1");
  EXPECT_EQ(d.RowOf("<pppoe-a>").blind_us, 30'000'000U);
}

TEST_F(RulesTest, AVanishedQueueThatReturnsUnchangedGoesOn) {
  Poll({{1, "alice", 100, 100, 10}, {2, "bob", 5, 5, 5}}, 100, 50'000);
  Poll({{2, "bob", 5, 5, 5}}, 130, 50'030);
  Poll({{1, "alice", 150, 150, 15}, {2, "bob", 5, 5, 5}}, 160, 50'060);
  EXPECT_EQ(d.On(0), (TrafficBytes{50, 50}));
  EXPECT_EQ(d.Events(), "queue_back");
}

TEST_F(RulesTest, AQueueAddedToTheSettingsIsFirstSightNotBorn) {
  One(100, 1000, 10, 100, 50'000);
  d.fingerprint = 8;
  Poll({{1, "alice", 110, 1100, 11}, {2, "bob", 5000, 5000, 50}}, 130, 50'030);
  EXPECT_EQ(d.Total(), (TrafficBytes{10, 100}));
}

TEST_F(RulesTest, WhatNoLineCanCarryIsABaseline) {
  d.policy.routers[0].line_rate_bps = 8'000'000;  // 1 MB/s
  d.Start();
  One(1, 1, 1, 100, 50'000);
  Poll({{1, "alice", 1, 1, 1}, {2, "bob", 0, 900 * kMiB, 1'000'000}}, 130, 50'030);
  EXPECT_EQ(d.On(0, "bob"), TrafficBytes{});
  EXPECT_EQ(d.Events(), "implausible");
}

TEST_F(RulesTest, ARebootWithAnImpossibleCounterIsABaselineAndIsFlagged) {
  d.policy.routers[0].line_rate_bps = 8'000'000;
  d.Start();
  One(0, 900 * kMiB, 1'000'000, 100, 50'000);
  d.session = 2;
  One(0, 901 * kMiB, 1'001'000, 160, 20);
  EXPECT_EQ(d.Total(), TrafficBytes{});
  EXPECT_EQ(d.RowOf("alice").unseen.download, CeilingBytes(8'000'000, d.Reach(60)));
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kPartial);
}

TEST_F(RulesTest, AHalfMenuIsPendingAndQueuesThatReturnGoOn) {
  Poll(Many(0, 100, 10), 100, 50'000);
  Poll(Many(0, 50, 20), 130, 50'030);
  EXPECT_EQ(d.Total(), TrafficBytes{});
  Poll(Many(0, 100, 30), 160, 50'060);
  EXPECT_EQ(d.Total(), (TrafficBytes{2000, 2000}));
  EXPECT_EQ(d.Epochs(), "");
}

TEST_F(RulesTest, QueuesMissingTwiceVanishedAtTheFirst) {
  Poll(Many(0, 100, 10), 100, 50'000);
  Poll(Many(0, 50, 20), 130, 50'030);
  Poll(Many(0, 50, 30), 160, 50'060);
  EXPECT_EQ(d.Total(), (TrafficBytes{1000, 1000}));
  EXPECT_EQ(d.RowOf("q99").blind_us, 30'000'000U);
  EXPECT_EQ(d.book.Menus()[0].queues, 50U);
}

TEST_F(RulesTest, AfterARebootAShortMenuIsBelievedAtOnce) {
  Poll(Many(0, 100, 10), 100, 50'000);
  d.session = 2;
  Poll(Many(0, 10, 5), 160, 20);
  EXPECT_EQ(d.Total(), (TrafficBytes{50, 50}));
  EXPECT_EQ(d.book.Menus()[0].queues, 10U);
}

TEST_F(RulesTest, AParentCountsWhatItsChildrenDidNot) {
  Poll({{1, "all", 0, 0, 0}, {2, "kid", 0, 0, 0, "all"}}, 100, 50'000);
  Poll({{1, "all", 100, 1000, 50}, {2, "kid", 40, 700, 20, "all"}}, 130, 50'030);
  EXPECT_EQ(d.On(0, "all"), (TrafficBytes{60, 300}));
  EXPECT_EQ(d.On(0, "kid"), (TrafficBytes{40, 700}));
}

TEST_F(RulesTest, AChildAheadOfItsParentIsCarried) {
  Poll({{1, "all", 0, 0, 0}, {2, "kid", 0, 0, 0, "all"}}, 100, 50'000);
  Poll({{1, "all", 100, 100, 50}, {2, "kid", 130, 130, 20, "all"}}, 130, 50'030);
  EXPECT_EQ(d.On(0, "all"), TrafficBytes{});
  Poll({{1, "all", 200, 200, 90}, {2, "kid", 150, 150, 30, "all"}}, 160, 50'060);
  EXPECT_EQ(d.On(0, "all"), (TrafficBytes{50, 50}));
  EXPECT_EQ(d.Total(), (TrafficBytes{200, 200}));
}

TEST_F(RulesTest, RootsModeCountsTopsOnly) {
  d.policy.routers[0].parents = ParentsMode::kRoots;
  d.Start();
  Poll({{1, "all", 0, 0, 0}, {2, "kid", 0, 0, 0, "all"}}, 100, 50'000);
  Poll({{1, "all", 100, 1000, 50}, {2, "kid", 40, 700, 20, "all"}}, 130, 50'030);
  EXPECT_EQ(d.Total(), (TrafficBytes{100, 1000}));
  EXPECT_EQ(d.On(0, "kid"), TrafficBytes{});
}

TEST_F(RulesTest, ADeviceThatReturnsGoesOnFromItsOwnCounters) {
  One(100, 1000, 10, 100, 50'000);
  d.serial = "SN2";
  d.session = 2;
  One(5000, 5000, 50, 130, 90'000);  // up longer than since the last reading: a baseline
  One(5010, 5010, 51, 160, 90'030);
  d.serial = "SN1";
  d.session = 3;
  One(160, 1600, 16, 190, 50'090);
  EXPECT_EQ(d.Total(), (TrafficBytes{70, 610}));
  EXPECT_EQ(d.Events(), "device_replaced device_returned");
}

TEST_F(RulesTest, ADeviceThatStartedAfterTheLastReadingCountsWhole) {
  One(100, 1000, 10, 100, 50'000);
  d.serial = "SN2";
  d.session = 2;
  One(7, 70, 1, 400, 60);
  EXPECT_EQ(d.Total(), (TrafficBytes{7, 70}));
  EXPECT_EQ(d.Epochs(), "replaced");
}

TEST_F(RulesTest, ADeviceWithoutANameIsNeverReplaced) {
  d.serial = "";
  One(100, 1000, 10, 100, 50'000);
  d.serial = "SN1";
  One(150, 1500, 15, 130, 50'030);
  EXPECT_EQ(d.Total(), (TrafficBytes{50, 500}));
}

TEST_F(RulesTest, ABackwardClockStepWithACollectorRestartLosesNothing) {
  One(100, 1000, 10, 10'000, 50'000);
  d.session = 2;
  counters::Snapshot snapshot = d.Make({{1, "alice", 200, 2000, 20}}, 10'030, 50'030);
  snapshot.header.attribution_us -= 7'200'000'000;
  ASSERT_THAT(d.Take(snapshot, BookDriver::kStartUs + 10'030'000'000), test::IsOk());
  EXPECT_EQ(d.Total(), (TrafficBytes{100, 1000}));
  EXPECT_EQ(d.Epochs(), "");
}

TEST_F(RulesTest, AForwardClockStepWithACollectorRestartIsNoReboot) {
  One(100, 1000, 10, 100, 600);
  d.session = 2;
  counters::Snapshot snapshot = d.Make({{1, "alice", 200, 2000, 20}}, 130, 630);
  snapshot.header.attribution_us += 7'200'000'000;
  ASSERT_THAT(d.Take(snapshot, BookDriver::kStartUs + 130'000'000), test::IsOk());
  EXPECT_EQ(d.Total(), (TrafficBytes{100, 1000}));
  EXPECT_EQ(d.Epochs(), "");
  EXPECT_EQ(d.RowOf("alice").last_reading_us, BookDriver::kStartUs + 130'000'000);
  EXPECT_EQ(d.Events(), "clock_wrong");
}

TEST_F(RulesTest, ABoundaryPollLeavesNoEstimate) {
  One(0, 0, 0, kDay - 30, 50'000);
  counters::Snapshot boundary = d.Make({{1, "alice", 100, 1000, 10}}, kDay, 50'030);
  boundary.header.at_boundary = true;
  ASSERT_THAT(d.Take(boundary, BookDriver::kStartUs + kDay * 1'000'000 + 300'000), test::IsOk());
  One(130, 1300, 13, kDay + 30, 50'060);
  EXPECT_EQ(d.On(0), (TrafficBytes{100, 1000}));
  EXPECT_EQ(d.On(1), (TrafficBytes{30, 300}));
  EXPECT_EQ(d.RowOf("alice", 0).grade, Grade::kComplete);
  EXPECT_EQ(d.RowOf("alice", 1).grade, Grade::kComplete);
  EXPECT_TRUE(d.book.OpenRouters(base::SiteId("site"), absl::CivilDay(2026, 1, 1)).empty());
}

TEST_F(RulesTest, AnOutageOverMidnightIsDividedByTimeToTheByte) {
  One(0, 0, 0, kDay - kHour, 50'000);
  One(10, 1001, 10, kDay + 2 * kHour, 50'000 + 3 * kHour);
  EXPECT_EQ(d.On(0), (TrafficBytes{3, 334}));
  EXPECT_EQ(d.On(1), (TrafficBytes{7, 667}));
  EXPECT_EQ(d.RowOf("alice", 0).grade, Grade::kEstimated);
  const std::vector<UsageRow> rows = d.Rows();
  const absl::CivilDay first(2026, 1, 1);
  EXPECT_EQ(SumUsage(absl::MakeConstSpan(rows), first, first).sure, TrafficBytes{});
  // Both days together hold every byte for sure.
  const UsageSum both = SumUsage(absl::MakeConstSpan(rows), first, first + 1);
  EXPECT_EQ(both.sure, (TrafficBytes{10, 1001}));
  EXPECT_EQ(both.grade, Grade::kComplete);
}

TEST_F(RulesTest, AMonthsLowerBoundDoesNotTakeInWholeDaysOfADeltaThatLeavesIt) {
  One(0, 0, 0, kDay / 2, 50'000);
  One(0, 4000, 10, kDay / 2 + 4 * kDay, 50'000 + 4 * kDay);
  const std::vector<UsageRow> rows = d.Rows();
  const absl::CivilDay first(2026, 1, 1);
  EXPECT_EQ(SumUsage(absl::MakeConstSpan(rows), first, first + 3).sure, TrafficBytes{});
  EXPECT_EQ(SumUsage(absl::MakeConstSpan(rows), first, first + 3).counted.download, 3500U);
  EXPECT_EQ(SumUsage(absl::MakeConstSpan(rows), first, first + 4).sure.download, 4000U);
}

TEST_F(RulesTest, AHoldKeepsTheDayOpenUntilItIsExplained) {
  One(10 * kMiB, 10 * kMiB, 50'000, kDay - 60, 50'000);
  One(kMiB, kMiB, 5'000, kDay - 30, 50'030);
  One(kMiB / 2, kMiB / 2, 500, kDay + 1, 50'061);
  const base::SiteId site("site");
  EXPECT_EQ(d.book.OpenRouters(site, absl::CivilDay(2026, 1, 1)).size(), 1U);
  One(3 * kMiB, 3 * kMiB, 1'500, kDay + 31, 50'091);
  EXPECT_TRUE(d.book.OpenRouters(site, absl::CivilDay(2026, 1, 1)).empty());
  EXPECT_EQ(d.Total(), (TrafficBytes{4 * kMiB, 4 * kMiB}));
}

TEST_F(RulesTest, TotalsAreHeldAtTheLargestStoredNumber) {
  d.policy.routers[0].line_rate_bps = std::numeric_limits<std::uint64_t>::max();
  d.Start();
  One(0, 0, 0, 100, 50'000);
  One(0, base::kMaxStoredBytes, 10, 130, 50'030);
  EXPECT_EQ(d.Total().download, base::kMaxStoredBytes);
  One(0, base::kMaxStoredBytes + 5000, 20, 160, 50'060);
  EXPECT_EQ(d.RowOf("alice").counted.download, base::kMaxStoredBytes);
}

TEST_F(RulesTest, TreeRowsCountOnlyThroughAMappingRule) {
  d.policy.mapping.push_back(
      {counters::Menu::kTree, {}, {}, "^(.*)-up$", "$1", Direction::kUpload, false});
  d.Start();
  d.menu = counters::Menu::kTree;
  Poll({{1, "a-up", 0, 0, 0}, {2, "other", 0, 0, 0}}, 100, 50'000);
  Poll({{1, "a-up", 0, 70, 7}, {2, "other", 0, 90, 9}}, 130, 50'030);
  EXPECT_EQ(d.Total(), (TrafficBytes{70, 0}));
  EXPECT_EQ(d.RowOf("a-up").subscriber.name, "a");
}

TEST_F(RulesTest, DaysFollowTheZoneThroughBothChangesOfDst) {
  absl::TimeZone zone;
  ASSERT_TRUE(absl::LoadTimeZone("Europe/Berlin", &zone));
  const Calendar calendar(TimeRule{zone, absl::ZeroDuration(), {}});
  const auto hours = [&](absl::CivilDay day) {
    const DaySpan span =
        calendar.DayAt(absl::ToUnixMicros(zone.At(absl::CivilSecond(day) + 12 * kHour).pre));
    EXPECT_EQ(span.day, day);
    return (span.end_us - span.begin_us) / 3'600'000'000;
  };
  EXPECT_EQ(hours(absl::CivilDay(2026, 3, 29)), 23);
  EXPECT_EQ(hours(absl::CivilDay(2026, 10, 25)), 25);
  EXPECT_EQ(hours(absl::CivilDay(2026, 6, 1)), 24);
}

TEST_F(RulesTest, CutTimesMakeSegmentsAndBoundaries) {
  d.policy.sites[0].cuts = {absl::Hours(8), absl::Hours(20)};
  d.book = Book();
  d.Start();
  One(0, 0, 0, 7 * kHour, 50'000);
  One(0, 200, 2, 9 * kHour, 50'000 + 2 * kHour);
  ASSERT_EQ(d.Rows().size(), 2U);
  EXPECT_EQ(d.On(0).download, 200U);
  const auto boundaries = d.book.Boundaries(base::RouterId("r1"), BookDriver::kStartUs, 1);
  ASSERT_THAT(boundaries, test::IsOk());
  EXPECT_EQ(boundaries->size(), 3U);
}

TEST_F(RulesTest, ABreachFiresOnceOnTheLowerBound) {
  quota::Rule rule;
  rule.id = "daily";
  rule.limit_bytes = 1000;
  rule.thresholds_percent = {50, 100};
  d.policy.quotas = {rule};
  d.Start();
  One(0, 0, 0, 100, 50'000);
  One(0, 499, 1, 130, 50'030);
  EXPECT_TRUE(d.breaches.empty());
  One(0, 500, 2, 160, 50'060);
  ASSERT_EQ(d.breaches.size(), 1U);
  EXPECT_EQ(d.breaches[0].threshold_percent, 50U);
  One(0, 5000, 3, 190, 50'090);
  One(0, 6000, 4, 220, 50'120);
  ASSERT_EQ(d.breaches.size(), 2U);
  EXPECT_EQ(d.breaches[1].threshold_percent, 100U);
  d.Restart(230);
  One(0, 7000, 5, 250, 50'150);
  EXPECT_EQ(d.breaches.size(), 2U);
  EXPECT_EQ(d.Total().download, 7000U);
  const auto standing = d.book.Standings({base::SiteId("site"), base::RouterId("r1"), "alice"},
                                         absl::CivilDay(2026, 1, 1));
  ASSERT_EQ(standing.size(), 1U);
  EXPECT_EQ(standing[0].state, quota::State::kOver);
  EXPECT_EQ(standing[0].used_bytes, 7000U);
}

TEST(StandingTest, NobodyIsOverWithoutABreachWhateverWaitsForItsExplanation) {
  std::mt19937 random(7);
  const std::uint64_t steps[] = {0, 0, 100, 400, 900, 5'000, 3'000'000'000};
  int open_beyond = 0;
  for (int history = 0; history < 60; ++history) {
    BookDriver d;
    quota::Rule rule;
    rule.id = "daily";
    rule.limit_bytes = 1;  // whoever moved a byte for certain is over
    rule.thresholds_percent = {100};
    d.policy.quotas = {rule};
    d.policy.routers[0].parents = history % 2 == 0 ? ParentsMode::kRoots : ParentsMode::kResidue;
    d.Start();
    // A queue and its parent, whose counters fall or leap at any time, together or apart, and which
    // a reply may lack, on a router that may restart.
    std::uint64_t alice = 1'000'000;
    std::uint64_t parent = 2'000'000;
    std::uint64_t uptime = 50'000;
    const std::uint64_t limit = history % 3 == 0 ? 1'000'000 : 0;
    for (int i = 0; i < 8; ++i) {
      uptime += 30;
      if (random() % 8 == 0) uptime = random() % 60;
      if (random() % 3 == 0) alice = steps[random() % 6];
      if (random() % 3 == 0) parent = steps[random() % 6];
      const std::uint64_t moved = i == 0 ? 0 : steps[random() % 7];
      alice += moved;
      parent += moved + steps[random() % 6];
      std::vector<Row> rows;
      if (random() % 6 != 0) rows.push_back({1, "alice", 0, alice, alice, "parent", false, limit});
      if (random() % 6 != 0) rows.push_back({2, "parent", 0, parent, parent});
      d.Poll(rows, 100 + 30 * i, uptime);
      for (const char* name : {"alice", "parent"}) {
        const SubscriberKey key{base::SiteId("site"), base::RouterId("r1"), name};
        for (const quota::Standing& one : d.book.Standings(key, absl::CivilDay(2026, 1, 1))) {
          const bool told = std::any_of(d.breaches.begin(), d.breaches.end(),
                                        [&](const Breach& b) { return b.subscriber == key; });
          EXPECT_EQ(one.state == quota::State::kOver, told)
              << "history " << history << ", reading " << i << ", " << name;
          if (one.counted_state > one.state) ++open_beyond;
        }
      }
    }
  }
  EXPECT_GT(open_beyond, 0) << "no history had anything open";
}

TEST_F(RulesTest, AnUncommittedBatchChangesNothing) {
  One(100, 1000, 10, 100, 50'000);
  const std::string before = d.Ledger();
  const counters::Snapshot lost =
      d.Make({{1, "alice", 500, 5000, 50}, {2, "bob", 1, 1, 1}}, 130, 50'030);
  { const StagedBatch batch = d.Stage(lost, lost.header.attribution_us); }
  EXPECT_EQ(d.Ledger(), before);
  Poll({{1, "alice", 600, 6000, 60}, {3, "carol", 2, 2, 2}}, 160, 50'060);
  EXPECT_EQ(d.On(0), (TrafficBytes{500, 5000}));
  EXPECT_EQ(d.On(0, "carol"), (TrafficBytes{2, 2}));
}

TEST_F(RulesTest, ADamagedSnapshotIsRefusedInWords) {
  counters::Snapshot twice = d.Make({{1, "alice", 1, 1, 1}, {1, "bob", 1, 1, 1}}, 100, 50'000);
  EXPECT_THAT(d.Take(twice), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                            ::testing::HasSubstr("two readings")));
  counters::Snapshot backwards = d.Make({}, 100, 50'000);
  backwards.header.end_us = backwards.header.begin_us - 1;
  EXPECT_THAT(d.Take(backwards),
              test::StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("times")));
}

}  // namespace
}  // namespace netsentinel::accounting
