#include "notifier/channel/smtp_verdict.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"
#include "notifier/channel/smtp_refusal.h"

namespace netsentinel::channel {
namespace {

constexpr std::size_t kMaxDetailBytes = 400;
constexpr int kServiceClosing = 421;
constexpr int kNoRoom = 452;
constexpr int kMailTooLarge = 552;

bool InTransaction(SmtpStage stage) { return stage >= SmtpStage::kMail; }

Asked AskedAt(SmtpStage stage) {
  if (stage < SmtpStage::kRecipient) return Asked::kSender;
  return stage == SmtpStage::kRecipient ? Asked::kRecipient : Asked::kMail;
}

// The server wants another login, whoever the recipient is (RFC 4954).
bool WantsLogin(int code) {
  constexpr std::array<int, 4> kCodes = {530, 534, 535, 538};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

// A permanent refusal of MAIL FROM, whoever the recipient is. The size is announced with it, so
// that one is about the letter.
Outcome JudgeSender(int code, Concern concern) {
  return code == kMailTooLarge || concern == Concern::kLetter ? Outcome::kRetrySlowly
                                                              : Outcome::kMisconfigured;
}

// A permanent refusal after MAIL FROM. One transaction has one recipient, so a server that looks at
// it only after DATA means the same one.
Outcome JudgeRecipient(Concern concern) {
  switch (concern) {
    case Concern::kAddress:
      return Outcome::kRejected;
    case Concern::kMailbox:
    case Concern::kLetter:
    case Concern::kServer:
      return Outcome::kRetrySlowly;
    case Concern::kSender:
    case Concern::kUnclear:
      break;
  }
  return Outcome::kNotPermitted;
}

Outcome JudgeReply(const SmtpAttempt& attempt) {
  const bool permanent = attempt.code >= 500;
  if (!InTransaction(attempt.stage)) {
    return permanent ? Outcome::kMisconfigured : Outcome::kChannelDown;
  }
  if (!permanent) {
    // Before a recipient was named it concerns everybody, but for a letter that has no room.
    return attempt.stage == SmtpStage::kMail && attempt.code != kNoRoom ? Outcome::kChannelDown
                                                                        : Outcome::kRetry;
  }
  if (WantsLogin(attempt.code)) return Outcome::kMisconfigured;
  const Concern concern = ConcernOf(attempt.code, attempt.text, AskedAt(attempt.stage));
  if (attempt.stage == SmtpStage::kMail) return JudgeSender(attempt.code, concern);
  const bool about_the_mail = attempt.stage >= SmtpStage::kData && concern == Concern::kUnclear;
  // As a reply to RCPT TO it is the mailbox that is full.
  const bool full = attempt.code == kMailTooLarge && concern == Concern::kUnclear;
  return about_the_mail || full ? Outcome::kRetrySlowly : JudgeRecipient(concern);
}

Outcome Judge(const SmtpAttempt& attempt) {
  switch (attempt.end) {
    case SmtpEnd::kAccepted:
      return Outcome::kDelivered;
    case SmtpEnd::kReply:
      return JudgeReply(attempt);
    case SmtpEnd::kTimeout:
    case SmtpEnd::kConnection:
      // Behind the final dot the outcome is unknown; the same mail is sent again with the same
      // Message-ID.
      return InTransaction(attempt.stage) ? Outcome::kRetry : Outcome::kChannelDown;
    case SmtpEnd::kTlsRefused:
      return Outcome::kMisconfigured;
    case SmtpEnd::kLoginRefused:
      return attempt.code / 100 == 4 ? Outcome::kChannelDown : Outcome::kMisconfigured;
  }
  return Outcome::kRetry;
}

// What a reply in a transaction is about, in words; empty when it does not say.
absl::string_view ConcernWords(const SmtpAttempt& attempt) {
  if (!InTransaction(attempt.stage)) return "";
  const Asked asked = AskedAt(attempt.stage);
  switch (ConcernOf(attempt.code, attempt.text, asked)) {
    case Concern::kAddress:
      // Before a recipient was named it can be nobody's address but ours.
      return asked == Asked::kSender ? "" : "no such address, ";
    case Concern::kMailbox:
      return asked == Asked::kSender ? "" : "the mailbox is not ready, ";
    case Concern::kSender:
      return "concerns our sender, account or a limit, ";
    case Concern::kLetter:
      return "concerns the mail itself, ";
    case Concern::kServer:
      return "the mail server is in trouble, ";
    case Concern::kUnclear:
      break;
  }
  return "";
}

absl::string_view EndWords(const SmtpAttempt& attempt) {
  switch (attempt.end) {
    case SmtpEnd::kAccepted:
      return "accepted";
    case SmtpEnd::kReply:
      return "refused";
    case SmtpEnd::kTimeout:
      return "no answer in time";
    case SmtpEnd::kConnection:
      return "connection failed";
    case SmtpEnd::kTlsRefused:
      return "no trusted TLS";
    case SmtpEnd::kLoginRefused:
      break;
  }
  return "login refused, check smtp.username, smtp.password_file and smtp.auth";
}

}  // namespace

absl::string_view StageWord(SmtpStage stage) {
  switch (stage) {
    case SmtpStage::kConnect:
      return "connecting";
    case SmtpStage::kHello:
      return "EHLO";
    case SmtpStage::kStartTls:
      return "STARTTLS";
    case SmtpStage::kAuth:
      return "AUTH";
    case SmtpStage::kNoop:
      return "NOOP";
    case SmtpStage::kMail:
      return "MAIL FROM";
    case SmtpStage::kRecipient:
      return "RCPT TO";
    case SmtpStage::kData:
      return "DATA";
    case SmtpStage::kBody:
      break;
  }
  return "end of mail";
}

bool WorthANewConnection(const SmtpAttempt& attempt) {
  if (!attempt.used) return false;
  switch (attempt.end) {
    case SmtpEnd::kReply:
      return attempt.code == kServiceClosing ||
             (attempt.stage == SmtpStage::kMail && attempt.code != kMailTooLarge);
    case SmtpEnd::kTimeout:
    case SmtpEnd::kConnection:
      // From the mail's first byte on somebody may have it.
      return attempt.stage < SmtpStage::kBody;
    case SmtpEnd::kAccepted:
    case SmtpEnd::kTlsRefused:
    case SmtpEnd::kLoginRefused:
      break;
  }
  return false;
}

bool LoginFailed(const SmtpAttempt& attempt) {
  if (attempt.end == SmtpEnd::kLoginRefused) return true;
  return attempt.stage == SmtpStage::kAuth &&
         (attempt.end == SmtpEnd::kReply || attempt.end == SmtpEnd::kConnection);
}

SendResult JudgeSmtp(const SmtpAttempt& attempt) {
  SendResult result{.outcome = Judge(attempt), .detail = ""};
  if (attempt.end == SmtpEnd::kReply) absl::StrAppend(&result.detail, ConcernWords(attempt));
  absl::StrAppend(&result.detail, EndWords(attempt));
  if (attempt.end != SmtpEnd::kAccepted) {
    absl::StrAppend(&result.detail, " at ", StageWord(attempt.stage));
  }
  const absl::string_view text = absl::StripAsciiWhitespace(attempt.text);
  if (!text.empty()) absl::StrAppend(&result.detail, ": ", base::DisplayName(text));
  if (result.detail.size() > kMaxDetailBytes) {
    std::size_t cut = kMaxDetailBytes;
    // Not inside a character.
    while (cut > 0 && (static_cast<unsigned char>(result.detail[cut]) & 0xC0) == 0x80) --cut;
    result.detail.resize(cut);
  }
  return result;
}

}  // namespace netsentinel::channel
