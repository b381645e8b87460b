#include "common/http/health.h"

#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"

namespace netsentinel::http {
namespace {

TEST(ReadinessTest, AllConditionsMustHoldAndEachSaysWhyItDoesNot) {
  Readiness readiness;
  EXPECT_TRUE(readiness.ready());
  readiness.NotReady("store", "cannot reach 10.0.0.5:3306; trying again every 5 s");
  readiness.NotReady("lease", "another aggregator\nis active");
  EXPECT_FALSE(readiness.ready());
  EXPECT_EQ(readiness.Text(),
            "lease: not ready: another aggregator\\x0Ais active\n"
            "store: not ready: cannot reach 10.0.0.5:3306; trying again every 5 s\n");
  readiness.Ready("store");
  EXPECT_FALSE(readiness.ready());
  readiness.Ready("lease");
  EXPECT_TRUE(readiness.ready());
  EXPECT_EQ(readiness.Text(), "ready\n");
}

TEST(LivenessTest, ALoopThatStopsTurningIsNamedUntilItTurnsAgain) {
  test::FakeClock clock;
  Liveness liveness(clock);
  Liveness::Pulse& poll = liveness.AddPulse("poll", absl::Seconds(30));
  clock.Advance(absl::Seconds(30));
  EXPECT_TRUE(liveness.alive());
  clock.Advance(absl::Seconds(1));
  EXPECT_FALSE(liveness.alive());
  EXPECT_EQ(liveness.Text(), "poll: silent for 31s, which is longer than 30s\n");
  poll.Beat();
  EXPECT_TRUE(liveness.alive());
  EXPECT_EQ(liveness.Text(), "alive\n");
}

TEST(LivenessTest, ALoopThatEndedIsNotExpectedToTurn) {
  test::FakeClock clock;
  Liveness liveness(clock);
  liveness.AddPulse("flush", absl::Seconds(1)).Stop();
  clock.Advance(absl::Hours(1));
  EXPECT_TRUE(liveness.alive());
}

}  // namespace
}  // namespace netsentinel::http
