#include "aggregator/app/settings.h"

#include <string>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/app/policy_text.h"
#include "common/config/document.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// One key a line, so that a mistake's line names it.
const char kExample[] = R"(listen: {grpc: "0.0.0.0:7443", http: "127.0.0.1:9101"}
tls: {ca: ca.crt, cert: a.crt, key: a.key}
store: {url: "sqlite:///var/lib/ns.db", flush_interval: 30s, lease_ttl: 15s}
notifier: {target: "dns:///notifier.example:7444"}
router_lease_ttl: 60s
retention: {daily: 14d, history: 90d, monthly: 24mo}
sites: [{id: lab, time_zone: Asia/Karachi, day_start: "00:00", cut_times: ["06:00"]}]
routers: [{id: r1, site: lab, collectors: [c1], account: simple, parents: roots, line_rate: 1Gbps, poll_interval: 30s}]
map: [{menu: tree, name: "(.*)-up", subscriber: "$1", direction: upload, join_routers: true}]
quota: {default: {period: day, basis: download, limit: 10GiB, thresholds: [80, 100]}}
)";

absl::Status ReadText(const std::string& text, AggregatorSettings* settings = nullptr) {
  auto document = config::Document::Parse(text, "/etc/ns/aggregator.yaml");
  if (!document.ok()) return document.status();
  const AggregatorSettings read = ReadAggregatorSettings((*document)->root());
  if (settings != nullptr) *settings = read;
  return (*document)->Finish();
}

