#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "notifier/channel/curl_smtp_channel.h"
#include "notifier/channel/gmime_message.h"
#include "tests/support/smtp_catcher.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::channel {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

class SmtpTest : public ::testing::Test {
 protected:
  SmtpSettings Settings(const test::SmtpCatcher& catcher) {
    return {.host = "localhost",
            .port = catcher.port(),
            .tls = SmtpTls::kNone,
            .from = {.name = "NetSentinel", .address = "alerts@example.net"},
            .connect_timeout = absl::Seconds(5),
            .reply_timeout = absl::Seconds(1),
            .total_timeout = absl::Seconds(10)};
  }
  static std::unique_ptr<CurlSmtpChannel> Make(SmtpSettings settings) {
    auto channel = CurlSmtpChannel::Create(std::move(settings));
    EXPECT_TRUE(channel.ok()) << channel.status();
    return channel.ok() ? *std::move(channel) : nullptr;
  }
  static Letter SampleLetter() {
    return {.id = "letter-1",
            .date = absl::FromUnixSeconds(1774534495),
            .subject = "Größe",
            .text = "first\n.\n..last\n"};
  }
  test::TempFolder folder_;
};

TEST_F(SmtpTest, DeliversTheBytesThatWereBuiltOverTlsWithALogin) {
  test::MakeCertificate(folder_.path(), "localhost");
  const test::SmtpCatcher catcher(folder_.path(),
                                  {.tls = true, .user = "alerts", .password = "se cret"});
  SmtpSettings settings = Settings(catcher);
  settings.tls = SmtpTls::kStartTls;
  settings.ca_file = folder_.path() + "/cert.pem";
  settings.username = "alerts";
  settings.password = base::Secret("se cret");
  const auto channel = Make(settings);
  const SendResult result = channel->Send(SampleLetter(), "noc@example");
  EXPECT_EQ(result.outcome, Outcome::kDelivered) << result.detail;
  ASSERT_EQ(catcher.Mails().size(), 1U);
  ASSERT_OK_AND_ASSIGN(const std::string built,
                       BuildMail(SampleLetter(), settings.from, "noc@example"));
  EXPECT_EQ(catcher.Mails()[0], built);
  EXPECT_THAT(catcher.Envelopes()[0], HasSubstr("\"to\": [\"noc@example\"]"));
  EXPECT_THAT(catcher.Envelopes()[0], HasSubstr("\"tls\": true"));
  EXPECT_THAT(catcher.Envelopes()[0], HasSubstr("\"user\": \"alerts\""));
}

TEST_F(SmtpTest, UsesOneConnectionForSeveralRecipients) {
  const test::SmtpCatcher catcher(folder_.path());
  const auto channel = Make(Settings(catcher));
  for (const char* recipient : {"a@example", "b@example", "c@example"}) {
    EXPECT_EQ(channel->Send(SampleLetter(), recipient).outcome, Outcome::kDelivered);
  }
  // The address and port that each mail came from.
  std::set<std::string> peers;
  for (const std::string& envelope : catcher.Envelopes()) {
    const std::size_t at = envelope.find("\"peer\": [");
    ASSERT_NE(at, std::string::npos) << envelope;
    peers.insert(envelope.substr(at, envelope.find(']', at) - at));
  }
  EXPECT_EQ(peers.size(), 1U);
  EXPECT_EQ(catcher.Mails().size(), 3U);
}

TEST_F(SmtpTest, ARefusedRecipientHoldsUpNobody) {
  test::SmtpCatcher catcher(folder_.path());
  catcher.Script(R"({"rcpt": {"b@example": "550 5.1.1 nobody here", "c@example": "450 later"}})");
  const auto channel = Make(Settings(catcher));
  EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kDelivered);
  const SendResult refused = channel->Send(SampleLetter(), "b@example");
  EXPECT_EQ(refused.outcome, Outcome::kRejected);
  EXPECT_THAT(refused.detail, HasSubstr("550 5.1.1 nobody here"));
  EXPECT_EQ(channel->Send(SampleLetter(), "c@example").outcome, Outcome::kRetry);
  EXPECT_EQ(channel->Send(SampleLetter(), "d@example").outcome, Outcome::kDelivered);
}

