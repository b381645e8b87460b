#include "collector/app/settings.h"

#include <string>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/document.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::app {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One key a line, so that a mistake's line names it.
const char kExample[] = R"(collector: {id: lahore-hq, state_dir: /var/lib/ns, spool_limit: 1GiB}
aggregator: {target: "dns:///aggregator.example:7443", tls: {ca: ca.crt, cert: c.crt, key: c.key}}
listen: {grpc: "127.0.0.1:7442", http: "127.0.0.1:9101"}
routers:
  - id: hq-core
    address: 192.168.88.1
    transport: api-ssl
    tls: {ca: router.crt, server_name: hq.example}
    username: netsentinel
    password_file: /run/secrets/hq-core
    queues: [simple, tree]
    login: plain
    poll_interval: 10s
    reply_limit: 10m
)";

absl::Status ReadText(const std::string& text, CollectorSettings* settings = nullptr) {
  auto document = config::Document::Parse(text, "/etc/ns/collector.yaml");
  if (!document.ok()) return document.status();
  const CollectorSettings read = ReadCollectorSettings((*document)->root());
  if (settings != nullptr) *settings = read;
  return (*document)->Finish();
}

TEST(CollectorSettingsTest, ReadsTheExample) {
  CollectorSettings settings;
  ASSERT_THAT(ReadText(kExample, &settings), test::IsOk());
  EXPECT_EQ(settings.id.value(), "lahore-hq");
  EXPECT_EQ(settings.state_dir, "/var/lib/ns");
  EXPECT_EQ(settings.spool_limit, 1ULL << 30);
  EXPECT_EQ(settings.aggregator.target, "dns:///aggregator.example:7443");
  EXPECT_EQ(settings.aggregator.security.tls.cert, "/etc/ns/c.crt");
  EXPECT_EQ(settings.security, settings.aggregator.security);
  EXPECT_EQ(settings.listen.grpc.port, 7442);
  ASSERT_EQ(settings.routers.size(), 1U);
  const RouterSettings& router = settings.routers[0];
  EXPECT_EQ(router.endpoint.host, "192.168.88.1");
  EXPECT_EQ(router.endpoint.port, 0);
  EXPECT_TRUE(router.endpoint.use_tls);
  EXPECT_EQ(router.endpoint.tls.ca_file, "/etc/ns/router.crt");
  EXPECT_EQ(router.endpoint.tls.server_name, "hq.example");
  EXPECT_EQ(router.username, "netsentinel");
  EXPECT_EQ(router.password.file, "/run/secrets/hq-core");
  EXPECT_THAT(router.queues, ElementsAre(counters::Menu::kSimple, counters::Menu::kTree));
  EXPECT_EQ(router.endpoint.login, routeros::LoginMethod::kPlain);
  EXPECT_EQ(router.poll_interval, absl::Seconds(10));
  EXPECT_EQ(router.reply_limit, absl::Minutes(10));
}

TEST(CollectorSettingsTest, FillsInWhatIsNotSaid) {
  CollectorSettings settings;
  ASSERT_THAT(ReadText(absl::StrReplaceAll(kExample, {{", spool_limit: 1GiB", ""},
                                                      {"    queues: [simple, tree]\n", ""},
                                                      {"    login: plain\n", ""},
                                                      {"    transport: api-ssl\n", ""},
                                                      {"    poll_interval: 10s\n", ""},
                                                      {"    reply_limit: 10m\n", ""}}),
                       &settings),
              test::IsOk());
  EXPECT_EQ(settings.spool_limit, 2ULL << 30);
  EXPECT_EQ(settings.listen.max_connection_age, absl::Hours(1));
  EXPECT_TRUE(settings.routers.at(0).endpoint.use_tls);
  EXPECT_THAT(settings.routers.at(0).queues, ElementsAre(counters::Menu::kSimple));
  EXPECT_EQ(settings.routers.at(0).poll_interval, absl::Seconds(30));
  EXPECT_EQ(settings.routers.at(0).reply_limit, absl::Minutes(5));
  EXPECT_EQ(settings.routers.at(0).endpoint.login, routeros::LoginMethod::kPlain);
}

struct Mistake {
  const char* before;
  const char* after;
  const char* where;
  const char* words;
};

constexpr char kTls[] = "tls: {ca: router.crt, server_name: hq.example}";

