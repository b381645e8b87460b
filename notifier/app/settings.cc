#include "notifier/app/settings.h"

#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "notifier/channel/mail_address.h"

namespace netsentinel::app {
namespace {

constexpr std::size_t kMaxRecipients = 100;

std::vector<std::string> ReadRecipients(config::Section& section) {
  std::vector<std::string> recipients =
      section.RequiredStringList("to", {.min = 1, .max = 254}, kMaxRecipients);
  std::set<std::string> seen;
  for (const std::string& recipient : recipients) {
    if (recipient.empty()) continue;  // Reported already.
    if (const absl::Status checked = channel::CheckMailAddress(recipient); !checked.ok()) {
      section.Fail("to", checked.message());
    }
    if (!seen.insert(recipient).second) {
      section.Fail("to", absl::StrCat("names ", recipient, " twice"), "each address once");
    }
  }
  return recipients;
}

void ReadLogin(config::Section& smtp, NotifierSettings& settings) {
  using channel::SmtpAuth;
  settings.smtp.username = smtp.OptionalString("username", "");
  settings.smtp_password = smtp.OptionalSecret("password");
  settings.smtp_token = smtp.OptionalSecret("token");
  settings.smtp.auth = smtp.OptionalEnum<SmtpAuth>("auth",
                                                   {{"auto", SmtpAuth::kAuto},
                                                    {"plain", SmtpAuth::kPlain},
                                                    {"login", SmtpAuth::kLogin},
                                                    {"cram-md5", SmtpAuth::kCramMd5},
                                                    {"ntlm", SmtpAuth::kNtlm},
                                                    {"xoauth2", SmtpAuth::kXoauth2},
                                                    {"oauthbearer", SmtpAuth::kOauthBearer}},
                                                   SmtpAuth::kAuto);
  const bool password = settings.smtp_password.given();
  const bool token = settings.smtp_token.given();
  if (settings.smtp.username.empty() == (password || token)) {
    smtp.Fail("username", "username and password_file (or token_file) go together",
              "both or neither");
    return;
  }
  if (settings.smtp.auth == SmtpAuth::kAuto) return;
  const bool by_token = channel::TakesToken(settings.smtp.auth);
  if (by_token ? !token : !password) {
    smtp.Fail(
        "auth", by_token ? "logs in with a token" : "logs in with a password",
        by_token ? "username and token_file beside it" : "username and password_file beside it");
  }
}

void ReadSmtp(config::Section& root, NotifierSettings& settings) {
  config::Section smtp = root.RequiredSection("smtp");
  const config::Address server = smtp.RequiredAddress("server");
  settings.smtp.host = server.host;
  settings.smtp.port = server.port;
  settings.smtp.tls =
      smtp.OptionalEnum<channel::SmtpTls>("starttls",
                                          {{"required", channel::SmtpTls::kStartTls},
                                           {"implicit", channel::SmtpTls::kImplicit},
                                           {"none", channel::SmtpTls::kNone}},
                                          channel::SmtpTls::kStartTls);
  const bool insecure = smtp.OptionalBool("insecure", false);
  const bool plain = settings.smtp.tls == channel::SmtpTls::kNone;
  if (plain && (!insecure || !config::IsLoopback(server.host))) {
    smtp.Fail("starttls", "none sends mails and the password in the clear", "required",
              "plaintext needs `insecure: true` and a server on a loopback address");
  }
  if (insecure && !plain) {
    smtp.Fail("insecure", "is true beside TLS", "one of the two", "remove `insecure: true`");
  }
  settings.smtp.ca_file = smtp.OptionalPath("ca", "");
  ReadLogin(smtp, settings);
  const std::string from = smtp.RequiredString("from");
  if (!from.empty()) {
    absl::StatusOr<channel::Mailbox> mailbox = channel::ParseMailbox(from);
    if (mailbox.ok()) {
      settings.smtp.from = *std::move(mailbox);
    } else {
      smtp.Fail("from", mailbox.status().message());
    }
  }
  settings.smtp.hello_name =
      smtp.OptionalName("hello_name", channel::DomainOf(settings.smtp.from.address.empty()
                                                            ? "x@localhost"
                                                            : settings.smtp.from.address));
  settings.smtp.reply_timeout = smtp.OptionalDuration("reply_timeout", absl::Minutes(5),
                                                      {absl::Seconds(1), absl::Minutes(10)});
}

void ReadReports(config::Section& root, NotifierSettings& settings) {
  config::UniqueIds names("report");
  for (config::Section& section : root.OptionalSectionList("reports", 100)) {
    delivery::ReportSettings report;
    report.name = section.RequiredName("name");
    const config::TimeOfDay at = section.OptionalTimeOfDay("at", {.hour = 18, .minute = 15});
    report.at = {.hour = at.hour, .minute = at.minute};
    report.sites = section.NameListOrWord("sites", "all");
    report.recipients = ReadRecipients(section);
    names.Add(section, "name", report.name);
    settings.reports.push_back(std::move(report));
  }
}

}  // namespace

NotifierSettings ReadNotifierSettings(config::Section root) {
  NotifierSettings settings;
  settings.listen = config::ReadListen(root);
  config::Section listen = root.OptionalSection("listen");
  settings.web = config::ReadListenAddress(listen, "web", false);
  if (settings.web.has_value() && !settings.web->host.empty() &&
      !config::IsLoopback(settings.web->host)) {
    listen.Fail("web", "the page asks nobody who they are", "a loopback address",
                "put a reverse proxy with a login in front of it");
  }
  settings.web_hosts = listen.OptionalStringList("web_hosts", {.min = 1, .max = 253}, 20);
  for (const std::string& host : settings.web_hosts) {
    if (host.empty()) continue;  // Reported already.
    if (host.find_first_of(" /:*") != std::string::npos) {
      listen.Fail("web_hosts", absl::StrCat("\"", host, "\" is not a host name"),
                  "names such as reports.example.net, without scheme, port or path");
    }
  }
  settings.security = config::ReadSecurity(root, settings.listen.grpc.host);
  settings.state_dir = root.RequiredPath("state_dir");
  config::Section aggregator = root.RequiredSection("aggregator");
  settings.aggregator.target = aggregator.RequiredTarget("target");
  const absl::StatusOr<config::Address> address = config::ParseTarget(settings.aggregator.target);
  settings.aggregator.security = config::ReadSecurityOr(
      aggregator, address.ok() ? address->host : "localhost", settings.security);
  settings.aggregator.environment_proxy = aggregator.OptionalBool("environment_proxy", false);
  ReadSmtp(root, settings);
  config::Section alerts = root.RequiredSection("alerts");
  if (alerts.present()) settings.alert_recipients = ReadRecipients(alerts);
  settings.group.window = alerts.OptionalDuration("group_window", absl::Seconds(60),
                                                  {absl::Seconds(1), absl::Hours(24)});
  ReadReports(root, settings);
  return settings;
}

}  // namespace netsentinel::app