TEST_F(SmtpTest, ClassifiesRefusalsByWhereTheyCome) {
  test::SmtpCatcher catcher(folder_.path());
  const auto channel = Make(Settings(catcher));
  catcher.Script(R"({"mail": "550 5.7.1 sender refused"})");
  EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kMisconfigured);
  catcher.Script(R"({"rcpt": {"a@example": "421 4.3.0 closing"}})");
  EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kRetry);
  catcher.Script(R"({"data": "554 5.6.0 not wanted"})");
  const SendResult refused = channel->Send(SampleLetter(), "a@example");
  EXPECT_EQ(refused.outcome, Outcome::kRetrySlowly);
  EXPECT_THAT(refused.detail, HasSubstr("end of mail: 554 5.6.0 not wanted"));
  catcher.Script("");
  EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kDelivered);
}

TEST_F(SmtpTest, ASilentServerEndsInTimeAndTheSameMailFollows) {
  test::SmtpCatcher catcher(folder_.path());
  const auto channel = Make(Settings(catcher));
  catcher.Script(R"({"hang": "keep"})");
  const SendResult unknown = channel->Send(SampleLetter(), "a@example");
  EXPECT_EQ(unknown.outcome, Outcome::kRetry);
  EXPECT_THAT(unknown.detail, HasSubstr("no answer in time at end of mail"));
  catcher.Script(R"({"hang": "rcpt"})");
  EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kRetry);
  catcher.Script("");
  EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kDelivered);
  const std::vector<std::string> mails = catcher.Mails();
  ASSERT_EQ(mails.size(), 2U);
  EXPECT_EQ(mails[0], mails[1]);
}

TEST_F(SmtpTest, AWrongPasswordIsAMatterOfConfigurationAndStaysSecret) {
  test::MakeCertificate(folder_.path(), "localhost");
  const test::SmtpCatcher catcher(folder_.path(),
                                  {.tls = true, .user = "alerts", .password = "right"});
  SmtpSettings settings = Settings(catcher);
  settings.tls = SmtpTls::kStartTls;
  settings.ca_file = folder_.path() + "/cert.pem";
  settings.username = "alerts";
  settings.password = base::Secret("wrong-and-secret");
  const SendResult result = Make(settings)->Send(SampleLetter(), "a@example");
  EXPECT_EQ(result.outcome, Outcome::kMisconfigured) << result.detail;
  EXPECT_THAT(result.detail, HasSubstr("login refused"));
  EXPECT_THAT(result.detail, Not(HasSubstr("wrong-and-secret")));
}

TEST_F(SmtpTest, AProbeGoesAsFarAsAMailWouldAndSendsNone) {
  test::MakeCertificate(folder_.path(), "localhost");
  SmtpSettings settings;
  {
    const test::SmtpCatcher catcher(folder_.path(),
                                    {.tls = true, .user = "alerts", .password = "right"});
    settings = Settings(catcher);
    settings.tls = SmtpTls::kStartTls;
    settings.ca_file = folder_.path() + "/cert.pem";
    settings.username = "alerts";
    settings.password = base::Secret("right");
    const auto channel = Make(settings);
    EXPECT_EQ(channel->Probe().outcome, Outcome::kDelivered) << channel->Probe().detail;
    EXPECT_THAT(catcher.Log(), HasSubstr("\"event\": \"auth\""));
    EXPECT_THAT(catcher.Log(), Not(HasSubstr("\"event\": \"mail\"")));
    EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kDelivered);
    EXPECT_EQ(channel->Probe().outcome, Outcome::kDelivered);
    SmtpSettings wrong = settings;
    wrong.password = base::Secret("wrong");
    EXPECT_EQ(Make(wrong)->Probe().outcome, Outcome::kMisconfigured);
    wrong = settings;
    wrong.ca_file.clear();
    EXPECT_EQ(Make(wrong)->Probe().outcome, Outcome::kMisconfigured);
  }
  EXPECT_EQ(Make(settings)->Probe().outcome, Outcome::kChannelDown);
}

