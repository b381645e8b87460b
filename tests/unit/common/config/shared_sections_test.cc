#include "common/config/shared_sections.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/document.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::config {
namespace {

using test::IsOk;
using testing::HasSubstr;

std::string ServerComplaint(const std::string& text, Security* security = nullptr) {
  auto document = Document::Parse(text, "/etc/ns/x.yaml");
  if (!document.ok()) return std::string(document.status().message());
  Section root = (*document)->root();
  const Listen listen = ReadListen(root);
  const Security read = ReadSecurity(root, listen.grpc.host);
  if (security != nullptr) *security = read;
  return std::string((*document)->Finish().message());
}

constexpr char kLoopback[] = "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n";
constexpr char kOpen[] = "listen: {grpc: \"0.0.0.0:7443\", http: \"127.0.0.1:0\"}\n";

TEST(SecurityTest, TlsFilesAreSeenFromTheFilesFolder) {
  Security security;
  EXPECT_EQ(
      ServerComplaint(absl::StrCat(kOpen, "tls: {ca: ca.crt, cert: a.crt, key: /run/a.key}\n"),
                      &security),
      "");
  EXPECT_EQ(security, (Security{false, {"/etc/ns/ca.crt", "/etc/ns/a.crt", "/run/a.key"}}));
}

TEST(SecurityTest, PlaintextIsAllowedOnLoopbackOnly) {
  Security security;
  EXPECT_EQ(ServerComplaint(absl::StrCat(kLoopback, "insecure: true\n"), &security), "");
  EXPECT_TRUE(security.insecure);
  EXPECT_EQ(ServerComplaint(absl::StrCat(kOpen, "insecure: true\n")),
            "/etc/ns/x.yaml:2:11: insecure: plaintext is allowed on a loopback address only, and "
            "0.0.0.0 is not a loopback address; expected tls: {ca, cert, key}; make certificates "
            "with `netsentinelctl "
            "certs init` and `netsentinelctl certs issue --role ROLE --name NAME`");
}

TEST(SecurityTest, NeitherAndBothAreReported) {
  EXPECT_THAT(ServerComplaint(kLoopback), HasSubstr(": tls: is missing; expected a group of keys"));
  EXPECT_THAT(
      ServerComplaint(absl::StrCat(kLoopback, "insecure: true\ntls: {ca: a, cert: b, key: c}\n")),
      HasSubstr("insecure: is true beside tls"));
  EXPECT_THAT(ServerComplaint(absl::StrCat(kOpen, "tls: {ca: a, cert: b}\n")),
              HasSubstr(":2:6: tls.key: is missing"));
}

TEST(SecurityTest, AnotherSectionsFilesMayServeHereToo) {
  ASSERT_OK_AND_ASSIGN(const auto document, Document::Parse("{}", "x.yaml"));
  Section root = document->root();
  const Security tls = {false, {"ca", "cert", "key"}};
  EXPECT_EQ(ReadSecurityOr(root, "0.0.0.0", tls), tls);
  EXPECT_EQ(ReadSecurityOr(root, "127.0.0.1", {true, {}}), (Security{true, {}}));
  EXPECT_THAT(document->Finish(), IsOk());
  ReadSecurityOr(root, "0.0.0.0", {true, {}});
  EXPECT_FALSE(document->Finish().ok());
}

TEST(ListenTest, AHostNameIsNoPlaceToListen) {
  EXPECT_EQ(ServerComplaint("listen: {grpc: \"me.example:7443\", http: \"localhost:0\"}\n"
                            "tls: {ca: a, cert: b, key: c}\n"),
            "/etc/ns/x.yaml:1:16: listen.grpc: \"me.example\" is a host name; expected an IP "
            "address to listen on; write 127.0.0.1:7443 for this host only, 0.0.0.0:7443 or "
            "[::]:7443 for all networks");
}

TEST(ListenTest, TheConnectionAgeHasADefaultAndLimits) {
  ASSERT_OK_AND_ASSIGN(const auto document, Document::Parse(kLoopback, "x.yaml"));
  Section root = document->root();
  EXPECT_EQ(ReadListen(root).max_connection_age, absl::Hours(1));
  EXPECT_THAT(ServerComplaint("listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\", "
                              "max_connection_age: 1ms}\ninsecure: true\n"),
              HasSubstr("listen.max_connection_age: \"1ms\" is less than"));
}

TEST(ListenTest, ConnectionsHaveLimitsOfTheirOwn) {
  ASSERT_OK_AND_ASSIGN(const auto document,
                       Document::Parse("listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\", "
                                       "max_connections: 20, max_connections_per_name: 2}\n",
                                       "x.yaml"));
  Section root = document->root();
  const Listen listen = ReadListen(root);
  EXPECT_EQ(listen.max_connections, 20U);
  EXPECT_EQ(listen.max_connections_per_name, 2U);
  ASSERT_OK_AND_ASSIGN(const auto without, Document::Parse(kLoopback, "x.yaml"));
  Section bare = without->root();
  EXPECT_EQ(ReadListen(bare).max_connections, 4096U);
  EXPECT_EQ(ReadListen(bare).max_connections_per_name, 64U);
}

TEST(PeerTest, TheProxyOfTheEnvironmentIsAskedFor) {
  const auto asks = [](const std::string& key) {
    auto document =
        Document::Parse("target: \"dns:///127.0.0.1:1\"\ninsecure: true\n" + key, "x.yaml");
    Section root = (*document)->root();
    return ReadPeer(root).environment_proxy;
  };
  EXPECT_FALSE(asks(""));
  EXPECT_TRUE(asks("environment_proxy: true\n"));
}

TEST(PeerTest, ATargetOffLoopbackNeedsTls) {
  const auto complaint = [](const std::string& text) {
    auto document = Document::Parse(text, "x.yaml");
    Section root = (*document)->root();
    Section peer = root.RequiredSection("aggregator");
    ReadPeer(peer);
    return std::string((*document)->Finish().message());
  };
  EXPECT_EQ(complaint("aggregator: {target: \"127.0.0.1:7443\", insecure: true}\n"), "");
  EXPECT_EQ(complaint("aggregator: {target: \"dns:///a.example:7443\", tls: {ca: a, cert: b, key: "
                      "c}}\n"),
            "");
  EXPECT_THAT(complaint("aggregator: {target: \"dns:///a.example:7443\", insecure: true}\n"),
              HasSubstr("aggregator.insecure: plaintext is allowed on a loopback address only"));
}

}  // namespace
}  // namespace netsentinel::config
