#include "common/rpc/peer_identity.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::rpc {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

TEST(PeerIdentityTest, EveryRoleSurvivesTheWayIntoACertificateAndBack) {
  for (const Role role : {Role::kCollector, Role::kAggregator, Role::kNotifier, Role::kOperator,
                          Role::kViewer, Role::kAdmin}) {
    const auto peer = ParsePeerUri(PeerUri(role, "lahore-hq"));
    ASSERT_THAT(peer, IsOk());
    EXPECT_EQ(*peer, (PeerIdentity{role, "lahore-hq", true}));
  }
}

struct BadUri {
  const char* name;
  std::string uri;
  const char* why;
};
void PrintTo(const BadUri& bad, std::ostream* out) { *out << bad.name; }

class BadUriTest : public testing::TestWithParam<BadUri> {};

TEST_P(BadUriTest, IsRefusedWithTheReason) {
  EXPECT_THAT(ParsePeerUri(GetParam().uri),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr(GetParam().why)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadUriTest,
    testing::Values(
        BadUri{"Empty", "", "not one of NetSentinel"},
        BadUri{"OtherTrustDomain", "spiffe://example/collector/a", "not one of NetSentinel"},
        BadUri{"OtherScheme", "https://netsentinel/collector/a", "not one of NetSentinel"},
        BadUri{"NoId", "spiffe://netsentinel/collector", "no role and id"},
        BadUri{"EmptyId", "spiffe://netsentinel/collector/", "id that is not allowed"},
        BadUri{"UnknownRole", "spiffe://netsentinel/root/a", "unknown role"},
        BadUri{"RoleInCapitals", "spiffe://netsentinel/Admin/a", "unknown role"},
        BadUri{"PathInId", "spiffe://netsentinel/viewer/a/b", "id that is not allowed"},
        BadUri{"NewlineInId", "spiffe://netsentinel/viewer/a\nb", "id that is not allowed"},
        BadUri{"LongId", "spiffe://netsentinel/viewer/" + std::string(65, 'a'),
               "id that is not allowed"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace netsentinel::rpc
