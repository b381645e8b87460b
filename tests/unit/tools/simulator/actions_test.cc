#include "tools/simulator/actions.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::simulator {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

constexpr std::int64_t kNow_us = 1'000'000'000'000;

Arguments Of(std::initializer_list<std::pair<const char*, const char*>> entries) {
  Arguments arguments;
  for (const auto& [key, value] : entries) arguments.Set(key, value);
  return arguments;
}

class ActionsTest : public testing::Test {
 protected:
  void SetUp() override {
    RouterSpec spec;
    spec.id = "r1";
    absl::StatusOr<Router> router = Router::Create(spec, 1, kNow_us);
    ASSERT_TRUE(router.ok());
    router_ = std::make_unique<Router>(*std::move(router));
    ASSERT_THAT(Apply("add", Of({{"name", "alice"}, {"max_limit", "1000/2000"}})), IsOk());
  }

  absl::StatusOr<ActionResult> Apply(const char* verb, const Arguments& arguments) {
    return ApplyAction(*router_, verb, arguments, kNow_us);
  }
  const Queue* Find(const std::string& name) { return router_->engine().Find(Menu::kSimple, name); }

  std::unique_ptr<Router> router_;
};

TEST_F(ActionsTest, RawNamesComeInHexadecimal) {
  ASSERT_THAT(Apply("rename", Of({{"queue", "alice"}, {"to_hex", "616cee63e9"}})), IsOk());
  ASSERT_NE(Find("al\xEE"
                 "c\xE9"),
            nullptr);
  ASSERT_THAT(Apply("move", Of({{"queue_hex", "616cee63e9"}, {"up", "5"}, {"down", "9"}})), IsOk());
  EXPECT_EQ(Find("al\xEE"
                 "c\xE9")
                ->bytes,
            (UpDown{.up = 5, .down = 9}));
}

TEST_F(ActionsTest, RebootCutsConnectionsAndOthersDoNot) {
  absl::StatusOr<ActionResult> reboot = Apply("reboot", Of({{"down_ms", "10"}}));
  ASSERT_THAT(reboot, IsOk());
  EXPECT_TRUE(reboot->cut_connections);
  EXPECT_EQ(router_->engine().UptimeSeconds(kNow_us), 0u);
  absl::StatusOr<ActionResult> pause = Apply("pause", Arguments());
  ASSERT_THAT(pause, IsOk());
  EXPECT_FALSE(pause->cut_connections);
}

TEST_F(ActionsTest, PppoeUserMakesADynamicQueueNamedAfterHim) {
  ASSERT_THAT(Apply("add", Of({{"pppoe_user", "ali"}})), IsOk());
  ASSERT_NE(Find("<pppoe-ali>"), nullptr);
  EXPECT_TRUE(Find("<pppoe-ali>")->spec.dynamic);
  ASSERT_THAT(Apply("pppoe_down", Of({{"user", "ali"}})), IsOk());
  EXPECT_EQ(Find("<pppoe-ali>"), nullptr);
  ASSERT_THAT(Apply("pppoe_up", Of({{"user", "ali"}, {"suffix", "true"}})), IsOk());
  EXPECT_NE(Find("<pppoe-ali-1>"), nullptr);
}

TEST_F(ActionsTest, ARemovedRowsIdCanBeGivenToAnother) {
  ASSERT_THAT(Apply("remove", Of({{"queue", "alice"}})), IsOk());
  ASSERT_THAT(Apply("add", Of({{"name", "bob"}, {"id", "*1"}})), IsOk());
  EXPECT_EQ(Find("bob")->row_id, 1u);
  EXPECT_THAT(Apply("add", Of({{"name", "eve"}, {"id", "*xyz"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("*1A")));
}

TEST_F(ActionsTest, ErrorsNameTheKeyTheValueAndWhatIsKnown) {
  EXPECT_THAT(Apply("dance", Arguments()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("reboot")));
  EXPECT_THAT(Apply("move", Of({{"queue", "alice"}, {"dwn", "1"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"dwn\"")));
  EXPECT_THAT(Apply("move", Of({{"queue", "alice"}, {"down", "-1"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"-1\"")));
  EXPECT_THAT(Apply("fault", Of({{"kind", "gremlin"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("zero_counters")));
  EXPECT_THAT(Apply("move", Of({{"queue", "bob"}, {"down", "1"}})),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("bob")));
  EXPECT_THAT(Apply("edit", Of({{"queue", "alice"}, {"max_limit", "fast"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("UP/DOWN")));
}

TEST_F(ActionsTest, ShowGivesCountersAsJson) {
  ASSERT_THAT(Apply("move", Of({{"queue", "alice"}, {"up", "5"}, {"down", "9"}})), IsOk());
  absl::StatusOr<ActionResult> shown = Apply("show", Arguments());
  ASSERT_THAT(shown, IsOk());
  EXPECT_THAT(shown->json, HasSubstr("\"id\":\"*1\",\"name\":\"alice\",\"name_hex\":\"616c696365\","
                                     "\"up\":5,\"down\":9"));
}

TEST_F(ActionsTest, TrafficWithinATargetCountsAsDownload) {
  ASSERT_THAT(Apply("move", Of({{"queue", "alice"}, {"up", "5"}, {"down", "9"}, {"both", "100"}})),
              IsOk());
  EXPECT_EQ(Find("alice")->bytes, (UpDown{.up = 5, .down = 109}));
  const std::vector<MovedRow> moved = router_->engine().TakeMoved();
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0].moved, (UpDown{.up = 5, .down = 109}));
  EXPECT_EQ(moved[0].both, 100U);
  EXPECT_TRUE(router_->engine().TakeMoved().empty());
  ASSERT_THAT(Apply("add", Of({{"menu", "tree"}, {"name", "t"}, {"parent", "global"}})), IsOk());
  EXPECT_THAT(Apply("move", Of({{"menu", "tree"}, {"queue", "t"}, {"both", "1"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("one direction")));
}

TEST_F(ActionsTest, AShareOfATrafficModelStaysWithinItsTarget) {
  ASSERT_THAT(Apply("add", Of({{"name", "lan"}, {"up_rate", "1000"}, {"both_permille", "250"}})),
              IsOk());
  router_->engine().AdvanceTo(kNow_us + 3'600'000'000);
  const Queue* lan = Find("lan");
  const std::uint64_t all = lan->bytes.up + lan->bytes.down;
  EXPECT_GT(lan->bytes.down, 0U);
  EXPECT_EQ(lan->bytes.down, all / 4);
  EXPECT_EQ(lan->moved_both, lan->bytes.down);
  EXPECT_THAT(Apply("traffic", Of({{"queue", "lan"}, {"both_permille", "1001"}})),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("both_permille")));
}

}  // namespace
}  // namespace netsentinel::simulator