TEST(CollectorSettingsTest, NamesEveryMistakeWithPlaceAndKey) {
  const Mistake table[] = {
      {"id: lahore-hq, ", "", ":1:12: collector.id", "is missing"},
      {"id: lahore-hq", "id: \"lahore hq\"", ":1:17: collector.id", "at most 64 letters"},
      {"id: lahore-hq", "id: [lahore-hq]", ":1:17: collector.id", "is a list"},
      {"state_dir: /var/lib/ns, ", "", ":1:12: collector.state_dir", "is missing"},
      {"state_dir: /var/lib/ns", "state_dir: {}", ":1:", "collector.state_dir"},
      {"spool_limit: 1GiB", "spool_limit: 1", ":1:", "collector.spool_limit: \"1\" has no unit"},
      {"spool_limit: 1GiB", "spool_limit: 1MiB", ":1:", "smallest allowed value, 16.00 MiB"},
      {"spool_limit: 1GiB", "spool_limit: 17TiB", ":1:", "largest allowed value, 16.00 TiB"},
      {"spool_limit: 1GiB", "spool_limits: 1GiB", ":1:", "did you mean spool_limit?"},
      {"id: lahore-hq", "id: lahore-hq, id: b", ":1:", "id"},
      {"collector: {id: lahore-hq, state_dir: /var/lib/ns, spool_limit: 1GiB}\n", "",
       ":1:1: collector", "is missing"},
      {"target: \"dns:///aggregator.example:7443\", ", "", ":2:", "aggregator.target: is missing"},
      {"target: \"dns:///aggregator.example:7443\"", "target: x", ":2:", "a target such as"},
      {"tls: {ca: ca.crt, cert: c.crt, key: c.key}}", "insecure: true}", ":2:", "loopback"},
      {"tls: {ca: ca.crt, ", "insecure: true, tls: {ca: ca.crt, ", ":2:", "beside tls"},
      {", tls: {ca: ca.crt, cert: c.crt, key: c.key}", "", ":2:", "aggregator.tls: is missing"},
      {"ca: ca.crt, ", "", ":2:", "aggregator.tls.ca: is missing"},
      {"cert: c.crt, ", "", ":2:", "aggregator.tls.cert: is missing"},
      {"key: c.key", "key: []", ":2:", "aggregator.tls.key"},
      {"grpc: \"127.0.0.1:7442\", ", "", ":3:", "listen.grpc: is missing"},
      {"grpc: \"127.0.0.1:7442\"", "grpc: 7442", ":3:", "listen.grpc"},
      {"grpc: \"127.0.0.1:7442\"", "grpc: \"collector.example:7442\"", ":3:", "is a host name"},
      {"http: \"127.0.0.1:9101\"", "https: \"127.0.0.1:9101\"", ":3:", "listen.http: is missing"},
      {"http: ", "max_connection_age: 1, http: ", ":3:", "listen.max_connection_age"},
      {"listen: {grpc: \"127.0.0.1:7442\"", "insecure: true\nlisten: {grpc: \"0.0.0.0:7442\"",
       ":3:", "loopback"},
      {"  - id: hq-core\n    address", "  - address", ":5:5: routers[0].id", "is missing"},
      {"id: hq-core", "id: hq core", ":5:9: routers[0].id", "at most 64 letters"},
      {"    address: 192.168.88.1\n", "", ":5:5: routers[0].address", "is missing"},
      {"address: 192.168.88.1", "address: \"a:b:c\"", ":6:14: routers[0].address", "HOST"},
      {"address: 192.168.88.1", "address: \"hq.example:99999\"", ":6:14:", "routers[0].address"},
      {"address: 192.168.88.1", "address: \"10.0.0.1%eth0\"", ":6:14:", "no IPv6 address with an"},
      {"transport: api-ssl", "transport: ssh", ":7:16: routers[0].transport", "api-ssl, api"},
      {"transport: api-ssl", "transport: api", ":8:", "is read without TLS"},
      {kTls, "tls: {}", ":8:", "exactly one of pin_sha256, ca and anonymous"},
      {kTls, "tls: {ca: a, anonymous: true}", ":8:", "routers[0].tls"},
      {kTls, "tls: {pin_sha256: abc}", ":8:", "routers[0].tls"},
      {kTls, "tls: {pin_sha256: [a]}", ":8:", "routers[0].tls.pin_sha256"},
      {kTls, "tls: {ca: []}", ":8:", "routers[0].tls.ca"},
      {kTls, "tls: {anonymous: perhaps}", ":8:", "routers[0].tls.anonymous"},
      {kTls, "tls: {ca: a, server_name: \"\"}", ":8:", "routers[0].tls.server_name"},
      {kTls, "tls: {ca: a, verify: false}", ":8:", "routers[0].tls.verify"},
      {"    username: netsentinel\n", "", ":5:5: routers[0].username", "is missing"},
      {"username: netsentinel", "username: \"\"", ":9:15:", "routers[0].username"},
      {"    password_file: /run/secrets/hq-core\n", "", ":5:5: routers[0].password",
       "password_file"},
      {"password_file: /run/secrets/hq-core", "password: hunter2", ":10:", "routers[0].password"},
      {"password_file: /run/secrets/hq-core", "password_file: a\n    password_env: B", ":1",
       "routers[0].password"},
      {"queues: [simple, tree]", "queues: simple", ":11:13: routers[0].queues", "in brackets"},
      {"queues: [simple, tree]", "queues: []", ":11:13:", "routers[0].queues"},
      {"queues: [simple, tree]", "queues: [bush]", ":11:13:", "\"bush\" is not a queue menu"},
      {"queues: [simple, tree]", "queues: [tree, tree]", ":11:13:", "\"tree\" is named twice"},
      {"login: plain", "login: kerberos", ":12:12: routers[0].login", "plain, legacy"},
      {"reply_limit: 10m", "reply_limit: 1s", ":14:", "smallest allowed value, 30s"},
      {"poll_interval: 10s", "poll_interval: 10", ":13:20: routers[0].poll_interval",
       "has no unit"},
      {"poll_interval: 10s", "poll_interval: 500ms", ":13:20:", "smallest allowed value, 1s"},
      {"poll_interval: 10s", "poll_interval: 2h", ":13:20:", "largest allowed value, 1h"},
      {"poll_interval: 10s", "poll_intervall: 10s", ":13:5:", "did you mean poll_interval?"},
      {"    reply_limit: 10m\n",
       "  - {id: hq-core, address: b, transport: api, username: u, password_env: P}\n",
       ":14:10: routers[1].id", "router \"hq-core\" is listed twice (lines"},
      {"listen:", "colour: red\nlisten:", ":3:1: colour", "not a known key"},
  };
  for (const Mistake& mistake : table) {
    SCOPED_TRACE(mistake.after);
    const std::string text = absl::StrReplaceAll(kExample, {{mistake.before, mistake.after}});
    ASSERT_NE(text, kExample) << mistake.before;
    const absl::Status status = ReadText(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr(std::string("collector.yaml") + mistake.where), HasSubstr(mistake.words)));
  }
}

