#include "notifier/channel/smtp_refusal.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "notifier/channel/smtp_login.h"
#include "notifier/channel/smtp_verdict.h"

namespace netsentinel::channel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Refusal {
  std::string text;
  Concern concern;
  // What becomes of the mail when it is the answer to RCPT TO.
  Outcome outcome;
};

// What mail servers say, by what it is about. Several lines of a reply are one text here.
const std::vector<Refusal>& Table() {
  static const auto* const table = new std::vector<Refusal>{
      // Nobody of that name, and nothing else.
      {"550 5.1.1 <noc@a.example>: Recipient address rejected: User unknown in virtual mailbox "
       "table",
       Concern::kAddress, Outcome::kRejected},
      {"550 5.1.1 <noc@a.example>: Recipient address rejected: User unknown in local recipient "
       "table",
       Concern::kAddress, Outcome::kRejected},
      {"550 5.1.1 The email account that you tried to reach does not exist. Please try "
       "double-checking the recipient's email address for typos or unnecessary spaces.",
       Concern::kAddress, Outcome::kRejected},
      {"550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient noc@a.example not found by SMTP "
       "address lookup",
       Concern::kAddress, Outcome::kRejected},
      {"550 5.1.1 <noc@a.example>... User unknown", Concern::kAddress, Outcome::kRejected},
      {"550 5.1.2 <noc@a.example>... Host unknown (Name server: a.example: host not found)",
       Concern::kAddress, Outcome::kRejected},
      {"550 5.1.2 <noc@a.example>: Recipient address rejected: Domain not found", Concern::kAddress,
       Outcome::kRejected},
      {"556 5.1.10 <noc@a.example>: Recipient address has null MX", Concern::kAddress,
       Outcome::kRejected},
      {"550 Unrouteable address", Concern::kAddress, Outcome::kRejected},
      {"550 unknown user", Concern::kAddress, Outcome::kRejected},
      {"511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", Concern::kAddress,
       Outcome::kRejected},
      {"550 sorry, no mailbox here by that name. (#5.7.17)", Concern::kSender,
       Outcome::kNotPermitted},
      {"550 No such user here", Concern::kAddress, Outcome::kRejected},
      {"553 5.1.3 <noc@a..example>: bad destination mailbox address syntax", Concern::kAddress,
       Outcome::kRejected},
      {"551 5.1.6 user has moved", Concern::kAddress, Outcome::kRejected},
      {"554 delivery error: dd This user doesn't have a mail.example account", Concern::kAddress,
       Outcome::kRejected},
      // A name that reads like a reason is none.
      {"550 5.1.1 <sender.relay@mailbox-full.example>: User unknown", Concern::kAddress,
       Outcome::kRejected},
      // Our sender, our account, our login, relaying.
      {"550 5.1.8 Sender address rejected", Concern::kSender, Outcome::kNotPermitted},
      {"550 5.1.8 <alerts@b.example>: Sender address rejected: Domain not found", Concern::kSender,
       Outcome::kNotPermitted},
      {"550 5.1.0 <alerts@b.example>: Sender address rejected: User unknown in virtual mailbox "
       "table",
       Concern::kSender, Outcome::kNotPermitted},
      {"553 5.1.7 <alerts@b>: bad address syntax", Concern::kSender, Outcome::kNotPermitted},
      {"553 5.1.8 <alerts@b.example>... Domain of sender address alerts@b.example does not exist",
       Concern::kSender, Outcome::kNotPermitted},
      {"550 Sender verify failed", Concern::kSender, Outcome::kNotPermitted},
      {"550 Verification failed for <alerts@b.example> The mail server could not deliver mail to "
       "alerts@b.example. The account or domain may not exist, they may be blacklisted, or missing "
       "the proper dns entries. Sender verify failed",
       Concern::kSender, Outcome::kNotPermitted},
      {"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", Concern::kSender,
       Outcome::kNotPermitted},
      {"554 5.7.1 <noc@a.example>: Relay access denied", Concern::kSender, Outcome::kNotPermitted},
      {"550 relay not permitted", Concern::kSender, Outcome::kNotPermitted},
      {"550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Concern::kSender,
       Outcome::kNotPermitted},
      {"550 5.7.60 SMTP; Client does not have permissions to send as this sender", Concern::kSender,
       Outcome::kNotPermitted},
      {"554 5.2.252 SendAsDenied; alerts@b.example not allowed to send as ops@b.example; "
       "STOREDRV.Submission.Exception:SendAsDeniedException",
       Concern::kSender, Outcome::kNotPermitted},
      {"550 5.1.8 Access denied, bad outbound sender AS(42003)", Concern::kSender,
       Outcome::kNotPermitted},
      {"550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP",
       Concern::kSender, Outcome::kNotPermitted},
      {"550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", Concern::kSender,
       Outcome::kNotPermitted},
      {"553 Relaying disallowed as alerts@b.example", Concern::kSender, Outcome::kNotPermitted},
      {"554 Message rejected: Email address is not verified. The following identities failed the "
       "check in region EU-WEST-1: alerts@b.example",
       Concern::kSender, Outcome::kNotPermitted},
      {"550 The from address does not match a verified Sender Identity.", Concern::kSender,
       Outcome::kNotPermitted},
      {"554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example",
       Concern::kSender, Outcome::kNotPermitted},
      {"550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
       Concern::kSender, Outcome::kNotPermitted},
      {"550 5.7.1 <noc@a.example>... Relaying denied. Proper authentication required.",
       Concern::kSender, Outcome::kNotPermitted},
      {"550 Please turn on SMTP Authentication in your mail client.", Concern::kSender,
       Outcome::kNotPermitted},
      {"553 host denies the sender.", Concern::kSender, Outcome::kNotPermitted},
      // Limits, which pass.
      {"550 5.4.5 Daily user sending limit exceeded.", Concern::kSender, Outcome::kNotPermitted},
      {"550 5.4.5 Daily SMTP relay limit exceeded for user", Concern::kSender,
       Outcome::kNotPermitted},
      {"550 5.4.6 Unusual sending activity detected. Please try after sometime", Concern::kSender,
       Outcome::kNotPermitted},
      {"550 Domain b.example has exceeded the max emails per hour (120/100 (120%)) allowed. "
       "Message discarded.",
       Concern::kSender, Outcome::kNotPermitted},
      {"554 5.7.1 You have reached your hourly limit", Concern::kSender, Outcome::kNotPermitted},
      {"550 5.1.90 Your message can't be sent because you've reached your daily limit for message "
       "recipients",
       Concern::kSender, Outcome::kNotPermitted},
      {"454 Throttling failure: Maximum sending rate exceeded.", Concern::kSender, Outcome::kRetry},
      {"552 too many same size mails.", Concern::kSender, Outcome::kNotPermitted},
      {"450 4.7.1 Error: too much mail from 192.0.2.1", Concern::kSender, Outcome::kRetry},
      {"450 4.1.8 <alerts@b.example>: Sender address rejected: Domain not found", Concern::kSender,
       Outcome::kRetry},
      // The mailbox, for now.
      {"550 5.2.2 mailbox full", Concern::kMailbox, Outcome::kRetrySlowly},
      {"552 5.2.2 The email account that you tried to reach is over quota.", Concern::kMailbox,
       Outcome::kRetrySlowly},
      {"554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiException",
       Concern::kMailbox, Outcome::kRetrySlowly},
      {"552 Quota exceeded (mailbox for user is full)", Concern::kMailbox, Outcome::kRetrySlowly},
      {"550 Requested action not taken, please try again later", Concern::kMailbox,
       Outcome::kRetrySlowly},
      {"554 5.7.1 greylisted, come back in 5 minutes", Concern::kMailbox, Outcome::kRetrySlowly},
      {"550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents "
       "additional messages from being delivered.",
       Concern::kMailbox, Outcome::kRetrySlowly},
      {"450 4.2.0 <noc@a.example>: Recipient address rejected: Greylisted", Concern::kMailbox,
       Outcome::kRetry},
      {"452 4.2.2 The email account that you tried to reach is over quota", Concern::kMailbox,
       Outcome::kRetry},
      {"550 5.2.1 The email account that you tried to reach is disabled.", Concern::kMailbox,
       Outcome::kRetrySlowly},
      // The server.
      {"554 5.3.0 internal error", Concern::kServer, Outcome::kRetrySlowly},
      {"550 5.3.5 system configuration error", Concern::kServer, Outcome::kRetrySlowly},
      {"451 4.3.0 <noc@a.example>: Temporary lookup failure", Concern::kMailbox, Outcome::kRetry},
      {"452 4.3.1 Insufficient system storage", Concern::kServer, Outcome::kRetry},
      // It may be anything.
      {"550 5.5.0 Requested action not taken: mailbox unavailable", Concern::kUnclear,
       Outcome::kNotPermitted},
      {"550", Concern::kUnclear, Outcome::kNotPermitted},
      {"554 transaction failed", Concern::kUnclear, Outcome::kNotPermitted},
      {"550 5.1.0 Address rejected", Concern::kUnclear, Outcome::kNotPermitted},
      {"550 5.2.1 no such user", Concern::kUnclear, Outcome::kNotPermitted},
      {"552", Concern::kUnclear, Outcome::kRetrySlowly},
      {"421 4.3.0 closing", Concern::kServer, Outcome::kRetry},
  };
  return *table;
}

