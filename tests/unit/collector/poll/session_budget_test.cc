#include "collector/poll/session_budget.h"

#include <array>
#include <map>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"

namespace netsentinel::poll {
namespace {

using ::testing::ElementsAre;

class SessionBudgetTest : public ::testing::Test {
 protected:
  bool Take(int who) {
    return budget_.Take(&names_[static_cast<std::size_t>(who)],
                        [this, who] { woken_.push_back(who); });
  }
  void Release(int who) { budget_.Release(&names_[static_cast<std::size_t>(who)]); }
  bool ShouldYield(int who) { return budget_.ShouldYield(&names_[static_cast<std::size_t>(who)]); }

  test::FakeClock clock_;
  SessionBudget budget_{clock_, 2, absl::Minutes(2)};
  std::array<char, 16> names_ = {};
  std::vector<int> woken_;
};

TEST_F(SessionBudgetTest, WhoWaitsLongestGetsTheNextFreeSession) {
  EXPECT_TRUE(Take(0));
  EXPECT_TRUE(Take(1));
  EXPECT_FALSE(Take(2));
  EXPECT_FALSE(Take(3));
  EXPECT_FALSE(Take(2)) << "asking again moves nobody";
  Release(1);
  EXPECT_THAT(woken_, ElementsAre(2));
  EXPECT_TRUE(Take(2));
  EXPECT_EQ(budget_.held(), 2U);
  EXPECT_EQ(budget_.waiting(), 1U);
}

TEST_F(SessionBudgetTest, WhoGoesWhileWaitingIsPassedOver) {
  Take(0);
  Take(1);
  Take(2);
  Take(3);
  Release(2);
  Release(0);
  EXPECT_THAT(woken_, ElementsAre(3));
  Release(3);
  Release(3);
  EXPECT_EQ(budget_.held(), 1U);
}

TEST_F(SessionBudgetTest, NobodyYieldsWithoutNeedOrBeforeATurn) {
  Take(0);
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(ShouldYield(0)) << "nobody waits";
  Take(1);
  Take(2);
  EXPECT_FALSE(ShouldYield(0)) << "nobody has waited long";
  clock_.Advance(absl::Minutes(1));
  EXPECT_FALSE(ShouldYield(0));
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(ShouldYield(0));
  EXPECT_FALSE(ShouldYield(1)) << "one waits, so one yields: who has had it longest";
}

TEST_F(SessionBudgetTest, WithMoreRoutersThanSessionsEachIsReadWithinTheRound) {
  // Ten routers over two sessions; each reads every half minute.
  constexpr int kRouters = 10;
  std::map<int, absl::Duration> last_read;
  std::map<int, absl::Duration> longest_gap;
  std::set<int> holding;
  const absl::Duration begin = clock_.MonotonicNow();
  for (int step = 0; step < 240; ++step, clock_.Advance(absl::Seconds(30))) {
    for (int who = 0; who < kRouters; ++who) {
      if (!Take(who)) continue;
      const absl::Duration now = clock_.MonotonicNow();
      const absl::Duration before = last_read.contains(who) ? last_read[who] : begin;
      longest_gap[who] = std::max(longest_gap[who], now - before);
      last_read[who] = now;
      if (ShouldYield(who)) Release(who);
    }
    EXPECT_LE(budget_.held(), 2U);
  }
  EXPECT_EQ(last_read.size(), static_cast<std::size_t>(kRouters));
  for (const auto& [who, gap] : longest_gap) {
    EXPECT_LE(gap, absl::Minutes(12)) << who;  // five rounds of a turn, and some
  }
}

}  // namespace
}  // namespace netsentinel::poll
