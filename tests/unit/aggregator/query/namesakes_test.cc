#include "aggregator/query/namesakes.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::query {
namespace {

using testing::HasSubstr;

accounting::SubscriberKey Key(const std::string& site, const std::string& router,
                              const std::string& name) {
  return {base::SiteId(site), base::RouterId(router), name};
}

TEST(NamesakesTest, NamesTheRoutersWhenTheOneThatWasLeftOutMatters) {
  const std::vector<accounting::Book::NamedSubscriber> known = {
      {Key("lahore", "hq-core", "alice"), true},
      {Key("lahore", "gulberg", "alice"), true},
      {Key("karachi", "k1", "alice"), true},
      {Key("lahore", "hq-core", "bob"), true}};
  EXPECT_THAT(
      CheckNamesakes(Key("lahore", "", "alice"), known),
      test::StatusIs(absl::StatusCode::kNotFound,
                     HasSubstr("\"alice\" without a router_id has no usage at site lahore in "
                               "these days; that name is known with router_id: hq-core, "
                               "gulberg")));
  EXPECT_THAT(CheckNamesakes(Key("lahore", "elsewhere", "alice"), known), test::IsOk());
  EXPECT_THAT(CheckNamesakes(Key("lahore", "hq-core", "alice"), known), test::IsOk());
  // Somebody who moved nothing is no mistake.
  EXPECT_THAT(CheckNamesakes(Key("lahore", "", "carol"), known), test::IsOk());
}

}  // namespace
}  // namespace netsentinel::query
