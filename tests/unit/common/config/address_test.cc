#include "common/config/address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::config {
namespace {

using test::IsOk;

TEST(AddressTest, GoodOnesAreTakenApartAndPutTogether) {
  const struct {
    const char* text;
    Address address;
  } kRows[] = {{"127.0.0.1:9101", {"127.0.0.1", 9101}},
               {"[::1]:9101", {"::1", 9101}},
               {"smtp.example:587", {"smtp.example", 587}},
               {"localhost:0", {"localhost", 0}},
               {"0.0.0.0:65535", {"0.0.0.0", 65535}}};
  for (const auto& row : kRows) {
    const auto address = ParseAddress(row.text);
    ASSERT_THAT(address, IsOk()) << row.text;
    EXPECT_EQ(*address, row.address) << row.text;
    EXPECT_EQ(FormatAddress(*address), row.text);
  }
}

TEST(AddressTest, BadOnesAreRefused) {
  for (const char* text : {"",
                           "9101",
                           "127.0.0.1",
                           ":9101",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:+1",
                           "127.0.0.1: 1",
                           "127.0.0.1:1x",
                           "::1:9101",
                           "[::1:9101",
                           "[::1]9101",
                           "[example]:1",
                           "1.2.3.400:1",
                           "1.2.3:1",
                           "a b:1",
                           "-a:1",
                           "a/b:1",
                           "a\nb:1"}) {
    EXPECT_FALSE(ParseAddress(text).ok()) << text;
  }
}

TEST(AddressTest, OnlyLoopbackIsLoopback) {
  for (const char* host : {"127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "128.0.0.1", "127.0.0.1.example", "localhost.example",
                           "::ffff:10.0.0.1", "", "127.1"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(TargetTest, TheUsualSchemesGiveTheirHost) {
  EXPECT_EQ(ParseTarget("dns:///aggregator.example:7443")->host, "aggregator.example");
  EXPECT_EQ(ParseTarget("ipv4:10.0.0.7:7443")->host, "10.0.0.7");
  EXPECT_EQ(ParseTarget("ipv6:[::1]:7443")->host, "::1");
  EXPECT_EQ(ParseTarget("127.0.0.1:7443")->port, 7443);
  for (const char* text : {"", "dns:///", "dns:///host", "host:0", "unix:///run/x", "https://a:1",
                           "dns://8.8.8.8/host:1"}) {
    EXPECT_FALSE(ParseTarget(text).ok()) << text;
  }
}

}  // namespace
}  // namespace netsentinel::config