SmtpAttempt Reply(SmtpStage stage, const std::string& text) {
  return {
      .end = SmtpEnd::kReply, .stage = stage, .code = std::stoi(text.substr(0, 3)), .text = text};
}

TEST(SmtpRefusalTest, TellsByTheTableWhomARefusalConcerns) {
  for (const Refusal& one : Table()) {
    EXPECT_EQ(ConcernOf(std::stoi(one.text.substr(0, 3)), one.text), one.concern) << one.text;
    EXPECT_EQ(JudgeSmtp(Reply(SmtpStage::kRecipient, one.text)).outcome, one.outcome) << one.text;
  }
}

TEST(SmtpRefusalTest, OnlyAnAddressThatIsWrongIsGivenUpAtOnceWhereverItIsSaid) {
  for (const Refusal& one : Table()) {
    for (const SmtpStage stage : {SmtpStage::kMail, SmtpStage::kData, SmtpStage::kBody}) {
      const Outcome outcome = JudgeSmtp(Reply(stage, one.text)).outcome;
      if (stage == SmtpStage::kMail || one.concern != Concern::kAddress) {
        EXPECT_NE(outcome, Outcome::kRejected) << one.text;
      } else {
        EXPECT_EQ(outcome, Outcome::kRejected) << one.text;
      }
    }
  }
}

