#include "common/shell/reload.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::shell {
namespace {

using testing::HasSubstr;

TEST(OnlyWithRestartTest, NamesTheKeysThatDiffer) {
  EXPECT_THAT(OnlyWithRestart({{"store.url", false}, {"tls", false}}), test::IsOk());
  EXPECT_THAT(OnlyWithRestart({{"store.url", false}, {"tls", true}}),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             HasSubstr("tls changes only with a restart")));
  EXPECT_THAT(OnlyWithRestart({{"store.url", true}, {"listen.grpc", true}, {"tls", false}}),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             HasSubstr("store.url, listen.grpc change only with a restart")));
}

TEST(OnlyWithRestartTest, EveryKeyOfAListenerAndOfAServerToCallIsCompared) {
  const auto listen = [](const std::function<void(config::Listen&)>& change) {
    config::Listen fresh;
    change(fresh);
    KeyChanges changes;
    AddListen(config::Listen(), fresh, changes);
    return std::string(OnlyWithRestart(changes).message());
  };
  EXPECT_EQ(listen([](config::Listen&) {}), "");
  EXPECT_THAT(listen([](config::Listen& one) {
                one.grpc = {"::1", 1};
              }),
              HasSubstr("listen.grpc changes"));
  EXPECT_THAT(listen([](config::Listen& one) { one.max_connection_age = absl::Hours(2); }),
              HasSubstr("listen.max_connection_age changes"));
  EXPECT_THAT(listen([](config::Listen& one) { one.max_connections = 17; }),
              HasSubstr("listen.max_connections changes"));
  EXPECT_THAT(listen([](config::Listen& one) { one.max_connections_per_name = 17; }),
              HasSubstr("listen.max_connections_per_name changes"));
  const auto peer = [](const std::function<void(config::Peer&)>& change) {
    config::Peer fresh;
    change(fresh);
    KeyChanges changes;
    AddPeer("aggregator", config::Peer(), fresh, changes);
    return std::string(OnlyWithRestart(changes).message());
  };
  EXPECT_EQ(peer([](config::Peer&) {}), "");
  EXPECT_THAT(peer([](config::Peer& one) { one.target = "a:1"; }),
              HasSubstr("aggregator.target changes"));
  EXPECT_THAT(peer([](config::Peer& one) { one.security.insecure = true; }),
              HasSubstr("aggregator.tls changes"));
  EXPECT_THAT(peer([](config::Peer& one) { one.environment_proxy = true; }),
              HasSubstr("aggregator.environment_proxy changes"));
}

}  // namespace
}  // namespace netsentinel::shell