TEST(AggregatorSettingsTest, ReadsTheExample) {
  AggregatorSettings settings;
  ASSERT_THAT(ReadText(kExample, &settings), test::IsOk());
  EXPECT_EQ(settings.listen.grpc.port, 7443);
  EXPECT_EQ(settings.store.path, "/var/lib/ns.db");
  EXPECT_EQ(settings.flush_interval, absl::Seconds(30));
  EXPECT_EQ(settings.retention.daily_days, 14);
  EXPECT_EQ(settings.retention.monthly_months, 24);
  EXPECT_EQ(settings.retention.history_days, 90);
  EXPECT_EQ(settings.policy.accounting.sites.at(0).cuts.size(), 1U);
  EXPECT_EQ(settings.policy.accounting.routers.at(0).line_rate_bps, 1'000'000'000U);
  EXPECT_TRUE(settings.policy.accounting.mapping.at(0).join_routers);
  EXPECT_EQ(settings.policy.accounting.quotas.at(0).limit_bytes, 10ULL << 30);
}

TEST(AggregatorSettingsTest, ThePolicyIsReadBackFromItsText) {
  const std::string extremes = absl::StrReplaceAll(
      kExample, {{"(.*)-up", "(\\\\d+) \\\"ü\\\"\\x01\\t: #"},
                 {"menu: tree, name", "menu: tree, site: lab, router: r1, name"},
                 {"day_start: \"00:00\"", "day_start: \"05:30:01\""},
                 {"parents: roots", "parents: residue"},
                 {"quota: {default:",
                  "quota: {big: {limit: 9223372036854775807B, period: week}, most: {limit: "
                  "unlimited, period: month, start_day: 28}, default:"}});
  const std::string no_quota = absl::StrReplaceAll(
      kExample,
      {{"{default: {period: day, basis: download, limit: 10GiB, thresholds: [80, 100]}}", "{}"}});
  for (const std::string& text : {std::string(kExample), extremes, no_quota}) {
    AggregatorSettings settings;
    ASSERT_THAT(ReadText(text, &settings), test::IsOk());
    ASSERT_OK_AND_ASSIGN(const ingest::EnginePolicy read, ParsePolicyText(settings.policy.text));
    EXPECT_EQ(read.text, settings.policy.text);
    const accounting::Policy& before = settings.policy.accounting;
    EXPECT_EQ(read.accounting.mapping, before.mapping);
    EXPECT_EQ(read.accounting.quotas, before.quotas);
    EXPECT_EQ(read.accounting.sites.at(0).zone, before.sites.at(0).zone);
    EXPECT_EQ(read.accounting.sites.at(0).day_start, before.sites.at(0).day_start);
    EXPECT_EQ(read.accounting.sites.at(0).cuts, before.sites.at(0).cuts);
    EXPECT_EQ(read.accounting.routers.at(0).line_rate_bps, before.routers.at(0).line_rate_bps);
    EXPECT_EQ(read.accounting.routers.at(0).parents, before.routers.at(0).parents);
    EXPECT_EQ(read.accounting.routers.at(0).poll_interval, before.routers.at(0).poll_interval);
    EXPECT_EQ(read.admission.at(base::RouterId("r1")).collectors,
              settings.policy.admission.at(base::RouterId("r1")).collectors);
  }
}

TEST(AggregatorSettingsTest, ATextThatIsNoPolicyIsNotReadAsOne) {
  EXPECT_THAT(ParsePolicyText("site lab zone=UTC start=0 cuts=\nrouter r1 site=lab\n"),
              test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")));
  EXPECT_THAT(ParsePolicyText(""),
              test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")));
}

TEST(AggregatorSettingsTest, TakesAQuotaWithoutALimitAndMonthsInDays) {
  AggregatorSettings settings;
  ASSERT_THAT(ReadText(absl::StrReplaceAll(kExample, {{"limit: 10GiB", "limit: unlimited"},
                                                      {"monthly: 24mo", "monthly: 730d"}}),
                       &settings),
              test::IsOk());
  EXPECT_TRUE(settings.policy.accounting.quotas.at(0).unlimited);
  EXPECT_EQ(settings.retention.monthly_months, 0);
  EXPECT_EQ(settings.retention.monthly_days, 730);
}

struct Mistake {
  const char* before;
  const char* after;
  const char* where;
  const char* words;
};

TEST(AggregatorSettingsTest, NamesEveryMistakeWithPlaceAndKey) {
  const Mistake table[] = {
      {"listen: {grpc: \"0.0.0.0:7443\"", "listen: {grpc: 7", ":1:", "listen.grpc"},
      {"http: \"127.0.0.1:9101\"", "htp: \"127.0.0.1:9101\"", ":1:", "listen.http: is missing"},
      {"tls: {ca", "tls: {caa", ":2:", "tls.ca"},
      {"url: \"sqlite:///var/lib/ns.db\"", "url: \"oracle://x\"", ":3:", "store.url"},
      {"url: \"sqlite:///var/lib/ns.db\"", "url: [1]", ":3:", "store.url"},
      {"flush_interval: 30s", "flush_interval: 30", ":3:", "store.flush_interval"},
      {"flush_interval: 30s", "flush_interval: 2m", ":3:", "store.flush_interval"},
      {"lease_ttl: 15s}", "lease_ttl: 1ms}", ":3:", "store.lease_ttl"},
      {"lease_ttl: 15s}", "lease_ttl: 15s, password: x}", ":3:", "store.password"},
      {"lease_ttl: 15s}", "lease_ttl: 15s, ca: ca.crt}", ":3:", "neither password nor ca"},
      {"lease_ttl: 15s}", "lease_ttl: 15s, colour: red}", ":3:", "store.colour"},
      {"target: \"dns", "target: \"ftp", ":4:", "notifier.target"},
      {"router_lease_ttl: 60s", "router_lease_ttl: 1s", ":5:", "router_lease_ttl"},
      {"router_lease_ttl: 60s", "router_lease_ttl: 60s\nrouter_lease_ttl: 60s",
       ":6:", "router_lease_ttl"},
      {"daily: 14d", "daily: 1d", ":6:", "retention.daily"},
      {"monthly: 24mo", "monthly: 24", ":6:", "retention.monthly"},
      {"monthly: 24mo", "monthly: 0mo", ":6:", "1mo to 1200mo"},
      {"monthly: 24mo", "monthly: 1201mo", ":6:", "retention.monthly"},
      {"monthly: 24mo", "monthly: +1mo", ":6:", "retention.monthly"},
      {"monthly: 24mo", "monthly: soon", ":6:", "months such as 24mo"},
      {"monthly: 24mo", "monthly: 30d", ":6:", "retention.monthly"},
      {"monthly: 24mo", "monthly: [24mo]", ":6:", "retention.monthly"},
      {"grpc: \"0.0.0.0:7443\"", "grpc: \"0.0.0.0:7443\", max_connection_age: 0s",
       ":1:", "listen.max_connection_age"},
      {"tls: {ca: ca.crt, cert: a.crt, key: a.key}", "insecure: true", ":2:", "loopback"},
      {"lease_ttl: 15s}", "lease_ttl: 15s, password_file: p}", ":3:", "neither password nor ca"},
      {"sites: [", "sites: [{id: lab, time_zone: UTC}, ",
       ":7:", "sites[1].id: site \"lab\" is listed twice (both on line 7); remove one"},
      {"routers: [", "routers: [{id: r1, site: lab, collectors: [c1]}, ",
       ":8:", "routers[1].id: router \"r1\" is listed twice (both on line 8); remove one"},
      {"\nrouters: [", "\nrouters: [{id: r1, site: lab, collectors: [c1]},\n  ",
       ":9:", "router \"r1\" is listed twice (lines 8 and 9); remove one"},
      {"url: \"sqlite:///var/lib/ns.db\"", "url: \"mariadb://h/d\", password_file: p",
       ":3:", "store.url: MariaDB is reached as mysql://; the expected form is mysql://"},
      {"history: 90d", "history: 61d", ":6:", "retention.history"},
      {"id: lab,", "id: \"a b\",", ":7:", "sites[0].id"},
      {"Asia/Karachi", "Asia/Nowhere", ":7:", "sites[0].time_zone"},
      {"day_start: \"00:00\"", "day_start: \"25:00\"", ":7:", "sites[0].day_start"},
      {"cut_times: [\"06:00\"]", "cut_times: [\"00:00\"]", ":7:", "sites[0].cut_times"},
      {"id: r1,", "", ":8:", "routers[0].id: is missing"},
      {"site: lab,", "site: moon,", ":8:", "there is no site \"moon\""},
      {"collectors: [c1]", "collectors: c1", ":8:", "routers[0].collectors"},
      {"account: simple", "account: both", ":8:", "routers[0].account"},
      {"parents: roots", "parents: all", ":8:", "routers[0].parents"},
      {"line_rate: 1Gbps", "line_rate: 1GB", ":8:", "routers[0].line_rate"},
      {"poll_interval: 30s", "poll_interval: 2h", ":8:", "routers[0].poll_interval"},
      {"menu: tree", "menu: bush", ":9:", "map[0].menu"},
      {"direction: upload", "direction: both", ":9:", "a tree queue has one counter"},
      {"join_routers: true", "join_routers: maybe", ":9:", "map[0].join_routers"},
      {"menu: tree, ", "", ":9:", "map[0].menu: is missing"},
      {"menu: tree, ", "menu: tree, site: \"a b\", ", ":9:", "map[0].site"},
      {"menu: tree, ", "menu: tree, router: [r1], ", ":9:", "map[0].router"},
      {"name: \"(.*)-up\", ", "", ":9:", "map[0].name: is missing"},
      {"name: \"(.*)-up\"", "name: \"\"", ":9:", "map[0].name"},
      {"name: \"(.*)-up\"", "name: \"(.*-up\"", ":9:26: map[0].name",
       "is not a regular expression"},
      {"\"$1\"", "\"$2\"", ":9:", "map[0].subscriber: \"$2\" uses $2, but the name has only 1"},
      {"\"$1\"", "\"a$\"", ":9:", "lone $"},
      {"subscriber: \"$1\",", "", ":9:", "map[0].subscriber: is missing"},
      {"period: day", "period: hour", ":10:", "quota.default.period"},
      {"basis: download", "basis: all", ":10:", "quota.default.basis"},
      {"limit: 10GiB", "limit: 10", ":10:", "quota.default.limit"},
      {"limit: 10GiB", "limit: limitless", ":10:", "a size such as 10GiB, or unlimited"},
      {"limit: 10GiB", "limit: 0GiB", ":10:", "a size such as 10GiB, or unlimited"},
      {"limit: 10GiB, ", "", ":10:", "quota.default.limit: is missing"},
      {"thresholds: [80, 100]", "thresholds: [0]", ":10:", "quota.default.thresholds"},
      {"thresholds: [80, 100]", "thresholds: [100, 80]", ":10:", "quota.default"},
      {"basis: download", "start_day: 40", ":10:", "quota.default.start_day"},
  };
  for (const Mistake& mistake : table) {
    SCOPED_TRACE(mistake.after);
    const std::string text = absl::StrReplaceAll(kExample, {{mistake.before, mistake.after}});
    ASSERT_NE(text, kExample);
    const absl::Status status = ReadText(text);
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr(std::string("aggregator.yaml") + mistake.where), HasSubstr(mistake.words)));
  }
}

TEST(AggregatorSettingsTest, OneMistakeIsOneComplaint) {
  // What would follow from a value that could not be read is not reported beside it.
  const Mistake table[] = {
      {"limit: 10GiB", "limit: 10", ":10:", "quota.default.limit"},
      {"limit: 10GiB", "limit: 0B", ":10:", "quota.default.limit"},
      {"url: \"sqlite:///var/lib/ns.db\"", "url: \"mariadb://h/d\", password_file: p",
       ":3:", "MariaDB is reached as mysql://"},
      {"url: \"sqlite:///var/lib/ns.db\"", "url: \"mysql://u:p@h/d\", ca: x",
       ":3:", "use store.password_file"},
  };
  for (const Mistake& mistake : table) {
    SCOPED_TRACE(mistake.after);
    const std::string text = absl::StrReplaceAll(kExample, {{mistake.before, mistake.after}});
    const std::string words(ReadText(text).message());
    EXPECT_THAT(words, AllOf(HasSubstr(mistake.where), HasSubstr(mistake.words),
                             Not(HasSubstr("\n")), Not(HasSubstr("store.url: store.url"))));
  }
}

}  // namespace
}  // namespace netsentinel::app
