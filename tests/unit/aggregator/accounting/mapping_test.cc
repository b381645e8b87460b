#include "aggregator/accounting/mapping.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace netsentinel::accounting {
namespace {

using ::testing::HasSubstr;

class MappingTest : public ::testing::Test {
 protected:
  // The subscriber that the pattern and template make of the name; "-" when it does not match.
  static std::string Mapped(const std::string& pattern, const std::string& subscriber,
                            const std::string& name) {
    const auto mapper =
        Mapper::Compile({{counters::Menu::kSimple, {}, {}, pattern, subscriber, {}, true}});
    if (!mapper.ok()) return std::string(mapper.status().message());
    const QueueTarget target =
        mapper->Resolve({Router().id, counters::Menu::kSimple, name}, Router());
    return target.subscriber.router.empty() ? target.subscriber.name : "-";
  }
  static RouterSettings Router() {
    RouterSettings router;
    router.id = base::RouterId("r1");
    router.site = base::SiteId("site");
    return router;
  }
};

TEST_F(MappingTest, GroupsComeOutTheSameHoweverTheyAreMatched) {
  EXPECT_EQ(Mapped("^(.*)-down$", "$1", "alice-down"), "alice");
  EXPECT_EQ(Mapped("(.*)-(.*)", "$2/$1", "a-b-c"), "c/a-b");
  // With a repeat too many, or of a group.
  EXPECT_EQ(Mapped("(.*)-(.*)-(.*)", "$1|$2|$3", "a-b-c-d"), "a-b|c|d");
  EXPECT_EQ(Mapped("(.*?)-(.*?)-(.*)", "$1|$2|$3", "a-b-c-d"), "a|b|c-d");
  EXPECT_EQ(Mapped("(?:ab)+(a|ab)(c|bcd)?(.*)", "$1|$2|$3", "ababcd"), "a|bcd|");
  EXPECT_EQ(Mapped("(x)?(y)?z", "$1.$2", "yz"), ".y");
  EXPECT_EQ(Mapped("[)]*(a)", "$1", "))a"), "a");
  EXPECT_EQ(Mapped("user-([0-9]{1,3})", "$$$1", "user-12"), "$12");
  EXPECT_EQ(Mapped("user-([0-9]{1,3})", "$1", "user-1234"), "-");
}

// With plain backtracking the first of these takes longer than anybody waits.
TEST_F(MappingTest, NoNameMakesAPatternRunAway) {
  const std::string name(1000, 'a');
  EXPECT_EQ(Mapped("(a*)*b", "$1", name), "-");
  EXPECT_EQ(Mapped("(a|aa)+b", "$1", name), "-");
  EXPECT_EQ(Mapped("a*a*a*a*a*a*(b)", "$1", name), "-");
  EXPECT_EQ(Mapped("(a?){30}a*b", "$1", name), "-");
  std::string questions, alternatives;
  for (int i = 0; i < 60; ++i) {
    questions += "a?";
    alternatives += "(?:a|a)";
  }
  EXPECT_EQ(Mapped(questions + "b", "x", name), "-");
  EXPECT_EQ(Mapped(alternatives + "b", "x", std::string(60, 'a')), "-");
  EXPECT_EQ(Mapped("a*a*" + std::string(340, 'a') + "b", "x", name), "-");
  EXPECT_EQ(Mapped("(a+)", "$1", name), name);
  EXPECT_EQ(Mapped("(a+)", "$1", std::string(1025, 'a')), "-");
}

TEST_F(MappingTest, RulesThatCannotBeKeptAreRefusedInWords) {
  EXPECT_THAT(Mapped("(a", "$1", "a"), HasSubstr("not a regular expression"));
  EXPECT_THAT(Mapped("(a+)(b+)\\1", "$1", "aba"), HasSubstr("back reference"));
  EXPECT_THAT(Mapped("(?=a*(?=a*(?=a*b)))a*", "x", "a"), HasSubstr("name has a look-ahead"));
  EXPECT_THAT(Mapped("(a{0,100}){0,100}b", "x", "a"), HasSubstr("name makes more than 512"));
  EXPECT_THAT(Mapped("(a)", "$2", "a"), HasSubstr("only 1 groups"));
  EXPECT_THAT(Mapped("a", "$", "a"), HasSubstr("lone $"));
  EXPECT_THAT(Mapped("a", "", "a"), HasSubstr("subscriber is empty"));
}

TEST_F(MappingTest, TheUserIsWhoTheSessionIsOf) {
  EXPECT_EQ(UserOfQueueName("<pppoe-bob>"), "bob");
  EXPECT_EQ(UserOfQueueName("<hotspot-bob>"), "bob");
  EXPECT_EQ(UserOfQueueName("<pppoe-bob-1>"), "bob-1");
  EXPECT_EQ(UserOfQueueName("<pppoe->"), "<pppoe->");
  EXPECT_EQ(UserOfQueueName("<other-bob>"), "<other-bob>");
  EXPECT_EQ(UserOfQueueName("bob"), "bob");
}

}  // namespace
}  // namespace netsentinel::accounting
