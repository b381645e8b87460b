#include "notifier/app/settings.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/config/document.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const char kExample[] =
    R"(listen: {grpc: "0.0.0.0:7444", http: "127.0.0.1:9103", web: "127.0.0.1:8080"}
tls: {ca: ca.crt, cert: n.crt, key: n.key}
state_dir: /var/lib/netsentinel/notifier
aggregator: {target: "dns:///aggregator.example:7443"}
smtp: {server: "smtp.example:587", starttls: required, username: alerts, password_file: /run/secrets/smtp, from: "NetSentinel <alerts@example>"}
alerts: {to: [noc@example]}
reports: [{name: daily, at: "18:15", sites: all, to: [manager@example]}]
)";

struct Read {
  NotifierSettings settings;
  absl::Status status;
};

Read ReadText(const std::string& text) {
  auto document = config::Document::Parse(text, "/etc/netsentinel/notifier.yaml");
  if (!document.ok()) return {{}, document.status()};
  Read read;
  read.settings = ReadNotifierSettings((*document)->root());
  read.status = (*document)->Finish();
  return read;
}

TEST(NotifierSettingsTest, ReadsTheExample) {
  const Read read = ReadText(kExample);
  ASSERT_THAT(read.status, test::IsOk());
  const NotifierSettings& settings = read.settings;
  EXPECT_EQ(settings.listen.grpc.port, 7444);
  EXPECT_EQ(settings.web->port, 8080);
  EXPECT_EQ(settings.security.tls.cert, "/etc/netsentinel/n.crt");
  EXPECT_EQ(settings.aggregator.security, settings.security);
  EXPECT_EQ(settings.smtp.host, "smtp.example");
  EXPECT_EQ(settings.smtp.tls, channel::SmtpTls::kStartTls);
  EXPECT_EQ(settings.smtp.hello_name, "example");
  EXPECT_EQ(settings.smtp_password.file, "/run/secrets/smtp");
  EXPECT_EQ(settings.smtp.from.address, "alerts@example");
  EXPECT_EQ(settings.group.window, absl::Seconds(60));
  EXPECT_THAT(settings.alert_recipients, ElementsAre("noc@example"));
  ASSERT_THAT(settings.reports, SizeIs(1));
  EXPECT_EQ(settings.reports[0].at.hour * 60 + settings.reports[0].at.minute, 18 * 60 + 15);
  EXPECT_THAT(settings.reports[0].sites, IsEmpty());
}

TEST(NotifierSettingsTest, NamesSitesInAList) {
  const Read read =
      ReadText(absl::StrReplaceAll(kExample, {{"sites: all", "sites: [lahore, karachi]"}}));
  ASSERT_THAT(read.status, test::IsOk());
  EXPECT_THAT(read.settings.reports[0].sites, ElementsAre("lahore", "karachi"));
  EXPECT_TRUE(read.settings.reports[0].Wants("lahore"));
  EXPECT_FALSE(read.settings.reports[0].Wants("quetta"));
}

struct Mistake {
  std::string from;
  std::string to;
  // Where and what the complaint is.
  std::string place;
  std::string words;
};

