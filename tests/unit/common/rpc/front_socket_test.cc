#include "common/rpc/front_socket.h"

#include <string>

#include "gtest/gtest.h"
#include <arpa/inet.h>
#include <netinet/in.h>

namespace netsentinel::rpc {
namespace {

sockaddr_storage Socket(const char* address, std::uint16_t port) {
  sockaddr_storage out{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
  if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, address, &v6->sin6_addr), 1) << address;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
  }
  return out;
}

TEST(AddressTextTest, AHostIsAnAddressOfIpv4AndANetworkOfIpv6) {
  const struct {
    const char* address;
    const char* text;
    const char* host;
  } kCases[] = {
      {"10.0.0.7", "10.0.0.7:51234", "10.0.0.7"},
      {"::ffff:10.0.0.7", "10.0.0.7:51234", "10.0.0.7"},
      {"2001:db8:1:2:3:4:5:6", "[2001:db8:1:2:3:4:5:6]:51234", "2001:db8:1:2::/64"},
      {"2001:db8:1:2:ffff::1", "[2001:db8:1:2:ffff::1]:51234", "2001:db8:1:2::/64"},
      {"2001:db8:1:3::1", "[2001:db8:1:3::1]:51234", "2001:db8:1:3::/64"},
      {"::1", "[::1]:51234", "::/64"},
  };
  for (const auto& [address, text, host] : kCases) {
    std::string counted;
    EXPECT_EQ(AddressText(Socket(address, 51234), &counted), text);
    EXPECT_EQ(counted, host);
  }
}

}  // namespace
}  // namespace netsentinel::rpc
