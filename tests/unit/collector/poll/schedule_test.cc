#include "collector/poll/schedule.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/unit/collector/poll/second.h"

namespace netsentinel::poll {
namespace {

struct ScheduleCase {
  std::string name;
  std::int64_t now_s;
  std::int64_t last_s;
  std::int64_t served_s;
  std::vector<std::int64_t> boundaries_s;
  NextPoll expected;
};

class ScheduleTest : public ::testing::TestWithParam<ScheduleCase> {};

TEST_P(ScheduleTest, Decides) {
  const ScheduleCase& c = GetParam();
  std::vector<std::int64_t> boundaries;
  for (const std::int64_t at : c.boundaries_s) boundaries.push_back(at * kSecond);
  const NextPoll next = DecideNextPoll({.now_us = c.now_s * kSecond,
                                        .last_poll_us = c.last_s * kSecond,
                                        .interval_us = 30 * kSecond,
                                        .phase_us = 7 * kSecond,
                                        .guard_us = 5 * kSecond,
                                        .served_boundary_us = c.served_s * kSecond,
                                        .boundaries_us = boundaries});
  EXPECT_EQ(next.at_us, c.expected.at_us * kSecond);
  EXPECT_EQ(next.boundary, c.expected.boundary);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ScheduleTest,
    ::testing::Values(
        ScheduleCase{"TheFirstPollIsDueAtOnce", 1000, 0, 0, {}, {1000, false}},
        ScheduleCase{"TheNextFollowsTheGrid", 1000, 998, 0, {}, {1027, false}},
        ScheduleCase{"AMissedOneIsDueOnceAtOnce", 1200, 998, 0, {}, {1027, false}},
        ScheduleCase{"ABoundaryBeforeTheGridComesFirst", 1000, 998, 0, {1010}, {1010, true}},
        ScheduleCase{"AnOrdinaryPollKeepsClearOfTheBoundary", 1000, 998, 0, {1030}, {1030, true}},
        ScheduleCase{
            "AnOrdinaryPollWellBeforeTheBoundaryStays", 1000, 998, 0, {1033}, {1027, false}},
        ScheduleCase{
            "AServedBoundaryIsNotPolledTwice", 1010, 1010, 1010, {1010, 5000}, {1027, false}},
        ScheduleCase{"ABoundaryJustPastIsStillPolled", 1012, 998, 0, {1010}, {1010, true}},
        ScheduleCase{"ABoundaryLongPastIsNot", 1020, 998, 0, {1010}, {1027, false}},
        ScheduleCase{"AFirstPollWaitsForABoundaryAtHand", 1007, 0, 0, {1010}, {1010, true}},
        ScheduleCase{
            "TheBoundaryAfterAServedOneIsNext", 1010, 1010, 1010, {1010, 1012}, {1012, true}},
        ScheduleCase{"AfterAStepBackThePollIsDueAtOnce", 1000, 4600, 0, {}, {1000, false}},
        ScheduleCase{
            "AStepBackDoesNotHideTheNextBoundary", 1000, 4600, 4500, {1001, 4500}, {1001, true}},
        ScheduleCase{
            "ABoundaryServedByAClockSetBackComesAgain", 999, 998, 1010, {1010}, {1010, true}},
        ScheduleCase{"AJitterPollsNoBoundaryTwice", 1009, 1010, 1010, {1010}, {1027, false}},
        ScheduleCase{"AJitterMakesNoExtraPoll", 999, 1000, 0, {}, {1027, false}},
        ScheduleCase{"InstantsBeforeTheEpochWork", -100, -110, 0, {}, {-83, false}}),
    [](const ::testing::TestParamInfo<ScheduleCase>& test) { return test.param.name; });

}  // namespace
}  // namespace netsentinel::poll
