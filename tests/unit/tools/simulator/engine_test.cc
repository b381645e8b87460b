#include "tools/simulator/engine.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::simulator {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

constexpr std::int64_t kStart_us = 1'000'000'000'000;
constexpr std::int64_t kSecond_us = 1'000'000;

QueueSpec Spec(const std::string& name, UpDown rate = {}, const std::string& parent = "") {
  QueueSpec spec;
  spec.name = name;
  spec.parent = parent;
  spec.traffic.bytes_per_s = rate;
  return spec;
}

QueueSpec PppoeSpec(const std::string& user) {
  QueueSpec spec = Spec(absl::StrCat("<pppoe-", user, ">"), {.up = 100, .down = 1000});
  spec.dynamic = true;
  spec.session_kind = "pppoe";
  spec.session_user = user;
  return spec;
}

UpDown BytesOf(const Engine& engine, const std::string& name, Menu menu = Menu::kSimple) {
  const Queue* queue = engine.Find(menu, name);
  return queue == nullptr ? UpDown{.up = ~0ULL, .down = ~0ULL} : queue->bytes;
}

TEST(EngineTest, ExplicitMovesArriveToTheByteInQueueAndAllItsParents) {
  Engine engine(1, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("site")), IsOk());
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("floor", {}, "site")), IsOk());
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("desk", {}, "floor")), IsOk());
  ASSERT_THAT(engine.Move(Menu::kSimple, "desk", {.up = 7, .down = 1501}), IsOk());
  for (const char* name : {"site", "floor", "desk"}) {
    EXPECT_EQ(BytesOf(engine, name), (UpDown{.up = 7, .down = 1501})) << name;
  }
  EXPECT_EQ(engine.Find(Menu::kSimple, "desk")->packets, (UpDown{.up = 1, .down = 2}));
}

TEST(EngineTest, ParentEqualsTheSumOfItsChildrenUnderRandomTraffic) {
  Engine engine(7, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("parent")), IsOk());
  for (int i = 0; i < 20; ++i) {
    QueueSpec child = Spec(absl::StrCat("child-", i), {.up = 1111, .down = 98765}, "parent");
    child.traffic.active_permille = 400;
    ASSERT_THAT(engine.Add(Menu::kSimple, child), IsOk());
  }
  base::SeededRandom random(3);
  std::int64_t now_us = kStart_us;
  for (int step = 0; step < 500; ++step) {
    now_us += static_cast<std::int64_t>(random.Next() % 7'000'000);
    engine.AdvanceTo(now_us);
  }
  UpDown sum;
  for (int i = 0; i < 20; ++i) {
    sum.up += BytesOf(engine, absl::StrCat("child-", i)).up;
    sum.down += BytesOf(engine, absl::StrCat("child-", i)).down;
  }
  EXPECT_GT(sum.down, 1'000'000u);
  EXPECT_EQ(BytesOf(engine, "parent"), sum);
}

