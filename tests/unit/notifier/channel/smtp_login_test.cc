// The SMTP channel against a server in this process that does what few real ones do.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "notifier/channel/curl_smtp_channel.h"
#include "tests/support/scripted_smtp.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::channel {
namespace {

using test::ScriptedSmtp;
using test::SmtpAnswer;
using test::SmtpSession;
using test::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

SmtpSettings SettingsFor(const ScriptedSmtp& server) {
  return {.host = "127.0.0.1",
          .port = server.port(),
          .tls = SmtpTls::kNone,
          .username = "alerts@example.net",
          .password = base::Secret("swordfish-42"),
          .from = {.name = "", .address = "alerts@example.net"},
          .connect_timeout = absl::Seconds(5),
          .reply_timeout = absl::Seconds(5),
          .total_timeout = absl::Seconds(20)};
}

std::unique_ptr<CurlSmtpChannel> Make(SmtpSettings settings) {
  auto channel = CurlSmtpChannel::Create(std::move(settings));
  EXPECT_TRUE(channel.ok()) << channel.status();
  return channel.ok() ? *std::move(channel) : nullptr;
}

SendResult SendTo(CurlSmtpChannel& channel, const std::string& recipient) {
  return channel.Send({.id = "letter-1",
                       .date = absl::FromUnixSeconds(1774534495),
                       .subject = "a subject",
                       .text = "a text\n"},
                      recipient);
}

TEST(SmtpLoginTest, FindsTheOneWayThatWorksAndKeepsToIt) {
  ScriptedSmtp server({.offers = "GSSAPI NTLM LOGIN", .accepts = [](const SmtpSession& session) {
                         return session.login.size() == 2 &&
                                session.login[0] == "alerts@example.net" &&
                                session.login[1] == "swordfish-42";
                       }});
  const auto channel = Make(SettingsFor(server));
  const SendResult sent = SendTo(*channel, "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kDelivered) << sent.detail;
  channel->Rest();
  EXPECT_EQ(SendTo(*channel, "noc@example").outcome, Outcome::kDelivered);
  channel->Rest();
  EXPECT_EQ(channel->Probe().outcome, Outcome::kDelivered);
  EXPECT_THAT(server.Mechanisms(), ElementsAre("LOGIN", "LOGIN", "LOGIN"));
  EXPECT_THAT(server.Mails(), SizeIs(2));
}

TEST(SmtpLoginTest, GoesOnToTheNextWayWhenOneIsRefusedForNowOrCutOff) {
  for (const std::string refusal :
       {"454 4.7.0 Temporary authentication failure", "504 5.5.4 Unrecognized type", "hang up"}) {
    ScriptedSmtp server(
        {.offers = "PLAIN LOGIN",
         .accepts = [](const SmtpSession& session) { return session.mechanism == "LOGIN"; },
         .script = [&refusal](SmtpSession&, const std::string& line) -> std::optional<SmtpAnswer> {
           if (!absl::StartsWith(line, "AUTH PLAIN")) return std::nullopt;
           if (refusal == "hang up") return SmtpAnswer{"", true};
           return SmtpAnswer{refusal};
         }});
    const SendResult sent = SendTo(*Make(SettingsFor(server)), "noc@example");
    EXPECT_EQ(sent.outcome, Outcome::kDelivered) << refusal << ": " << sent.detail;
  }
}

TEST(SmtpLoginTest, AWrongPasswordIsTriedEachWayOnceAndSaidOnce) {
  ScriptedSmtp server(
      {.offers = "LOGIN PLAIN", .accepts = [](const SmtpSession&) { return false; }});
  const SendResult sent = SendTo(*Make(SettingsFor(server)), "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kMisconfigured);
  EXPECT_THAT(sent.detail, HasSubstr("535 5.7.8 authentication failed (tried PLAIN, LOGIN)"));
  EXPECT_THAT(server.Mechanisms(), ElementsAre("PLAIN", "LOGIN"));
}

TEST(SmtpLoginTest, ANamedWayIsTheOnlyOneThatIsTried) {
  ScriptedSmtp server({.offers = "PLAIN LOGIN CRAM-MD5"});
  SmtpSettings settings = SettingsFor(server);
  settings.auth = SmtpAuth::kLogin;
  EXPECT_EQ(SendTo(*Make(settings), "noc@example").outcome, Outcome::kDelivered);
  settings.auth = SmtpAuth::kCramMd5;
  EXPECT_EQ(SendTo(*Make(settings), "noc@example").outcome, Outcome::kMisconfigured);
  EXPECT_THAT(server.Mechanisms(), ElementsAre("LOGIN", "CRAM-MD5"));
}

TEST(SmtpLoginTest, AnswersAChallengeWithoutTellingThePassword) {
  constexpr char kChallenge[] = "<1896.697170952@scripted.example>";
  ScriptedSmtp server({.offers = "CRAM-MD5",
                       .accepts =
                           [&](const SmtpSession& session) {
                             unsigned char digest[EVP_MAX_MD_SIZE];
                             unsigned int size = 0;
                             const std::string key = "swordfish-42";
                             HMAC(EVP_md5(), key.data(), static_cast<int>(key.size()),
                                  reinterpret_cast<const unsigned char*>(kChallenge),
                                  sizeof(kChallenge) - 1, digest, &size);
                             return session.login.at(0) ==
                                    absl::StrCat("alerts@example.net ",
                                                 absl::BytesToHexString(absl::string_view(
                                                     reinterpret_cast<const char*>(digest), size)));
                           },
                       .challenge = [&](const SmtpSession& session) -> std::optional<std::string> {
                         if (!session.login.empty()) return std::nullopt;
                         return absl::Base64Escape(kChallenge);
                       }});
  const SendResult sent = SendTo(*Make(SettingsFor(server)), "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kDelivered) << sent.detail;
}

TEST(SmtpLoginTest, SpeaksNtlmWhereNothingElseIsOffered) {
  // A challenge message: signature, type 2, no target name, flags (unicode, NTLM), eight bytes.
  const std::string challenge =
      absl::StrCat(absl::HexStringToBytes("4e544c4d53535000020000000000000038000000"),
                   absl::HexStringToBytes("01820000"), absl::HexStringToBytes("0123456789abcdef"),
                   std::string(24, '\0'));
  ScriptedSmtp server({.offers = "NTLM",
                       .accepts =
                           [](const SmtpSession& session) {
                             return session.login.size() == 2 &&
                                    absl::StartsWith(session.login[1],
                                                     std::string("NTLMSSP\0\x03", 9));
                           },
                       .challenge = [&](const SmtpSession& session) -> std::optional<std::string> {
                         if (session.login.empty()) return "";
                         if (session.login.size() == 1) return absl::Base64Escape(challenge);
                         return std::nullopt;
                       }});
  const SendResult sent = SendTo(*Make(SettingsFor(server)), "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kDelivered) << sent.detail;
}

TEST(SmtpLoginTest, ATokenIsReadAnewForEachConnection) {
  std::vector<std::string> tokens = {"first-token", "second-token"};
  std::size_t asked = 0;
  ScriptedSmtp server({.offers = "PLAIN XOAUTH2", .accepts = [&](const SmtpSession& session) {
                         return session.mechanism == "XOAUTH2" &&
                                session.login.at(0) ==
                                    absl::StrCat("user=alerts@example.net\1auth=Bearer ",
                                                 tokens[asked - 1], "\1\1");
                       }});
  SmtpSettings settings = SettingsFor(server);
  settings.password = {};
  settings.token = [&]() -> absl::StatusOr<base::Secret> { return base::Secret(tokens[asked++]); };
  const auto channel = Make(settings);
  SendResult sent = SendTo(*channel, "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kDelivered) << sent.detail;
  EXPECT_EQ(SendTo(*channel, "noc@example").outcome, Outcome::kDelivered);
  EXPECT_EQ(asked, 1U);
  channel->Rest();
  sent = SendTo(*channel, "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kDelivered) << sent.detail;
  EXPECT_EQ(asked, 2U);
}

TEST(SmtpLoginTest, SpeaksOauthbearerWhenItIsNamed) {
  ScriptedSmtp server({.offers = "XOAUTH2 OAUTHBEARER", .accepts = [](const SmtpSession& session) {
                         return session.mechanism == "OAUTHBEARER" &&
                                absl::StrContains(session.login.at(0), "auth=Bearer the-token\1\1");
                       }});
  SmtpSettings settings = SettingsFor(server);
  settings.auth = SmtpAuth::kOauthBearer;
  settings.token = [] { return base::Secret("the-token"); };
  const SendResult sent = SendTo(*Make(settings), "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kDelivered) << sent.detail;
  settings.token = nullptr;
  EXPECT_THAT(CurlSmtpChannel::Create(settings),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("needs a token")));
}

TEST(SmtpLoginTest, ATokenThatCannotBeReadSendsNothingAndSaysWhy) {
  ScriptedSmtp server({.offers = "XOAUTH2"});
  SmtpSettings settings = SettingsFor(server);
  settings.password = {};
  settings.token = []() -> absl::StatusOr<base::Secret> {
    return absl::NotFoundError("token: no such file");
  };
  const SendResult sent = SendTo(*Make(settings), "noc@example");
  EXPECT_EQ(sent.outcome, Outcome::kChannelDown);
  EXPECT_THAT(sent.detail, HasSubstr("token: no such file"));
}

TEST(SmtpLoginTest, NoAnswerPassesTheLoginOnWhateverTheServerEchoes) {
  const std::string plain = absl::Base64Escape(absl::StrCat(
      std::string(1, '\0'), "alerts@example.net", std::string(1, '\0'), "swordfish-42"));
  const std::vector<std::string> echoes = {
      "swordfish-42", plain, absl::Base64Escape("swordfish-42"),
      absl::BytesToHexString("swordfish-42"), absl::StrCat("<", plain, ">")};
  for (const std::string& echo : echoes) {
    for (const std::string at : {"AUTH", "MAIL", "RCPT", "DATA", ".", "EHLO"}) {
      ScriptedSmtp server(
          {.offers = "PLAIN",
           .accepts = [&](const SmtpSession&) { return at != "AUTH"; },
           .refusal = absl::StrCat("535-5.7.8 bad ", echo, "\r\n535 5.7.8 you said ", echo),
           .script = [&](SmtpSession&, const std::string& line) -> std::optional<SmtpAnswer> {
             const bool here =
                 at == "EHLO" ? absl::StrContains(line, "LO ") : absl::StartsWith(line, at);
             if (at == "AUTH" || !here) return std::nullopt;
             return SmtpAnswer{absl::StrCat("550 5.7.1 no to ", echo)};
           }});
      const SendResult sent = SendTo(*Make(SettingsFor(server)), "noc@example");
      EXPECT_NE(sent.outcome, Outcome::kDelivered);
      EXPECT_THAT(sent.detail, HasSubstr(at == "AUTH" ? "[...]" : "[password]"))
          << at << " " << echo;
      EXPECT_THAT(sent.detail, Not(HasSubstr(echo))) << at;
      EXPECT_THAT(sent.detail, Not(HasSubstr("swordfish"))) << at;
    }
  }
}

TEST(SmtpLoginTest, AServerThatEndsAUsedConnectionGetsTheMailOnANewOneAtOnce) {
  for (const std::string goodbye : {"421 4.7.0 one mail a connection", "451 4.7.1 next, please",
                                    "503 5.5.1 nested MAIL", "hang up"}) {
    ScriptedSmtp server(
        {.script = [&goodbye](SmtpSession& session,
                              const std::string& line) -> std::optional<SmtpAnswer> {
          if (session.mails == 0 || !absl::StartsWith(line, "MAIL")) return std::nullopt;
          if (goodbye == "hang up") return SmtpAnswer{"", true};
          return SmtpAnswer{goodbye, absl::StartsWith(goodbye, "421")};
        }});
    SmtpSettings settings = SettingsFor(server);
    settings.username.clear();
    settings.password = {};
    const auto channel = Make(settings);
    for (int mail = 1; mail <= 4; ++mail) {
      const SendResult sent = SendTo(*channel, "noc@example");
      EXPECT_EQ(sent.outcome, Outcome::kDelivered) << goodbye << ": " << sent.detail;
    }
    EXPECT_THAT(server.Mails(), SizeIs(4));
    EXPECT_EQ(server.connections(), 4) << goodbye;
  }
}

TEST(SmtpLoginTest, AFreshConnectionThatEndsIsNotRenewedAgainAndAgain) {
  ScriptedSmtp server(
      {.script = [](SmtpSession& session, const std::string& line) -> std::optional<SmtpAnswer> {
        if (!absl::StartsWith(line, "MAIL")) return std::nullopt;
        if (session.number == 1 && session.mails == 0) return std::nullopt;
        return SmtpAnswer{"421 4.3.2 shutting down", true};
      }});
  SmtpSettings settings = SettingsFor(server);
  settings.username.clear();
  settings.password = {};
  const auto channel = Make(settings);
  EXPECT_EQ(SendTo(*channel, "noc@example").outcome, Outcome::kDelivered);
  EXPECT_EQ(SendTo(*channel, "noc@example").outcome, Outcome::kChannelDown);
  EXPECT_EQ(server.connections(), 2);
}

TEST(SmtpLoginTest, AReplyOfSeveralLinesIsJudgedWhole) {
  ScriptedSmtp server(
      {.script = [](SmtpSession&, const std::string& line) -> std::optional<SmtpAnswer> {
        if (!absl::StartsWith(line, "RCPT")) return std::nullopt;
        return SmtpAnswer{
            "550-5.1.1 The email account that you tried to reach does not exist.\r\n"
            "550 5.1.1 https://support.example/?p=NoSuchUser"};
      }});
  SmtpSettings settings = SettingsFor(server);
  settings.username.clear();
  settings.password = {};
  const SendResult refused = SendTo(*Make(settings), "noc@example");
  EXPECT_EQ(refused.outcome, Outcome::kRejected);
  EXPECT_THAT(refused.detail,
              HasSubstr("550 5.1.1 The email account that you tried to reach does not exist. "
                        "https://support.example/?p=NoSuchUser"));
}

}  // namespace
}  // namespace netsentinel::channel