TEST(NotifierSettingsTest, PointsAtEachMistakeByTheTable) {
  const std::vector<Mistake> mistakes = {
      {"state_dir: /var/lib/netsentinel/notifier\n", "", ": state_dir: ", "missing"},
      {"web: \"127.0.0.1:8080\"", "web: \"0.0.0.0:8080\"", ":1:", "loopback"},
      {"grpc: \"0.0.0.0:7444\"", "grpc: 7444", ":1:", "listen.grpc"},
      {"http: \"127.0.0.1:9103\", ", "", ":1:", "listen.http: is missing"},
      {"http: \"127.0.0.1:9103\"", "http: 9103", ":1:", "listen.http"},
      {"http: \"127.0.0.1:9103\"", "http: \"notifier.example:9103\"", ":1:", "is a host name"},
      {"web: ", "max_connection_age: 400d, web: ", ":1:", "listen.max_connection_age"},
      {"tls: {ca: ca.crt, cert: n.crt, key: n.key}", "insecure: true", ":2:", "loopback"},
      {"key: n.key", "", ":2:", "tls.key: is missing"},
      {"state_dir: /var/lib/netsentinel/notifier", "state_dir: []", ":3:", "state_dir"},
      {"aggregator: {", "aggregator: {insecure: true, ", ":4:", "loopback"},
      {"from: ", "password_env: SMTP, from: ", ":5:", "smtp.password"},
      {"target: \"dns:///aggregator.example:7443\"", "target: x", ":4:", "aggregator.target"},
      {"server: \"smtp.example:587\"", "server: smtp.example", ":5:", "smtp.server"},
      {"starttls: required", "starttls: maybe", ":5:", "smtp.starttls"},
      {"starttls: required", "starttls: none", ":5:", "in the clear"},
      {"starttls: required", "starttls: none, insecure: true", ":5:", "in the clear"},
      {"starttls: required", "starttls: required, insecure: true", ":5:", "beside TLS"},
      {"username: alerts, ", "", ":5:", "go together"},
      {"password_file: /run/secrets/smtp, ", "", ":5:", "go together"},
      {"password_file: /run/secrets/smtp", "password: hunter2", ":5:", "smtp.password"},
      {"starttls: required", "auth: kerberos", ":5:", "smtp.auth"},
      {"starttls: required", "auth: xoauth2", ":5:", "logs in with a token"},
      {"password_file: ", "auth: plain, token_file: ", ":5:", "logs in with a password"},
      {"username: alerts, password_file: ", "token_file: ", ":5:", "go together"},
      {"NetSentinel <alerts@example>", "NetSentinel", ":5:", "needs one @"},
      {"from: ", "reply_timeout: 20, from: ", ":5:", "smtp.reply_timeout"},
      {"from: ", "hello_name: a b, from: ", ":5:", "smtp.hello_name"},
      {"from: ", "ca: [], from: ", ":5:", "smtp.ca"},
      {"alerts: {to: [noc@example]}\n", "", ": alerts: ", "missing"},
      {"to: [noc@example]", "to: []", ":6:", "alerts.to"},
      {"to: [noc@example]", "to: [noc]", ":6:", "needs one @"},
      {"to: [noc@example]", "to: [a@b, a@b]", ":6:", "names a@b twice"},
      {"to: [noc@example]", "to: [noc@example], group_window: 0s", ":6:", "group_window"},
      {"name: daily", "name: \"a b\"", ":7:", "reports[0].name"},
      {"at: \"18:15\"", "at: \"25:15\"", ":7:", "reports[0].at"},
      {"sites: all", "sites: some", ":7:", "all, or a list of names"},
      {"to: [manager@example]", "to: manager@example", ":7:", "reports[0].to"},
      {"}]\n", "}, {name: daily, to: [a@b]}]\n",
       ":7:", "report \"daily\" is listed twice (both on line 7); remove one"},
      {"alerts:", "colour: red\nalerts:", ":6:1: colour", "not a known key"},
  };
  for (const Mistake& mistake : mistakes) {
    const std::string text = absl::StrReplaceAll(kExample, {{mistake.from, mistake.to}});
    ASSERT_NE(text, kExample) << mistake.from;
    const Read read = ReadText(text);
    EXPECT_EQ(read.status.code(), absl::StatusCode::kInvalidArgument) << mistake.to;
    EXPECT_THAT(std::string(read.status.message()), HasSubstr(mistake.place)) << mistake.to;
    EXPECT_THAT(std::string(read.status.message()), HasSubstr(mistake.words)) << mistake.to;
  }
}

TEST(NotifierSettingsTest, TakesATokenInThePlaceOfThePasswordOrBesideIt) {
  const std::string token = "auth: xoauth2, token_file: /run/secrets/token";
  Read read =
      ReadText(absl::StrReplaceAll(kExample, {{"password_file: /run/secrets/smtp", token}}));
  ASSERT_THAT(read.status, test::IsOk());
  EXPECT_EQ(read.settings.smtp.auth, channel::SmtpAuth::kXoauth2);
  EXPECT_EQ(read.settings.smtp_token.file, "/run/secrets/token");
  EXPECT_FALSE(read.settings.smtp_password.given());
  read = ReadText(absl::StrReplaceAll(
      kExample, {{"password_file:", "token_file: /run/secrets/token, password_file:"}}));
  ASSERT_THAT(read.status, test::IsOk());
  EXPECT_EQ(read.settings.smtp.auth, channel::SmtpAuth::kAuto);
  EXPECT_TRUE(read.settings.smtp_password.given());
}

TEST(NotifierSettingsTest, TakesPlaintextMailToLoopbackWhenAskedFor) {
  const Read read =
      ReadText(absl::StrReplaceAll(kExample, {{"smtp.example:587\", starttls: required",
                                               "127.0.0.1:25\", starttls: none, insecure: true"}}));
  ASSERT_THAT(read.status, test::IsOk());
  EXPECT_EQ(read.settings.smtp.tls, channel::SmtpTls::kNone);
}

}  // namespace
}  // namespace netsentinel::app
