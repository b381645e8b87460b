#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/display_name.h"
#include "tests/support/status_matchers.h"
#include "tools/ctl/grpc_subscriber.h"

namespace netsentinel::ctl {
namespace {

using test::StatusIs;
using testing::HasSubstr;

void Add(v1::GetRankingResponse& ranking, const std::string& site, const std::string& router,
         const std::string& name) {
  v1::SubscriberRef* one = ranking.add_rows()->mutable_subscriber();
  one->set_site_id(site);
  one->set_router_id(router);
  one->mutable_name()->set_name(name);
  one->mutable_name()->set_display_name(base::DisplayName(name));
}

class ChooseSubscriberTest : public testing::Test {
 protected:
  ChooseSubscriberTest() {
    Add(ranking_, "lahore", "hq-core", "alice");
    Add(ranking_, "lahore", "hq-core", "bob");
    Add(ranking_, "lahore", "gulberg", "bob");
    Add(ranking_, "karachi", "", "carol");
    Add(ranking_, "karachi", "k1", "caf\xE9");
  }
  v1::GetRankingResponse ranking_;
};

TEST_F(ChooseSubscriberTest, FindsTheOneOfThatNameWithoutItsRouter) {
  ASSERT_OK_AND_ASSIGN(const v1::SubscriberRef alice,
                       ChooseSubscriber(ranking_, {"alice", "", ""}));
  EXPECT_EQ(alice.router_id(), "hq-core");
  EXPECT_EQ(alice.site_id(), "lahore");
  ASSERT_OK_AND_ASSIGN(const v1::SubscriberRef raw,
                       ChooseSubscriber(ranking_, {"caf\\xE9", "karachi", ""}));
  EXPECT_EQ(raw.name().name(), "caf\xE9");
  ASSERT_OK_AND_ASSIGN(const v1::SubscriberRef bob,
                       ChooseSubscriber(ranking_, {"bob", "", "gulberg"}));
  EXPECT_EQ(bob.router_id(), "gulberg");
}

TEST_F(ChooseSubscriberTest, NamesTheCandidatesWhenTheNameIsNotEnough) {
  EXPECT_THAT(ChooseSubscriber(ranking_, {"bob", "lahore", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"bob\" is the name of 2 subscribers; give one of: --site lahore "
                                 "--router hq-core, --site lahore --router gulberg")));
}

TEST_F(ChooseSubscriberTest, SaysWhoseNameItIsElsewhereAndWhenItIsNobodys) {
  EXPECT_THAT(ChooseSubscriber(ranking_, {"carol", "lahore", ""}),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("no subscriber \"carol\" at site lahore has been seen in the last "
                                 "month; there is one of that name with: --site karachi")));
  EXPECT_THAT(ChooseSubscriber(ranking_, {"dave", "", ""}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("ranking` shows the names")));
  EXPECT_THAT(ChooseSubscriber(ranking_, {"bad \\escape", "", ""}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")));
}

}  // namespace
}  // namespace netsentinel::ctl
