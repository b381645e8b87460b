#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "notifier/channel/gmime_message.h"
#include "notifier/channel/mail_address.h"
#include "notifier/channel/smtp_verdict.h"
#include "tests/support/golden.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::channel {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

Letter SampleLetter() {
  return {.id = "letter-1",
          .date = absl::FromUnixSeconds(1774534495),
          .subject = "NetSentinel lahore: علی passed 100 % of 10.00 GiB download",
          .text = "علی passed 100 %.\n.\n..two dots\n",
          .html = "<p>علی passed 100 %.</p>\n",
          .csv_name = "netsentinel-lahore-2026-03-26.csv",
          .csv = "site,day\r\nlahore,2026-03-26\r\n"};
}

const Mailbox kFrom = {.name = "NetSentinel", .address = "alerts@example.net"};

TEST(BuildMailTest, IsWhatTheGoldenFileSays) {
  ASSERT_OK_AND_ASSIGN(const std::string mail, BuildMail(SampleLetter(), kFrom, "noc@example"));
  test::ExpectGolden(mail, "notifier/mail.eml");
}

TEST(BuildMailTest, GivesTheSameBytesForTheSameLetterAndOthersForAnother) {
  ASSERT_OK_AND_ASSIGN(const std::string one, BuildMail(SampleLetter(), kFrom, "noc@example"));
  ASSERT_OK_AND_ASSIGN(const std::string again, BuildMail(SampleLetter(), kFrom, "noc@example"));
  ASSERT_OK_AND_ASSIGN(const std::string other, BuildMail(SampleLetter(), kFrom, "boss@example"));
  EXPECT_EQ(one, again);
  EXPECT_NE(MessageId("letter-1", "noc@example", "x"), MessageId("letter-1", "boss@example", "x"));
  EXPECT_NE(MessageId("letter-1", "noc@example", "x"), MessageId("letter-2", "noc@example", "x"));
  EXPECT_THAT(one, HasSubstr(MessageId("letter-1", "noc@example", "example.net")));
  EXPECT_THAT(other, Not(HasSubstr(MessageId("letter-1", "noc@example", "example.net"))));
}

TEST(BuildMailTest, DatesTheMailByTheLetter) {
  ASSERT_OK_AND_ASSIGN(const std::string mail, BuildMail(SampleLetter(), kFrom, "noc@example"));
  EXPECT_THAT(mail, HasSubstr("Date: Thu, 26 Mar 2026 14:14:55 +0000\r\n"));
}

