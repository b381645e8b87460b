#include "collector/poll/host_pause.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/collector/poll/second.h"

// A host whose clock may stand still while its routers go on, and routers that may not be what they
// were.
namespace netsentinel::poll {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = PauseNote::Kind;
constexpr counters::Menu kMenu = counters::Menu::kSimple;

class HostPauseTest : public ::testing::Test {
 protected:
  struct Router {
    std::int64_t up_us = 0;
    std::string key;
  };
  // True time passes for routers and the host's clocks alike.
  void Pass(std::int64_t seconds) {
    boot_us_ += seconds * kSecond;
    for (auto& [name, router] : routers_) router.up_us += seconds * kSecond;
  }
  // The host stands still.
  void Freeze(std::int64_t seconds) {
    for (auto& [name, router] : routers_) router.up_us += seconds * kSecond;
  }
  void AddRouter(const std::string& name, std::int64_t up_s) {
    routers_[name] = {up_s * kSecond + 300'000, "serial:" + name};
  }
  UptimeReading Of(const std::string& name) {
    const Router& router = routers_[name];
    return {.router = base::RouterId(name),
            .menu = kMenu,
            .device_key = router.key,
            .begin_us = boot_us_ - 200'000,
            .end_us = boot_us_,
            .wall_us = boot_us_ + wall_lead_us_,
            .uptime_s = static_cast<std::uint64_t>(router.up_us / kSecond)};
  }
  PauseJudgement Read(const std::string& name) { return pauses_.Observe(Of(name)); }
  PauseJudgement Ask(const std::string& name) { return pauses_.Ask(base::RouterId(name), kMenu); }
  void Polls(const std::vector<std::string>& names, int rounds) {
    for (int i = 0; i < rounds; ++i) {
      for (const std::string& name : names) {
        Pass(10);
        Read(name);
      }
    }
  }

  std::int64_t boot_us_ = 1000 * kSecond;
  std::int64_t wall_lead_us_ = 1'700'000'000 * kSecond;
  std::map<std::string, Router> routers_;
  std::vector<Kind> notes_;
  HostPauses pauses_{[this](const PauseNote& note) { notes_.push_back(note.kind); }};
};

TEST_F(HostPauseTest, UptimesThatGoAlongSayThatNothingStoodStill) {
  AddRouter("a", 5000);
  EXPECT_FALSE(Read("a").decided) << "nothing to compare with";
  for (int i = 0; i < 1000; ++i) {
    Pass(30);
    const PauseJudgement judged = Read("a");
    EXPECT_TRUE(judged.decided);
    EXPECT_EQ(judged.host_paused_us, 0);
  }
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(HostPauseTest, TwoDevicesAheadByTheSameAmountAreAPause) {
  AddRouter("a", 5000);
  AddRouter("b", 90'000);
  Polls({"a", "b"}, 3);
  Freeze(45);
  Pass(10);
  EXPECT_TRUE(Read("a").waiting);
  Pass(10);
  const PauseJudgement b = Read("b");
  EXPECT_TRUE(b.decided);
  EXPECT_NEAR(static_cast<double>(b.host_paused_us), 45e6, 1.3e6);
  const PauseJudgement a = Ask("a");
  EXPECT_TRUE(a.decided);
  EXPECT_NEAR(static_cast<double>(a.host_paused_us), 45e6, 1.3e6);
  EXPECT_THAT(notes_, ElementsAre(Kind::kHostPaused));
  Polls({"a", "b"}, 20);
  Pass(10);
  EXPECT_EQ(Read("a").host_paused_us, a.host_paused_us) << "counted once";
}

TEST_F(HostPauseTest, AnUptimeAheadAloneIsTheRoutersDoing) {
  AddRouter("a", 5000);
  AddRouter("b", 90'000);
  Polls({"a", "b"}, 3);
  routers_["a"].up_us += 7200 * kSecond;
  Pass(10);
  EXPECT_TRUE(Read("a").waiting);
  EXPECT_TRUE(Ask("a").waiting);
  Pass(10);
  EXPECT_TRUE(Read("b").decided);
  const PauseJudgement a = Ask("a");
  EXPECT_FALSE(a.waiting);
  EXPECT_TRUE(a.decided);
  EXPECT_EQ(a.host_paused_us, 0);
  EXPECT_THAT(notes_, ElementsAre(Kind::kRouterAhead));
}

TEST_F(HostPauseTest, OneRouterAndAWallClockThatAgreesAreAPause) {
  AddRouter("a", 5000);
  Polls({"a"}, 3);
  Freeze(45);
  wall_lead_us_ += 45 * kSecond;
  Pass(10);
  const PauseJudgement a = Read("a");
  EXPECT_TRUE(a.decided);
  EXPECT_NEAR(static_cast<double>(a.host_paused_us), 45e6, 1.3e6);
}

TEST_F(HostPauseTest, OneRouterAndASilentWallClockAreNotDecided) {
  AddRouter("a", 5000);
  Polls({"a"}, 3);
  Freeze(45);
  Pass(10);
  const PauseJudgement a = Read("a");
  EXPECT_FALSE(a.waiting) << "nobody else is read here";
  EXPECT_FALSE(a.decided);
  EXPECT_EQ(a.host_paused_us, 0);
  EXPECT_THAT(notes_, ElementsAre(Kind::kUndecided));
  Pass(10);
  EXPECT_TRUE(Read("a").decided) << "the next step is like any other";
}

TEST_F(HostPauseTest, AWallClockThatStepsAloneIsNoPause) {
  AddRouter("a", 5000);
  Polls({"a"}, 3);
  wall_lead_us_ += 3600 * kSecond;
  Pass(10);
  EXPECT_EQ(Read("a").host_paused_us, 0);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(HostPauseTest, AWallClockThatIsPutRightLaterStillTellsOthersButNotWhatWentOut) {
  AddRouter("a", 5000);
  AddRouter("hourly", 90'000);
  Read("hourly");
  Pass(600);
  Polls({"a"}, 3);
  Freeze(45);
  Pass(10);
  EXPECT_FALSE(Read("a").decided) << "the other was not read for long, and is not waited for";
  wall_lead_us_ += 45 * kSecond;
  Pass(10);
  EXPECT_EQ(Read("a").host_paused_us, 0);
  EXPECT_THAT(notes_, ElementsAre(Kind::kUndecided, Kind::kHostPaused));
  Pass(600);
  const PauseJudgement other = Read("hourly");
  EXPECT_TRUE(other.decided);
  EXPECT_NEAR(static_cast<double>(other.host_paused_us), 45e6, 1.3e6);
}

TEST_F(HostPauseTest, TwoEntriesForOneDeviceAreOneWitness) {
  AddRouter("a", 5000);
  AddRouter("twin", 5000);
  for (const bool named : {true, false}) {
    routers_["a"].key = routers_["twin"].key = named ? "serial:one" : "";
    Polls({"a", "twin"}, 3);
    routers_["a"].up_us += 7200 * kSecond;
    routers_["twin"].up_us += 7200 * kSecond;
    Pass(10);
    EXPECT_FALSE(Read("a").decided);
    Pass(10);
    EXPECT_FALSE(Read("twin").decided);
    EXPECT_THAT(notes_, ElementsAre(Kind::kUndecided, Kind::kUndecided));
    notes_.clear();
  }
}

TEST_F(HostPauseTest, SmallPausesAddUpUntilTheyShow) {
  AddRouter("a", 5000);
  AddRouter("b", 90'000);
  Polls({"a", "b"}, 3);
  for (int i = 0; i < 20; ++i) {
    Freeze(1);
    Polls({"a", "b"}, 1);
  }
  // Some of it hides in the whole seconds of uptimes, less than the slack of any step.
  EXPECT_GT(Ask("a").host_paused_us, 10 * kSecond);
  EXPECT_LT(Ask("a").host_paused_us, 22 * kSecond);
}

TEST_F(HostPauseTest, ARebootKeepsThePauseThatOthersShowed) {
  AddRouter("a", 5000);
  AddRouter("b", 90'000);
  AddRouter("c", 70'000);
  Polls({"c", "a", "b"}, 3);
  Freeze(45);
  Polls({"a", "b"}, 1);
  routers_["c"].up_us = 20 * kSecond;
  const PauseJudgement c = Read("c");
  EXPECT_NEAR(static_cast<double>(c.host_paused_us), 45e6, 1.3e6);
  Pass(10);
  EXPECT_TRUE(Read("c").decided);
}

TEST_F(HostPauseTest, WhatAnotherCollectorReadMeanwhileIsNotCompared) {
  AddRouter("a", 5000);
  Polls({"a"}, 3);
  pauses_.Forget(base::RouterId("a"));
  Freeze(45);
  Pass(10);
  const PauseJudgement a = Read("a");
  EXPECT_FALSE(a.decided);
  EXPECT_EQ(a.host_paused_us, 0);
  EXPECT_THAT(notes_, IsEmpty());
}

}  // namespace
}  // namespace netsentinel::poll