TEST(CollectorSettingsTest, NeedsAtLeastOneRouter) {
  const std::string text(kExample);
  const absl::Status status = ReadText(text.substr(0, text.find("routers:")) + "routers: []\n");
  EXPECT_THAT(std::string(status.message()), HasSubstr(":4:10: routers: is an empty list"));
}

TEST(CollectorSettingsTest, TakesEveryFormOfARoutersAddress) {
  struct Form {
    const char* text;
    const char* host;
    int port;
  };
  for (const Form& form :
       {Form{"192.168.88.1", "192.168.88.1", 0},
        Form{"router.example:8729", "router.example", 8729}, Form{"2001:db8::1", "2001:db8::1", 0},
        Form{"[2001:db8::1]:8728", "2001:db8::1", 8728}, Form{"[2001:db8::1]", "2001:db8::1", 0},
        Form{"fe80::1%eth0", "fe80::1%eth0", 0}, Form{"fe80::1%3", "fe80::1%3", 0},
        Form{"[fe80::1%eth0]:8729", "fe80::1%eth0", 8729},
        Form{"[fe80::1%br-lan.7]", "fe80::1%br-lan.7", 0}}) {
    ASSERT_OK_AND_ASSIGN(const config::Address address, ParseRouterAddress(form.text));
    EXPECT_EQ(address.host, form.host);
    EXPECT_EQ(address.port, form.port);
  }
  for (const char* wrong :
       {"fe80::1%", "fe80::1%a b", "fe80::1%eth0:8729", "%eth0", "10.0.0.1%eth0",
        "router.example%eth0", "[fe80::1%eth0", "[fe80::1%eth0]8729", "[fe80::1%eth0]:0x1",
        "[%eth0]:1", "fe80::1%sixteen-letters-"}) {
    EXPECT_FALSE(ParseRouterAddress(wrong).ok()) << wrong;
  }
  EXPECT_FALSE(ParseRouterAddress("a b").ok());
  EXPECT_FALSE(ParseRouterAddress("router.example:").ok());
}

}  // namespace
}  // namespace netsentinel::app
