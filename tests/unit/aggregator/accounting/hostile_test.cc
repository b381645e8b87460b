#include <gtest/gtest.h>

#include "aggregator/accounting/menu_state.h"
#include "common/counters/snapshot_codec.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

// Snapshots that no honest collector sends, and replies that are hard to believe.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using ::testing::HasSubstr;

class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override { d.Start(); }
  // A step with the rows, read at `second`.
  counters::MergedStep Step(const std::vector<Row>& rows, std::int64_t second,
                            std::uint64_t uptime_s) {
    const counters::Snapshot snapshot = d.Make(rows, second, uptime_s);
    return {snapshot.header, snapshot.readings, {}};
  }
  void ExpectRefused(const counters::Snapshot& snapshot, const std::string& why) {
    const std::string before = d.Ledger();
    EXPECT_THAT(d.Take(snapshot),
                test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
    EXPECT_EQ(d.Ledger(), before);
  }
  BookDriver d;
};

TEST_F(HostileTest, AStepOfAnotherHostBootOrDeviceIsRefused) {
  d.Poll({{1, "alice", 100, 1000, 10}}, 100, 50'000);
  counters::Snapshot snapshot = d.Make({{1, "alice", 300, 3000, 30}}, 160, 50'060);
  snapshot.steps = {Step({{1, "alice", 200, 2000, 20}}, 130, 50'030)};
  snapshot.steps[0].header.host_boot_id = "host-2";
  ExpectRefused(snapshot, "another device");
  snapshot.steps[0].header.host_boot_id = snapshot.header.host_boot_id = "";
  ExpectRefused(snapshot, "another device");
  snapshot.steps[0].header.host_boot_id = snapshot.header.host_boot_id = d.host_boot;
  snapshot.steps[0].header.device.serial_number = "SN2";
  ExpectRefused(snapshot, "another device");
  snapshot.steps[0].header.device.serial_number = d.serial;
  ASSERT_THAT(d.Take(snapshot), test::IsOk());
  EXPECT_EQ(d.Total(), (TrafficBytes{200, 2000}));
}

TEST_F(HostileTest, StepsOutOfOrderAreRefused) {
  d.Poll({{1, "alice", 100, 1000, 10}}, 100, 50'000);
  counters::Snapshot snapshot = d.Make({{1, "alice", 400, 4000, 40}}, 190, 50'090);
  snapshot.steps = {Step({{1, "alice", 300, 3000, 30}}, 160, 50'060),
                    Step({{1, "alice", 200, 2000, 20}}, 130, 50'030)};
  ExpectRefused(snapshot, "out of order");
  snapshot.steps = {Step({{1, "alice", 300, 3000, 30}}, 160, 50'060)};
  snapshot.steps[0].header.attribution_us = snapshot.header.attribution_us + 1;
  ExpectRefused(snapshot, "out of order");
}

// Without one time base only stamps tell, and the corrected ones say that the router started anew.
TEST_F(HostileTest, AStepAcrossARebootByItsCorrectedStampIsRefused) {
  d.Poll({{1, "alice", 100, 1000, 10}}, 100, 600);
  d.host_boot = "host-2";
  d.session = 2;
  counters::Snapshot snapshot = d.Make({{1, "alice", 300, 3000, 30}}, 8000, 100);
  snapshot.steps = {Step({{1, "alice", 200, 2000, 20}}, 7900, 20)};
  ExpectRefused(snapshot, "across a restart");
}

TEST_F(HostileTest, AStepThatLeavesTwoQueuesWithOneIdIsRefused) {
  const auto dynamic = [](const std::string& name, std::uint64_t bytes) {
    return Row{1, name, bytes, bytes, bytes, "", true};
  };
  d.Poll({dynamic("a", 10),
          {2, "b", 1, 1, 1},
          {3, "c", 1, 1, 1},
          {4, "e", 1, 1, 1},
          {5, "f", 1, 1, 1}},
         100, 50'000);
  // The second row of .id *1 is born in a step that does not say that the first is gone.
  counters::Snapshot snapshot = d.Make({}, 190, 50'090);
  snapshot.steps = {Step({dynamic("x", 20)}, 130, 50'030), Step({dynamic("a", 30)}, 160, 50'060)};
  ExpectRefused(snapshot, "two queues with one .id");
  // The state can still be read back.
  d.Flush(200);
  d.Restart(210);
  EXPECT_EQ(d.book.Menus()[0].queues, 5U);
}

// The most steps that are decoded, and one queue more than may have them.
TEST_F(HostileTest, TooManyStepsForTheMenuAreRefused) {
  constexpr int kSteps = counters::kMaxSteps;
  constexpr int kQueues = static_cast<int>(kMaxStepRows / kSteps) + 1;
  d.Poll(Many(0, kQueues, 1), 100, 50'000);
  counters::Snapshot snapshot = d.Make(Many(0, kQueues, 2), 100'000, 150'000);
  for (int i = 0; i < kSteps; ++i)
    snapshot.steps.push_back(Step({}, 101 + i, 50'001 + static_cast<std::uint64_t>(i)));
  ExpectRefused(snapshot, "too many");
}

TEST_F(HostileTest, AReplacementStampedBeforeTheOldDevicesLastReadingHasNoTimeOfItsOwn) {
  d.Poll({{1, "alice", 100, 1000, 10}}, 1000, 50'000);
  d.serial = "SN2";
  d.session = 2;
  counters::Snapshot snapshot = d.Make({{1, "alice", 7, 70, 1}}, 1060, 30);
  snapshot.header.attribution_us = BookDriver::kStartUs + 500'000'000;
  ASSERT_THAT(d.Take(snapshot, BookDriver::kStartUs + 1'060'000'000), test::IsOk());
  EXPECT_EQ(d.Total(), (TrafficBytes{7, 70}));
  EXPECT_EQ(d.RowOf("alice").last_reading_us, BookDriver::kStartUs + 1'000'000'000);
}

TEST_F(HostileTest, AMenuOfWhichHalfVanishesAndReturnsCountsOnce) {
  d.Poll(Many(0, 10'000, 10), 100, 50'000);
  d.Poll(Many(0, 5'000, 10), 130, 50'030);
  d.Poll(Many(0, 5'000, 10), 160, 50'060);
  EXPECT_EQ(d.book.Menus()[0].queues, 5'000U);
  d.Flush(170);
  d.Restart(180);
  d.Poll(Many(0, 10'000, 10), 190, 50'090);
  EXPECT_EQ(d.Total(), TrafficBytes{});
  EXPECT_EQ(d.Epochs(), "");
  // The parts that held them are gone with the next flush.
  d.Flush(200);
  d.Restart(210);
  d.Poll(Many(0, 10'000, 11), 220, 50'120);
  EXPECT_EQ(d.Total(), (TrafficBytes{10'000, 10'000}));
}

TEST_F(HostileTest, AnIdThatAnotherQueueTookProvesTheFirstOneDead) {
  const Row bob{2, "bob", 5, 5, 5};
  d.Poll({{1, "alice", 100, 100, 10, "", true}, bob}, 100, 50'000);
  d.Poll({bob}, 130, 50'030);
  d.Poll({{1, "carol", 7, 7, 1, "", true}, bob}, 160, 50'060);
  d.Poll({bob}, 190, 50'090);
  d.Poll({{1, "carol", 9, 9, 2, "", true}, bob}, 220, 50'120);  // back from its tombstone
  d.Poll({bob}, 250, 50'150);
  d.Poll({{1, "alice", 150, 150, 15, "", true}, bob}, 280, 50'180);
  EXPECT_EQ(d.On(0), (TrafficBytes{150, 150}));
  EXPECT_EQ(d.On(0, "carol"), (TrafficBytes{9, 9}));
}

}  // namespace
}  // namespace netsentinel::accounting
