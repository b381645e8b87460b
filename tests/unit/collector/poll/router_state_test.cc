#include "collector/poll/router_state.h"

#include <string>

#include "gtest/gtest.h"

#include "collector/routeros/router_error.h"

namespace netsentinel::poll {
namespace {

using routeros::RouterError;

struct StateCase {
  RouterError error;
  RouterState state;
};

class StateOfTest : public ::testing::TestWithParam<StateCase> {};

TEST_P(StateOfTest, NamesTheStateOfAFailure) {
  EXPECT_EQ(StateOf(routeros::RouterStatus(GetParam().error, "words")), GetParam().state);
  EXPECT_NE(RouterStateName(GetParam().state), "unknown");
}

INSTANTIATE_TEST_SUITE_P(
    Errors, StateOfTest,
    ::testing::Values(StateCase{RouterError::kUnreachable, RouterState::kUnreachable},
                      StateCase{RouterError::kClosedByRouter, RouterState::kUnreachable},
                      StateCase{RouterError::kLoginRefused, RouterState::kLoginRefused},
                      StateCase{RouterError::kPolicyMissing, RouterState::kPolicyMissing},
                      StateCase{RouterError::kTlsRefused, RouterState::kTlsRefused},
                      StateCase{RouterError::kMenuAbsent, RouterState::kMenuAbsent},
                      StateCase{RouterError::kIncompleteReply, RouterState::kIncompleteReply},
                      StateCase{RouterError::kRefused, RouterState::kIncompleteReply},
                      StateCase{RouterError::kProtocolError, RouterState::kProtocolError}));

TEST(RouterStateTrackerTest, ReportsAStateWhenItChangesAndOnlyThen) {
  RouterStateTracker tracker(base::RouterId("r"));
  const auto first = tracker.Update(std::nullopt, RouterState::kUnreachable, "refused", 10);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->since_us, 10);
  EXPECT_FALSE(tracker.Update(std::nullopt, RouterState::kUnreachable, "refused", 20).has_value());
  const auto other = tracker.Update(std::nullopt, RouterState::kUnreachable, "timed out", 30);
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(other->since_us, 10) << "the same trouble goes on";
  const auto back = tracker.Update(std::nullopt, RouterState::kReachable, "", 40);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->since_us, 40);
}

TEST(RouterStateTrackerTest, AMenuIsMentionedFirstWhenItIsInTrouble) {
  RouterStateTracker tracker(base::RouterId("r"));
  const auto tree = counters::Menu::kTree;
  EXPECT_FALSE(tracker.Update(tree, RouterState::kReachable, "", 1).has_value());
  EXPECT_TRUE(tracker.Update(tree, RouterState::kMenuAbsent, "no queues", 2).has_value());
  EXPECT_TRUE(tracker.Update(tree, RouterState::kReachable, "", 3).has_value());
  EXPECT_FALSE(tracker.Update(tree, RouterState::kReachable, "", 4).has_value());
}

TEST(RouterStateTrackerTest, AnotherDeviceIsNews) {
  RouterStateTracker tracker(base::RouterId("r"));
  tracker.Update(std::nullopt, RouterState::kReachable, "", 1);
  counters::DeviceIdentity device;
  device.serial_number = "S2";
  tracker.SetDevice(device);
  const auto report = tracker.Update(std::nullopt, RouterState::kReachable, "", 2);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->device.serial_number, "S2");
}

}  // namespace
}  // namespace netsentinel::poll
