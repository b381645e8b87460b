#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/aggregator/accounting/book_driver.h"

// What a restart reads back, and what a new policy moves.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

class RestartTest : public ::testing::Test {
 protected:
  BookDriver d;
};

quota::Rule Rule(const std::string& id, quota::Period period, std::uint64_t limit) {
  quota::Rule rule;
  rule.id = id;
  rule.period = period;
  rule.limit_bytes = limit;
  return rule;
}

SubscriberKey Key(const std::string& name) {
  return {base::SiteId("site"), base::RouterId("r1"), name};
}

TEST_F(RestartTest, AnOverrideForSomebodyNotStoredTakesNobodysNumber) {
  d.policy.quotas = {Rule("daily", quota::Period::kDay, 1'000'000)};
  d.policy.overrides.push_back({Key("ghost"), "daily", {500, false}});
  d.Start();
  d.Poll({{1, "alice", 0, 0, 1}}, 100, 50'000);
  d.Poll({{1, "alice", 0, 100, 2}}, 130, 50'030);
  d.Flush(140);
  d.Restart(150);
  d.Poll({{1, "alice", 0, 150, 3}, {2, "ghost", 0, 7, 1}}, 160, 50'060);
  d.Flush(170);
  std::set<std::uint64_t> ids;
  for (const NumberedSubscriber& s : d.stored.subscribers) ids.insert(s.id);
  EXPECT_EQ(ids.size(), d.stored.subscribers.size());
  EXPECT_EQ(d.stored.subscribers.size(), 2U);
  d.Restart(180);
  EXPECT_EQ(d.On(0), (TrafficBytes{0, 150}));
  EXPECT_EQ(d.RowOf("alice").subscriber, Key("alice"));
  EXPECT_EQ(d.On(0, "ghost"), (TrafficBytes{0, 7}));
  EXPECT_EQ(d.RowOf("ghost").subscriber, Key("ghost"));
}

}  // namespace
}  // namespace netsentinel::accounting
