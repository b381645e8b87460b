#include "common/http/host_rule.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace netsentinel::http {
namespace {

TEST(HostRuleTest, LoopbackTheListenersAddressAndConfiguredNamesAreOurs) {
  const std::vector<std::string> names = {"Reports.Example.net"};
  for (const char* host :
       {"localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1", "127.8.9.1:1", "[::1]:8080",
        "[::1]", "10.1.2.3", "10.1.2.3:65535", "[::ffff:10.1.2.3]:80", "reports.example.net",
        "reports.example.net.:443"}) {
    EXPECT_TRUE(AsksForUs(host, "10.1.2.3", names)) << host;
  }
}

TEST(HostRuleTest, AnyOtherNameOrAddressIsNot) {
  const std::vector<std::string> names = {"reports.example.net"};
  for (const char* host :
       {"", "evil.example", "evil.example:8080", "localhost.evil.example",
        "reports.example.net.evil", "xreports.example.net", "10.1.2.4", "127.0.0.1.evil.example",
        "[::2]", "[::1", "[::1]x", "localhost:99999999", "localhost:8x", "localhost:1:2",
        "127.0.0.1@evil.example", ".", "2130706433", "0x7f000001"}) {
    EXPECT_FALSE(AsksForUs(host, "10.1.2.3", names)) << host;
  }
}

TEST(HostRuleTest, WithoutAnAddressOfItsOwnOnlyLoopbackAndNamesAreOurs) {
  EXPECT_TRUE(AsksForUs("127.0.0.1", "", {}));
  EXPECT_FALSE(AsksForUs("10.1.2.3", "", {}));
}

}  // namespace
}  // namespace netsentinel::http