TEST(EngineTest, TrafficDoesNotDependOnHowOftenItIsLookedAt) {
  Engine seldom(42, kStart_us, 10);
  Engine often(42, kStart_us, 10);
  QueueSpec spec = Spec("q", {.up = 333, .down = 7777});
  spec.traffic.active_permille = 500;
  ASSERT_THAT(seldom.Add(Menu::kSimple, spec), IsOk());
  ASSERT_THAT(often.Add(Menu::kSimple, spec), IsOk());
  for (std::int64_t at = 0; at <= 300 * kSecond_us; at += 12'347) often.AdvanceTo(kStart_us + at);
  often.AdvanceTo(kStart_us + 300 * kSecond_us);
  seldom.AdvanceTo(kStart_us + 300 * kSecond_us);
  EXPECT_EQ(BytesOf(seldom, "q"), BytesOf(often, "q"));
  EXPECT_EQ(seldom.Find(Menu::kSimple, "q")->packets, often.Find(Menu::kSimple, "q")->packets);
  EXPECT_FALSE(BytesOf(often, "q").zero());
}

TEST(EngineTest, MaxLimitCapsTheTrafficModel) {
  Engine engine(5, kStart_us, 10);
  QueueSpec spec = Spec("capped", {.up = 1'000'000, .down = 1'000'000});
  spec.max_limit = {.up = 8000, .down = 80'000};
  ASSERT_THAT(engine.Add(Menu::kSimple, spec), IsOk());
  engine.AdvanceTo(kStart_us + 100 * kSecond_us);
  EXPECT_EQ(BytesOf(engine, "capped"), (UpDown{.up = 100'000, .down = 1'000'000}));
}

// Keeps for every row what the truth says its counters must show.
class TruthKeeper {
 public:
  // Folds in what moved since the last call.
  void Take(Engine& engine) {
    for (const MovedRow& row : engine.TakeMoved()) {
      UpDown& shown = shown_[{row.menu, row.instance}];
      shown.up += row.moved.up - row.uncounted.up;
      shown.down += row.moved.down - row.uncounted.down;
    }
  }
  void Zero(const Queue& queue) { shown_[{Menu::kSimple, queue.instance}] = {}; }
  UpDown Shown(const Queue& queue) { return shown_[{Menu::kSimple, queue.instance}]; }

 private:
  std::map<std::pair<Menu, std::uint64_t>, UpDown> shown_;
};

class ConservationTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ConservationTest, CountersShowExactlyWhatMovedSinceTheirLastZero) {
  base::SeededRandom random(GetParam());
  Engine engine(GetParam(), kStart_us, 50);
  TruthKeeper truth;
  for (int i = 0; i < 6; ++i) {
    ASSERT_THAT(engine.Add(Menu::kSimple, Spec(absl::StrCat("q", i), {.up = 900, .down = 9000})),
                IsOk());
    ASSERT_THAT(engine.Add(Menu::kSimple, PppoeSpec(absl::StrCat("u", i))), IsOk());
  }
  std::int64_t now_us = kStart_us;
  for (int step = 0; step < 400; ++step) {
    now_us += static_cast<std::int64_t>(random.Next() % (20 * kSecond_us));
    engine.AdvanceTo(now_us);
    truth.Take(engine);
    const std::uint64_t chance = random.Next() >> 8;
    const std::string name = absl::StrCat("q", chance % 6);
    switch ((chance >> 8) % 9) {
      case 0:
        truth.Zero(*engine.Find(Menu::kSimple, name));
        ASSERT_THAT(engine.ResetCounters(Menu::kSimple, name), IsOk());
        break;
      case 1:
        engine.Reboot(now_us, {.down_us = 0, .renumber = chance % 2 == 0});
        break;
      case 2:
        ASSERT_THAT(engine.Reconnect(absl::StrCat("u", chance % 6),
                                     {.reuse_id = chance % 3 == 0, .suffix = chance % 2 == 0}),
                    IsOk());
        break;
      case 3:
        ASSERT_THAT(engine.Recreate(Menu::kSimple, name, chance % 2 == 0), IsOk());
        break;
      case 4:
        engine.SetFastTrack(chance % 2 == 0);
        break;
      case 5:
        ASSERT_THAT(engine.SetFrozen(Menu::kSimple, name, chance % 2 == 0), IsOk());
        break;
      case 6:
        ASSERT_THAT(engine.SetDisabled(Menu::kSimple, name, chance % 2 == 0), IsOk());
        break;
      default:
        if (!engine.Find(Menu::kSimple, name)->spec.disabled) {
          ASSERT_THAT(engine.Move(Menu::kSimple, name, {.up = chance % 1000, .down = chance}),
                      IsOk());
        }
    }
    truth.Take(engine);
    for (const Queue& queue : engine.queues(Menu::kSimple)) {
      ASSERT_EQ(queue.bytes, truth.Shown(queue)) << queue.spec.name << " after step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ConservationTest, testing::Range<std::uint64_t>(1, 21));

TEST(EngineTest, RebootZeroesCountersAndUptimeAndStopsTrafficWhileAway) {
  Engine engine(1, kStart_us, 500);
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("q", {.up = 1000, .down = 1000})), IsOk());
  ASSERT_THAT(engine.Add(Menu::kSimple, PppoeSpec("ali")), IsOk());
  engine.AdvanceTo(kStart_us + 10 * kSecond_us);
  EXPECT_EQ(engine.UptimeSeconds(kStart_us + 10 * kSecond_us), 510u);
  engine.Reboot(kStart_us + 10 * kSecond_us, {.down_us = 30 * kSecond_us, .renumber = false});
  engine.AdvanceTo(kStart_us + 40 * kSecond_us);
  EXPECT_EQ(engine.UptimeSeconds(kStart_us + 40 * kSecond_us), 0u);
  EXPECT_TRUE(engine.Away(kStart_us + 39 * kSecond_us));
  EXPECT_FALSE(engine.Away(kStart_us + 40 * kSecond_us));
  EXPECT_TRUE(BytesOf(engine, "q").zero());
  EXPECT_EQ(engine.Find(Menu::kSimple, "q")->row_id, 1u);
  EXPECT_EQ(engine.Find(Menu::kSimple, "<pppoe-ali>")->row_id, 3u);
  engine.AdvanceTo(kStart_us + 43 * kSecond_us);
  EXPECT_EQ(engine.UptimeSeconds(kStart_us + 43 * kSecond_us), 3u);
  EXPECT_FALSE(BytesOf(engine, "q").zero());
}

TEST(EngineTest, ReconnectMakesANewRowWithNewOrReusedIdAndSuffix) {
  Engine engine(1, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, PppoeSpec("ali")), IsOk());
  ASSERT_THAT(engine.Move(Menu::kSimple, "<pppoe-ali>", {.up = 5, .down = 6}), IsOk());
  ASSERT_THAT(engine.Reconnect("ali", {.reuse_id = false, .suffix = true}), IsOk());
  EXPECT_EQ(engine.Find(Menu::kSimple, "<pppoe-ali>"), nullptr);
  const Queue* suffixed = engine.Find(Menu::kSimple, "<pppoe-ali-1>");
  ASSERT_NE(suffixed, nullptr);
  EXPECT_EQ(suffixed->row_id, 2u);
  EXPECT_TRUE(suffixed->bytes.zero());
  ASSERT_THAT(engine.Reconnect("ali", {.reuse_id = true, .suffix = false}), IsOk());
  const Queue* again = engine.Find(Menu::kSimple, "<pppoe-ali>");
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->row_id, 2u);
  EXPECT_THAT(engine.Reconnect("nobody", {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nobody")));
}

TEST(EngineTest, BytesOfARowThatVanishedStayInTheTruthUnderItsOldName) {
  Engine engine(1, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, PppoeSpec("ali")), IsOk());
  ASSERT_THAT(engine.Move(Menu::kSimple, "<pppoe-ali>", {.up = 5, .down = 6}), IsOk());
  ASSERT_THAT(engine.Disconnect("ali"), IsOk());
  const std::vector<MovedRow> moved = engine.TakeMoved();
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].name, "<pppoe-ali>");
  EXPECT_EQ(moved[0].moved, (UpDown{.up = 5, .down = 6}));
  EXPECT_TRUE(engine.TakeMoved().empty());
}

TEST(EngineTest, RenameKeepsIdAndCountersAndTakesTheChildrenAlong) {
  Engine engine(1, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("old")), IsOk());
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("child", {}, "old")), IsOk());
  ASSERT_THAT(engine.Move(Menu::kSimple, "child", {.up = 1, .down = 2}), IsOk());
  ASSERT_THAT(engine.Rename(Menu::kSimple, "old", "new"), IsOk());
  EXPECT_EQ(engine.Find(Menu::kSimple, "child")->spec.parent, "new");
  EXPECT_EQ(engine.Find(Menu::kSimple, "new")->row_id, 1u);
  ASSERT_THAT(engine.Move(Menu::kSimple, "child", {.up = 1, .down = 2}), IsOk());
  EXPECT_EQ(BytesOf(engine, "new"), (UpDown{.up = 2, .down = 4}));
}