TEST(SmtpRefusalTest, WhatIsSaidBeforeARecipientIsNamedConcernsEverybody) {
  const auto judge = [](const std::string& text) {
    return JudgeSmtp(Reply(SmtpStage::kMail, text)).outcome;
  };
  EXPECT_EQ(judge("550 5.7.1 sender refused"), Outcome::kMisconfigured);
  EXPECT_EQ(judge("450 4.7.1 too much mail from you"), Outcome::kChannelDown);
  EXPECT_EQ(judge("421 4.7.0 try again later"), Outcome::kChannelDown);
  // The size goes along with MAIL: another letter may have room.
  EXPECT_EQ(judge("552 5.3.4 message size exceeds fixed limit"), Outcome::kRetrySlowly);
  EXPECT_EQ(judge("452 4.3.1 insufficient system storage"), Outcome::kRetry);
}

TEST(SmtpRefusalTest, FindsTheEnhancedCodeInFrontAndInQmailsWay) {
  EXPECT_EQ(EnhancedCode("550 5.7.1 no"), "5.7.1");
  EXPECT_EQ(EnhancedCode("553 sorry (#5.7.1)"), "5.7.1");
  EXPECT_EQ(EnhancedCode("550 no 5.7.1"), "");
  EXPECT_EQ(EnhancedCode("550 5.7. no"), "");
  EXPECT_EQ(EnhancedCode("550"), "");
}

