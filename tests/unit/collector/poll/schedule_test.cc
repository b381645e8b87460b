#include "collector/poll/schedule.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace netsentinel::poll {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

struct Case {
  std::string name;
  std::int64_t now_s;
  std::int64_t last_s;
  std::int64_t served_s;
  std::vector<std::int64_t> boundaries_s;
  NextPoll expected;
};

class ScheduleTest : public ::testing::TestWithParam<Case> {};

TEST_P(ScheduleTest, Decides) {
  const Case& c = GetParam();
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
        Case{"TheFirstPollIsDueAtOnce", 1000, 0, 0, {}, {1000, false}},
        Case{"TheNextFollowsTheGrid", 1000, 998, 0, {}, {1027, false}},
        Case{"AMissedOneIsDueOnceAtOnce", 1200, 998, 0, {}, {1027, false}},
        Case{"ABoundaryBeforeTheGridComesFirst", 1000, 998, 0, {1010}, {1010, true}},
        Case{"AnOrdinaryPollKeepsClearOfTheBoundary", 1000, 998, 0, {1030}, {1030, true}},
        Case{"AnOrdinaryPollWellBeforeTheBoundaryStays", 1000, 998, 0, {1033}, {1027, false}},
        Case{"AServedBoundaryIsNotPolledTwice", 1010, 1010, 1010, {1010, 5000}, {1027, false}},
        Case{"ABoundaryJustPastIsStillPolled", 1012, 998, 0, {1010}, {1010, true}},
        Case{"ABoundaryLongPastIsNot", 1020, 998, 0, {1010}, {1027, false}},
        Case{"AFirstPollWaitsForABoundaryAtHand", 1007, 0, 0, {1010}, {1010, true}},
        Case{"TheBoundaryAfterAServedOneIsNext", 1010, 1010, 1010, {1010, 1012}, {1012, true}},
        Case{"AfterAStepBackThePollIsDueAtOnce", 1000, 4600, 0, {}, {1000, false}},
        Case{"AStepBackDoesNotHideTheNextBoundary", 1000, 4600, 4500, {1001, 4500}, {1001, true}},
        Case{"ABoundaryServedByAClockSetBackComesAgain", 999, 998, 1010, {1010}, {1010, true}},
        Case{"AJitterPollsNoBoundaryTwice", 1009, 1010, 1010, {1010}, {1027, false}},
        Case{"AJitterMakesNoExtraPoll", 999, 1000, 0, {}, {1027, false}},
        Case{"InstantsBeforeTheEpochWork", -100, -110, 0, {}, {-83, false}}),
    [](const ::testing::TestParamInfo<Case>& test) { return test.param.name; });

}  // namespace
}  // namespace netsentinel::poll