TEST_F(SmtpTest, AConfiguredLoginThatIsNotOfferedIsAMatterOfConfiguration) {
  test::MakeCertificate(folder_.path(), "localhost");
  const test::SmtpCatcher catcher(folder_.path(), {.tls = true});  // no AUTH before TLS
  SmtpSettings settings = Settings(catcher);
  settings.username = "alerts";
  settings.password = base::Secret("right");
  const auto channel = Make(settings);
  const SendResult probed = channel->Probe();
  EXPECT_EQ(probed.outcome, Outcome::kMisconfigured);
  EXPECT_THAT(probed.detail, HasSubstr("offers no login"));
  const SendResult sent = channel->Send(SampleLetter(), "a@example");
  EXPECT_EQ(sent.outcome, Outcome::kMisconfigured);
  EXPECT_THAT(sent.detail, HasSubstr("login refused, check smtp.username"));
}

TEST_F(SmtpTest, NeverSendsInTheClearWhenTlsIsRequired) {
  const test::SmtpCatcher catcher(folder_.path());  // offers no STARTTLS
  SmtpSettings settings = Settings(catcher);
  settings.tls = SmtpTls::kStartTls;
  const SendResult result = Make(settings)->Send(SampleLetter(), "a@example");
  EXPECT_EQ(result.outcome, Outcome::kMisconfigured) << result.detail;
  EXPECT_THAT(result.detail, HasSubstr("offers no STARTTLS on this port"));
  EXPECT_THAT(catcher.Log(), Not(HasSubstr("mail")));
  // A port without TLS where TLS from the first byte is asked for.
  settings.tls = SmtpTls::kImplicit;
  const SendResult implicit = Make(settings)->Send(SampleLetter(), "a@example");
  EXPECT_EQ(implicit.outcome, Outcome::kMisconfigured) << implicit.detail;
  EXPECT_THAT(implicit.detail, HasSubstr("set `smtp.starttls: required`"));
}

TEST_F(SmtpTest, RefusesACertificateFromElsewhereOrForAnotherName) {
  test::MakeCertificate(folder_.path(), "mail.example");
  const test::SmtpCatcher catcher(folder_.path(), {.tls = true});
  SmtpSettings settings = Settings(catcher);
  settings.tls = SmtpTls::kStartTls;
  EXPECT_EQ(Make(settings)->Send(SampleLetter(), "a@example").outcome, Outcome::kMisconfigured);
  settings.ca_file = folder_.path() + "/cert.pem";  // trusted now, and named otherwise
  const SendResult result = Make(settings)->Send(SampleLetter(), "a@example");
  EXPECT_EQ(result.outcome, Outcome::kMisconfigured);
  EXPECT_THAT(result.detail, HasSubstr("no trusted TLS"));
  EXPECT_THAT(catcher.Log(), Not(HasSubstr("mail")));
}

TEST_F(SmtpTest, AServerThatIsAwayConcernsTheChannel) {
  SmtpSettings settings;
  {
    const test::SmtpCatcher catcher(folder_.path());
    settings = Settings(catcher);
  }
  const auto channel = Make(settings);
  EXPECT_EQ(channel->Send(SampleLetter(), "a@example").outcome, Outcome::kChannelDown);
}

TEST_F(SmtpTest, PlaintextIsForLoopbackOnly) {
  EXPECT_THAT(CurlSmtpChannel::Create({.host = "smtp.example",
                                       .tls = SmtpTls::kNone,
                                       .from = {.address = "alerts@example.net"}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("loopback")));
}

}  // namespace
}  // namespace netsentinel::channel
