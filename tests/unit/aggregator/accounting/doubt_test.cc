#include <gtest/gtest.h>

#include "tests/unit/aggregator/accounting/book_driver.h"

// What is not known for sure is said, and what was read before the end is not lost.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

constexpr std::uint64_t kMegabyteASecond = 8'000'000;  // bit/s

class DoubtTest : public ::testing::Test {
 protected:
  void SetUp() override { d.Start(); }
  void One(std::uint64_t up, std::uint64_t down, std::uint64_t packets, std::int64_t second,
           std::uint64_t uptime) {
    d.Poll({{1, "alice", up, down, packets}}, second, uptime);
  }
  void TakeRouterOut(std::int64_t second) {
    d.policy.routers.clear();
    d.SetPolicy(second);
  }
  int Count(const std::string& kind) const {
    int count = 0;
    for (const EventRecord& e : d.events) count += e.kind == kind ? 1 : 0;
    return count;
  }
  BookDriver d;
};

Row Limited(std::uint64_t id, const std::string& name, std::uint64_t bytes) {
  return {id, name, bytes, bytes, bytes, "", false, kMegabyteASecond};
}

// --- a device that gives way to another

TEST_F(DoubtTest, WhatWasPendingOfAReplacedDeviceCounts) {
  d.Poll(Many(0, 100, 10), 100, 50'000);
  d.Poll(Many(0, 50, 20), 130, 50'030);
  EXPECT_EQ(d.Total(), TrafficBytes{});
  d.serial = "SN2";
  d.session = 2;
  d.Poll(Many(0, 100, 7), 160, 90'000);
  EXPECT_EQ(d.Total(), (TrafficBytes{500, 500}));
  EXPECT_EQ(d.RowOf("q99").grade, Grade::kBounded);  // it vanished
}

TEST_F(DoubtTest, TheTimeBetweenTwoDevicesIsBlindOnce) {
  d.Poll({Limited(1, "alice", 100), Limited(2, "bob", 100)}, 100, 50'000);
  d.serial = "SN2";
  d.session = 2;
  d.Poll({Limited(1, "alice", 5000), Limited(2, "carol", 5000)}, 130, 90'000);
  for (const std::string name : {"alice", "bob", "carol"}) {
    EXPECT_EQ(d.RowOf(name).counted, TrafficBytes{}) << name;
    EXPECT_EQ(d.RowOf(name).blind_us, 30'000'000U) << name;
    EXPECT_GE(d.RowOf(name).unseen.upload, 30'000'000U) << name;
    EXPECT_LE(d.RowOf(name).unseen.upload, CeilingBytes(kMegabyteASecond, d.Reach(30))) << name;
    EXPECT_EQ(d.RowOf(name).grade, Grade::kBounded) << name;
  }
  // The one that comes back goes on; what the other moved meanwhile is blind in its turn.
  d.serial = "SN1";
  d.session = 3;
  d.Poll({Limited(1, "alice", 150), Limited(2, "bob", 150)}, 160, 50'060);
  EXPECT_EQ(d.RowOf("alice").counted, (TrafficBytes{50, 50}));
  EXPECT_EQ(d.RowOf("alice").blind_us, 60'000'000U);
  EXPECT_EQ(d.RowOf("carol").blind_us, 60'000'000U);
  EXPECT_EQ(d.RowOf("bob").blind_us, 30'000'000U);
}

TEST_F(DoubtTest, ADeviceThatStartedSinceIsBlindUntilItsStartAndTheOldOneAfterIt) {
  d.Poll({Limited(1, "alice", 100), Limited(2, "bob", 100)}, 100, 50'000);
  d.serial = "SN2";
  d.session = 2;
  d.Poll({Limited(1, "alice", 70), Limited(3, "carol", 7)}, 400, 60);
  EXPECT_EQ(d.RowOf("alice").counted, (TrafficBytes{70, 70}));
  EXPECT_EQ(d.RowOf("carol").counted, (TrafficBytes{7, 7}));
  EXPECT_EQ(d.RowOf("alice").blind_us, 300'000'000U);
  EXPECT_EQ(d.RowOf("bob").blind_us, 300'000'000U);
  EXPECT_EQ(d.RowOf("carol").blind_us, 240'000'000U);
}

TEST_F(DoubtTest, ARestartReplaysWhatAReplacementLeftBehind) {
  BookDriver calm;
  calm.Start();
  for (BookDriver* driver : {&d, &calm}) {
    driver->Poll(Many(0, 100, 10), 100, 50'000);
    if (driver == &d) d.Flush(110);
    driver->Poll(Many(0, 50, 20), 130, 50'030);
    driver->serial = "SN2";
    driver->session = 2;
    driver->Poll(Many(0, 100, 7), 160, 90'000);
    if (driver == &d) d.Restart(170);
    driver->Poll(Many(0, 100, 9), 190, 90'030);
  }
  EXPECT_EQ(d.Ledger(), calm.Ledger());
}

// --- counters that are refused

TEST_F(DoubtTest, ACounterThatIsRefusedEntersTheLossBound) {
  d.policy.routers[0].line_rate_bps = kMegabyteASecond;
  d.Start();
  One(1, 1, 1, 100, 50'000);
  d.Poll({{1, "alice", 1, 1, 1}, {2, "bob", 0, 900 * kMiB, 1'000'000}}, 130, 50'030);
  EXPECT_EQ(d.RowOf("bob").counted, TrafficBytes{});
  EXPECT_EQ(d.RowOf("bob").unseen.download, CeilingBytes(kMegabyteASecond, d.Reach(30)));
  EXPECT_EQ(d.RowOf("bob").grade, Grade::kPartial);
}

TEST_F(DoubtTest, AJumpBeyondWhatTheLineCarriesIsHeldUntilTheCounterIsBack) {
  One(1, 1, 1, 100, 50'000);
  One(5, base::kMaxStoredBytes + 6, 2, 130, 50'030);
  EXPECT_EQ(d.RowOf("alice").counted, TrafficBytes{});
  EXPECT_EQ(d.RowOf("alice").unseen.download, CeilingBytes(10'000'000'000, d.Reach(30)));
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kBounded);
  One(6, 10, 3, 160, 50'060);
  EXPECT_EQ(d.RowOf("alice").counted, (TrafficBytes{5, 9}));
  EXPECT_EQ(d.RowOf("alice").unseen, TrafficBytes{});
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kComplete);
}

TEST_F(DoubtTest, ThreeReadingsBeyondTheCeilingProveTheCeilingWrong) {
  d.policy.routers[0].line_rate_bps = kMegabyteASecond;
  d.Start();
  One(0, 0, 0, 100, 50'000);
  One(0, kMiB, 1000, 130, 50'030);
  One(0, 500 * kMiB, 500'000, 160, 50'060);
  One(0, 900 * kMiB, 900'000, 190, 50'090);
  EXPECT_EQ(d.Total(), (TrafficBytes{0, kMiB}));
  One(0, 1300 * kMiB, 1'300'000, 220, 50'120);
  EXPECT_EQ(d.Total(), (TrafficBytes{0, 1300 * kMiB}));
  EXPECT_EQ(d.RowOf("alice").doubt, (TrafficBytes{0, 1299 * kMiB}));
  EXPECT_EQ(Count("ceiling_exceeded"), 1);
}

// --- days that nobody finishes

TEST_F(DoubtTest, ADayThatIsClosedByAgeIsPartial) {
  One(0, 0, 1, 100, 50'000);
  One(5, 50, 2, 130, 50'030);
  d.Flush(140);
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kComplete);
  d.Flush(35 * kDay + kDay - 1);
  EXPECT_EQ(Count("day_closed_partial"), 0);
  d.Flush(35 * kDay + kDay);
  EXPECT_EQ(Count("day_closed_partial"), 1);
  ASSERT_EQ(d.stored.closed_days.size(), 1U);
  EXPECT_TRUE(d.stored.closed_days[0].partial);
  EXPECT_EQ(d.usage.begin()->second.grade, Grade::kPartial);
  d.Restart(36 * kDay + 1);
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kPartial);
  // What comes late counts on the first day that is open, as an estimate.
  One(9, 90, 3, 36 * kDay + 60, 50'000 + 36 * kDay);
  EXPECT_EQ(d.On(0), (TrafficBytes{5, 50}));
  EXPECT_EQ(d.Total(), (TrafficBytes{9, 90}));
  EXPECT_FALSE(d.RowOf("alice", 1).begin_inside.zero());
}

TEST_F(DoubtTest, ARouterThatIsTakenOutClosesItsLastDayOnceAndCountsWhatWasOpen) {
  One(1000, 1000, 500, 70, 49'970);
  One(10 * kMiB, 10 * kMiB, 50'000, 100, 50'000);
  One(9 * kMiB, 9 * kMiB, 40'000, 130, 50'030);  // fell: disputed
  d.Flush(140);
  TakeRouterOut(150);
  d.Flush(160);
  EXPECT_EQ(d.Total(), (TrafficBytes{19 * kMiB - 1000, 19 * kMiB - 1000}));  // as things stand
  d.Restart(170);
  d.Flush(kDay + 1);
  EXPECT_EQ(d.On(0), (TrafficBytes{19 * kMiB - 1000, 19 * kMiB - 1000}));
  EXPECT_EQ(d.RowOf("alice").grade, Grade::kPartial);
  for (int day = 2; day < 10; ++day) d.Flush(day * kDay);
  EXPECT_EQ(Count("day_closed_partial"), 1);
  EXPECT_EQ(d.stored.closed_days.size(), 1U);
  // The store is told with the next batch, once.
  StagedBatch batch = d.book.Stage({});
  ASSERT_EQ(batch.holds.size(), 1U);
  EXPECT_TRUE(batch.holds[0].resolved);
  EXPECT_EQ(batch.epochs.size(), 1U);
  d.book.Install(std::move(batch));
  EXPECT_TRUE(d.book.Stage({}).holds.empty());
}

// By the rules that it had: its source was the queue tree, on a link beyond the default.
TEST_F(DoubtTest, WhatATakenOutRouterLeftCountsByItsOwnRulesAfterARestart) {
  d.menu = counters::Menu::kTree;
  d.policy.routers[0].account = counters::Menu::kTree;
  d.policy.routers[0].parents = ParentsMode::kRoots;
  d.policy.routers[0].line_rate_bps = 100'000'000'000;
  d.Start();
  constexpr std::uint64_t kMuch = 60'000 * kMiB;  // 30 s at 16 Gbit/s
  d.Poll({{1, "alice", 0, kMuch, kMuch}}, 70, 49'970);
  d.Poll({{1, "alice", 0, 2 * kMuch, 2 * kMuch}}, 100, 50'000);
  d.Poll({{1, "alice", 0, kMuch, kMuch / 1000}}, 130, 50'030);  // fell: disputed
  d.Flush(140);
  TakeRouterOut(150);
  d.Flush(160);
  d.Restart(170);
  d.Flush(kDay + 1);
  EXPECT_EQ(d.Total(), (TrafficBytes{0, 2 * kMuch}));
}

TEST_F(DoubtTest, WhatIsPendingOfARouterThatIsTakenOutCounts) {
  d.Poll(Many(0, 100, 10), 100, 50'000);
  d.Poll(Many(0, 50, 20), 130, 50'030);
  TakeRouterOut(150);
  d.Flush(kDay + 1, true);  // the flush fails, and is made again
  d.Flush(kDay + 2);
  EXPECT_EQ(d.Total(), (TrafficBytes{500, 500}));
  // What the failed flush would have told is told with the next batch.
  const std::vector<EventRecord> late = d.book.Stage({}).events;
  EXPECT_TRUE(std::any_of(late.begin(), late.end(),
                          [](const EventRecord& e) { return e.kind == "day_closed_partial"; }));
  d.Restart(kDay + 3);
  EXPECT_EQ(d.Total(), (TrafficBytes{500, 500}));
  EXPECT_EQ(d.stored.closed_days.size(), 1U);
}

TEST_F(DoubtTest, ARouterThatWasTakenOutIsForgottenAfter35DaysAndMayReturn) {
  const Policy with = d.policy;
  One(1000, 1000, 500, 100, 50'000);
  One(1100, 1100, 510, 130, 50'030);
  TakeRouterOut(150);
  d.Flush(kDay);
  d.Flush(35 * kDay);
  EXPECT_GT(d.blobs.size(), 1U);
  d.Flush(35 * kDay + 200);
  ASSERT_EQ(d.blobs.size(), 1U) << "only the calendars are left";
  EXPECT_TRUE(d.book.Menus().empty());
  // Its days are the store's to answer, before a restart and after.
  const absl::CivilDay day(2026, 1, 1);
  EXPECT_GT(d.book.WholeFrom().value_or(day), day);
  d.Restart(36 * kDay);
  EXPECT_GT(d.book.WholeFrom().value_or(day), day);
  d.policy = with;
  d.SetPolicy(36 * kDay + 1);
  One(1200, 1200, 520, 36 * kDay + 10, 50'000 + 36 * kDay);
  One(1201, 1201, 521, 36 * kDay + 40, 50'030 + 36 * kDay);
  EXPECT_EQ(d.Total(), (TrafficBytes{1, 1}));
  d.Flush(36 * kDay + 50);
  EXPECT_EQ(d.stored.queues.size(), 1U) << "the name keeps its number";
}

}  // namespace
}  // namespace netsentinel::accounting
