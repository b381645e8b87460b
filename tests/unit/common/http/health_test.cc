#include "common/http/health.h"

#include <vector>

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

TEST(ReadinessTest, AnAdvisoryConditionIsShownAndDoesNotGate) {
  Readiness readiness;
  readiness.MakeAdvisory("notifier");
  EXPECT_EQ(readiness.Text(), "ready\n");
  readiness.NotReady("notifier", "cannot reach it; trying again");
  EXPECT_TRUE(readiness.ready());
  EXPECT_EQ(readiness.Text(), "ready\nnotifier: waiting: cannot reach it; trying again\n");
  readiness.NotReady("store", "gone");
  EXPECT_FALSE(readiness.ready());
  EXPECT_EQ(readiness.Text(),
            "notifier: waiting: cannot reach it; trying again\nstore: not ready: gone\n");
  const std::vector<std::pair<std::string, bool>> conditions = {{"notifier", false},
                                                                {"store", false}};
  EXPECT_EQ(readiness.Conditions(), conditions);
  readiness.Ready("store");
  readiness.Ready("notifier");
  EXPECT_EQ(readiness.Text(), "ready\n");
}

TEST(ReadinessTest, AWatcherIsToldWhatIsAndEveryChange) {
  Readiness readiness;
  readiness.NotReady("store", "not opened yet");
  std::vector<bool> told;
  readiness.Watch([&](bool ready) { told.push_back(ready); });
  EXPECT_EQ(told, std::vector<bool>({false}));
  readiness.NotReady("store", "still not");
  readiness.Ready("store");
  readiness.MakeAdvisory("notifier");
  readiness.NotReady("notifier", "away");
  EXPECT_EQ(told, std::vector<bool>({false, true}));
  readiness.NotReady("store", "gone");
  EXPECT_EQ(told, std::vector<bool>({false, true, false}));
  readiness.Watch(nullptr);
  readiness.Ready("store");
  EXPECT_EQ(told.size(), 3U);
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
  ASSERT_EQ(liveness.Loops().size(), 1U);
  EXPECT_EQ(liveness.Loops()[0], std::make_pair(std::string("poll"), absl::Seconds(31)));
  poll.Beat();
  EXPECT_TRUE(liveness.alive());
  EXPECT_EQ(liveness.Text(), "alive\n");
}

TEST(LivenessTest, ALoopThatEndedIsNotExpectedToTurnUntilItBeatsAgain) {
  test::FakeClock clock;
  Liveness liveness(clock);
  Liveness::Pulse& pulse = liveness.AddPulse("flush", absl::Seconds(1));
  pulse.Stop();
  clock.Advance(absl::Hours(1));
  EXPECT_TRUE(liveness.alive());
  EXPECT_TRUE(liveness.Loops().empty());
  pulse.Beat();
  clock.Advance(absl::Seconds(2));
  EXPECT_FALSE(liveness.alive());
}

}  // namespace
}  // namespace netsentinel::http