TEST(BuildMailTest, KeepsAPlainLetterPlain) {
  Letter letter = SampleLetter();
  letter.html.clear();
  letter.csv_name.clear();
  ASSERT_OK_AND_ASSIGN(const std::string mail, BuildMail(letter, kFrom, "noc@example"));
  EXPECT_THAT(mail, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(mail, Not(HasSubstr("multipart")));
}

TEST(BuildMailTest, RefusesHeadersThatWouldBecomeTwo) {
  Letter letter = SampleLetter();
  letter.subject = "x\r\nBcc: everyone@example";
  EXPECT_THAT(BuildMail(letter, kFrom, "noc@example"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("control character")));
  EXPECT_THAT(BuildMail(SampleLetter(), kFrom, "noc@example\r\nRCPT TO:<x@y>"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no mail address has")));
}

TEST(MailAddressTest, AcceptsAndRefusesByTheTable) {
  for (const char* good : {"noc@example", "a.b+c@mail.example.com", "1@2"}) {
    EXPECT_THAT(CheckMailAddress(good), IsOk()) << good;
  }
  for (const char* bad : {"", "noc", "@example", "noc@", "a@b@c", "a b@c", "a@b\n", "<a@b>",
                          "a,b@c", "\"a\"@b", "é@example"}) {
    EXPECT_THAT(CheckMailAddress(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")))
        << bad;
  }
}

TEST(MailAddressTest, SplitsNameAndAddress) {
  ASSERT_OK_AND_ASSIGN(const Mailbox plain, ParseMailbox(" noc@example "));
  EXPECT_EQ(plain.name + "|" + plain.address, "|noc@example");
  ASSERT_OK_AND_ASSIGN(const Mailbox named, ParseMailbox("\"Net, Sentinel\" <a@example>"));
  EXPECT_EQ(named.name + "|" + named.address, "Net, Sentinel|a@example");
  EXPECT_THAT(ParseMailbox("x <a@example"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("without a >")));
  EXPECT_THAT(ParseMailbox("x\r\ny <a@example>"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("control character")));
}

struct VerdictCase {
  SmtpEnd end;
  SmtpStage stage;
  int code;
  Outcome outcome;
  std::string text = "";
  bool logged_in = true;
};

TEST(SmtpVerdictTest, JudgesByTheTable) {
  const std::vector<VerdictCase> cases = {
      {SmtpEnd::kAccepted, SmtpStage::kBody, 250, Outcome::kDelivered},
      // Before the transaction everything concerns the channel.
      {SmtpEnd::kConnection, SmtpStage::kConnect, 0, Outcome::kChannelDown},
      {SmtpEnd::kTimeout, SmtpStage::kConnect, 0, Outcome::kChannelDown},
      {SmtpEnd::kReply, SmtpStage::kConnect, 421, Outcome::kChannelDown},
      {SmtpEnd::kReply, SmtpStage::kConnect, 554, Outcome::kMisconfigured},
      {SmtpEnd::kReply, SmtpStage::kHello, 502, Outcome::kMisconfigured},
      {SmtpEnd::kTlsRefused, SmtpStage::kHello, 250, Outcome::kMisconfigured},
      {SmtpEnd::kTlsRefused, SmtpStage::kStartTls, 220, Outcome::kMisconfigured},
      {SmtpEnd::kLoginRefused, SmtpStage::kAuth, 535, Outcome::kMisconfigured},
      {SmtpEnd::kLoginRefused, SmtpStage::kAuth, 454, Outcome::kChannelDown},
      // Inside it most concerns one recipient or one letter.
      {SmtpEnd::kReply, SmtpStage::kMail, 451, Outcome::kChannelDown},
      {SmtpEnd::kReply, SmtpStage::kMail, 550, Outcome::kMisconfigured},
      {SmtpEnd::kReply, SmtpStage::kMail, 530, Outcome::kMisconfigured},
      {SmtpEnd::kReply, SmtpStage::kMail, 552, Outcome::kRetrySlowly},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 450, Outcome::kRetry},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 421, Outcome::kRetry},
      // Only what can be about nothing but the address gives a recipient up.
      {SmtpEnd::kReply, SmtpStage::kRecipient, 550, Outcome::kNotPermitted},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 550, Outcome::kRejected, "550 nobody of that name"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 550, Outcome::kRejected, "550 5.1.1 nobody", false},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 550, Outcome::kRetrySlowly, "550 5.2.1 off", false},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 551, Outcome::kNotPermitted, "551 not here", false},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 553, Outcome::kNotPermitted, "553 no such", false},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 554, Outcome::kRejected, "554 5.1.2 no host"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 554, Outcome::kNotPermitted,
       "554 5.7.1 <a@b>: Relay access denied"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 550, Outcome::kNotPermitted, "550 5.7.1 denied"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 553, Outcome::kNotPermitted, "553 5.7.1 denied"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 554, Outcome::kNotPermitted, "554 no"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 550, Outcome::kNotPermitted,
       "550 relay not permitted", false},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 552, Outcome::kRetrySlowly, "552 5.2.2 full"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 530, Outcome::kMisconfigured, "530 5.7.0 log in"},
      {SmtpEnd::kReply, SmtpStage::kRecipient, 535, Outcome::kMisconfigured, "535 5.7.8 no"},
      {SmtpEnd::kReply, SmtpStage::kData, 452, Outcome::kRetry},
      {SmtpEnd::kReply, SmtpStage::kData, 554, Outcome::kRetrySlowly},
      {SmtpEnd::kReply, SmtpStage::kBody, 451, Outcome::kRetry},
      {SmtpEnd::kReply, SmtpStage::kBody, 554, Outcome::kRetrySlowly},
      {SmtpEnd::kTimeout, SmtpStage::kBody, 0, Outcome::kRetry},
      {SmtpEnd::kConnection, SmtpStage::kRecipient, 0, Outcome::kRetry},
  };
  for (const VerdictCase& one : cases) {
    EXPECT_EQ(JudgeSmtp({one.end, one.stage, one.code, one.text, one.logged_in}).outcome,
              one.outcome)
        << StageWord(one.stage) << " " << one.code << " " << one.text;
  }
}

TEST(SmtpVerdictTest, ShowsTheServersWordsWithoutTheirControls) {
  const SendResult result = JudgeSmtp(
      {SmtpEnd::kReply, SmtpStage::kRecipient, 550, "550 no\x1B[31m " + std::string(900, 'x')});
  EXPECT_THAT(result.detail, HasSubstr("refused at RCPT TO: 550 no\\x1B[31m"));
  EXPECT_LE(result.detail.size(), 400U);
}

}  // namespace
}  // namespace netsentinel::channel