TEST(EngineTest, EditKeepsOrZeroesCountersAsTold) {
  Engine engine(1, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("q")), IsOk());
  ASSERT_THAT(engine.Move(Menu::kSimple, "q", {.up = 1, .down = 2}), IsOk());
  EditOptions edit;
  edit.set_max_limit = true;
  edit.max_limit = {.up = 1000, .down = 2000};
  ASSERT_THAT(engine.Edit(Menu::kSimple, "q", edit), IsOk());
  EXPECT_EQ(BytesOf(engine, "q"), (UpDown{.up = 1, .down = 2}));
  EXPECT_EQ(engine.Find(Menu::kSimple, "q")->spec.max_limit.down, 2000u);
  edit.reset_counters = true;
  ASSERT_THAT(engine.Edit(Menu::kSimple, "q", edit), IsOk());
  EXPECT_TRUE(BytesOf(engine, "q").zero());
}

TEST(EngineTest, FastTrackHidesSimpleAndGlobalTreesButNotInterfaceTrees) {
  Engine engine(1, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("q")), IsOk());
  ASSERT_THAT(engine.Add(Menu::kTree, Spec("t-global", {}, "global")), IsOk());
  ASSERT_THAT(engine.Add(Menu::kTree, Spec("t-wan", {}, "ether1")), IsOk());
  engine.SetFastTrack(true);
  ASSERT_THAT(engine.Move(Menu::kSimple, "q", {.up = 3, .down = 9}), IsOk());
  ASSERT_THAT(engine.Move(Menu::kTree, "t-global", {.up = 0, .down = 9}), IsOk());
  ASSERT_THAT(engine.Move(Menu::kTree, "t-wan", {.up = 0, .down = 9}), IsOk());
  EXPECT_TRUE(BytesOf(engine, "q").zero());
  EXPECT_TRUE(BytesOf(engine, "t-global", Menu::kTree).zero());
  EXPECT_EQ(BytesOf(engine, "t-wan", Menu::kTree).down, 9u);
  EXPECT_EQ(engine.Find(Menu::kTree, "t-global")->row_id, 0x1000000u);
  const std::vector<MovedRow> moved = engine.TakeMoved();
  ASSERT_EQ(moved.size(), 3u);
  EXPECT_EQ(moved[0].uncounted, (UpDown{.up = 3, .down = 9}));
  EXPECT_TRUE(moved[2].uncounted.zero());
}