TEST(SmtpRefusalTest, AUsedConnectionAtItsEndIsWorthANewOneWhileNobodyHasTheMail) {
  SmtpAttempt ended = Reply(SmtpStage::kMail, "421 4.7.0 too many mails in this session");
  EXPECT_FALSE(WorthANewConnection(ended));
  ended.used = true;
  EXPECT_TRUE(WorthANewConnection(ended));
  ended = Reply(SmtpStage::kMail, "450 4.7.1 one mail a session");
  ended.used = true;
  EXPECT_TRUE(WorthANewConnection(ended));
  for (const SmtpEnd end : {SmtpEnd::kTimeout, SmtpEnd::kConnection}) {
    EXPECT_TRUE(WorthANewConnection({.end = end, .stage = SmtpStage::kMail, .used = true}));
    EXPECT_TRUE(WorthANewConnection({.end = end, .stage = SmtpStage::kData, .used = true}));
    EXPECT_FALSE(WorthANewConnection({.end = end, .stage = SmtpStage::kBody, .used = true}));
  }
  ended = Reply(SmtpStage::kRecipient, "550 5.1.1 user unknown");
  ended.used = true;
  EXPECT_FALSE(WorthANewConnection(ended));
}

TEST(LoginLadderTest, TriesEachWayThatIsOfferedOnceAndBeginsWithTheOneThatWorked) {
  LoginLadder ladder(SmtpAuth::kAuto, /*has_password=*/true, /*has_token=*/false);
  const std::vector<std::string> offered = {"GSSAPI", "NTLM", "LOGIN"};
  ladder.Begin();
  EXPECT_EQ(ladder.current(), SmtpAuth::kPlain);
  ASSERT_TRUE(ladder.Next(offered));
  EXPECT_EQ(ladder.current(), SmtpAuth::kLogin);
  ASSERT_TRUE(ladder.Next(offered));
  EXPECT_EQ(ladder.current(), SmtpAuth::kNtlm);
  EXPECT_FALSE(ladder.Next(offered));
  EXPECT_EQ(ladder.tried(), "LOGIN, NTLM");
  ladder.Begin();
  ASSERT_TRUE(ladder.Next(offered));
  ladder.Worked();
  ladder.Begin();
  EXPECT_EQ(ladder.current(), SmtpAuth::kLogin);
  EXPECT_FALSE(ladder.Next({"LOGIN"}));
  EXPECT_EQ(ladder.tried(), "LOGIN");
}

TEST(LoginLadderTest, TokensGoFirstAndANamedWayIsTheOnlyOne) {
  LoginLadder both(SmtpAuth::kAuto, true, true);
  both.Begin();
  EXPECT_EQ(both.current(), SmtpAuth::kXoauth2);
  ASSERT_TRUE(both.Next({"XOAUTH2", "PLAIN"}));
  EXPECT_EQ(both.current(), SmtpAuth::kPlain);
  LoginLadder named(SmtpAuth::kCramMd5, true, true);
  named.Begin();
  EXPECT_EQ(named.current(), SmtpAuth::kCramMd5);
  EXPECT_FALSE(named.Next({"PLAIN", "LOGIN", "CRAM-MD5"}));
}

TEST(LoginLadderTest, ReadsWhatAServerOffers) {
  EXPECT_THAT(OfferedLogins("250-AUTH GSSAPI ntlm LOGIN\r\n"),
              ElementsAre("GSSAPI", "NTLM", "LOGIN"));
  EXPECT_THAT(OfferedLogins("250 AUTH=LOGIN PLAIN"), ElementsAre("LOGIN", "PLAIN"));
  EXPECT_THAT(OfferedLogins("250-AUTHORS"), IsEmpty());
  EXPECT_THAT(OfferedLogins("250-SIZE 0"), IsEmpty());
}

}  // namespace
}  // namespace netsentinel::channel
