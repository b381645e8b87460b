#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/display_name.h"
#include "tests/support/status_matchers.h"
#include "tools/ctl/grpc_subscriber.h"

namespace netsentinel::ctl {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Of sites and routers.
v1::FindSubscribersResponse Found(
    const std::vector<std::pair<std::string, std::string>>& subscribers, const std::string& name) {
  v1::FindSubscribersResponse found;
  for (const auto& [site, router] : subscribers) {
    v1::SubscriberRef* one = found.add_subscribers()->mutable_subscriber();
    one->set_site_id(site);
    one->set_router_id(router);
    one->mutable_name()->set_name(name);
    one->mutable_name()->set_display_name(base::DisplayName(name));
  }
  return found;
}

TEST(ChooseSubscriberTest, TakesTheOnlyOneThatFits) {
  ASSERT_OK_AND_ASSIGN(
      const v1::FoundSubscriber one,
      ChooseSubscriber(Found({{"karachi", "k1"}}, "caf\xE9"), {}, {"caf\\xE9", "karachi", ""}));
  EXPECT_EQ(one.subscriber().router_id(), "k1");
  EXPECT_EQ(one.subscriber().site_id(), "karachi");
  EXPECT_EQ(one.subscriber().name().name(), "caf\xE9");
}

TEST(ChooseSubscriberTest, NamesTheCandidatesWhenTheNameIsNotEnough) {
  v1::FindSubscribersResponse fitting = Found({{"lahore", "hq-core"}, {"lahore", ""}}, "bob");
  EXPECT_THAT(ChooseSubscriber(fitting, {}, {"bob", "", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"bob\" is the name of 2 subscribers; give one of: --site lahore "
                                 "--router hq-core (no queue at present), --site lahore (no")));
  fitting = Found(std::vector<std::pair<std::string, std::string>>(11, {"x", "r"}), "bob");
  fitting.set_more(true);
  EXPECT_THAT(ChooseSubscriber(fitting, {}, {"bob", "", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("is the name of more than 11 subscribers"),
                             HasSubstr("--router r (no queue at present), …"))));
}

// One that was there before a rule joined the routers, and the one that it made: each can be named,
// whoever is active.
TEST(ChooseSubscriberTest, TheSiteAloneNamesTheOneThatNoRouterScopes) {
  v1::FindSubscribersResponse fitting = Found({{"lahore", ""}, {"lahore", "hq-core"}}, "bob");
  for (const bool joined_active : {false, true}) {
    fitting.mutable_subscribers(0)->set_active(joined_active);
    fitting.mutable_subscribers(1)->set_active(!joined_active);
    EXPECT_THAT(ChooseSubscriber(fitting, {}, {"bob", "", ""}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(joined_active ? "--site lahore, --site lahore --router hq-core "
                                                   "(no queue at present)"
                                                 : "--site lahore (no queue at present), --site "
                                                   "lahore --router hq-core")));
    ASSERT_OK_AND_ASSIGN(const v1::FoundSubscriber one,
                         ChooseSubscriber(fitting, {}, {"bob", "lahore", ""}));
    EXPECT_EQ(one.subscriber().router_id(), "");
  }
  fitting = Found({{"lahore", "gulberg"}, {"lahore", "hq-core"}}, "bob");
  fitting.mutable_subscribers(0)->set_active(true);
  EXPECT_THAT(ChooseSubscriber(fitting, {}, {"bob", "lahore", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2 subscribers")));
}

TEST(ChooseSubscriberTest, SaysWhoseNameItIsElsewhereAndWhenItIsNobodys) {
  EXPECT_THAT(ChooseSubscriber({}, Found({{"karachi", ""}}, "carol"), {"carol", "lahore", "k1"}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("no subscriber \"carol\" at site lahore on router k1 has been "
                                 "seen; there is one of that name with: --site karachi")));
  EXPECT_THAT(ChooseSubscriber({}, {}, {"dave", "", ""}),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("\"dave\" has been seen; `netsentinelctl ranking` shows"),
                             Not(HasSubstr("at site")))));
}

}  // namespace
}  // namespace netsentinel::ctl