TEST(EngineTest, CountersPassTwoToThe63WithoutLosingAByte) {
  Engine engine(1, kStart_us, 10);
  QueueSpec spec = Spec("big");
  spec.bytes = {.up = (1ULL << 53) + 1, .down = (1ULL << 63) - 1};
  ASSERT_THAT(engine.Add(Menu::kSimple, spec), IsOk());
  ASSERT_THAT(engine.Move(Menu::kSimple, "big", {.up = 2, .down = 2}), IsOk());
  EXPECT_EQ(BytesOf(engine, "big"), (UpDown{.up = (1ULL << 53) + 3, .down = (1ULL << 63) + 1}));
}

TEST(EngineTest, RefusesWhatARouterRefuses) {
  Engine engine(1, kStart_us, 10);
  ASSERT_THAT(engine.Add(Menu::kSimple, Spec("q")), IsOk());
  EXPECT_THAT(engine.Add(Menu::kSimple, Spec("q")),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("\"q\"")));
  EXPECT_THAT(engine.Add(Menu::kSimple, Spec("r", {}, "nowhere")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nowhere")));
  EXPECT_THAT(engine.Add(Menu::kSimple, Spec("r"), 1),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("*1")));
  EXPECT_THAT(engine.Rename(Menu::kSimple, "q", "q"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("\"q\"")));
  ASSERT_THAT(engine.SetDisabled(Menu::kSimple, "q", true), IsOk());
  EXPECT_THAT(engine.Move(Menu::kSimple, "q", {.up = 1, .down = 1}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("disabled")));
}

}  // namespace
}  // namespace netsentinel::simulator
