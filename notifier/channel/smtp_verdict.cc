#include "notifier/channel/smtp_verdict.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"

namespace netsentinel::channel {
namespace {

constexpr std::size_t kMaxDetailBytes = 400;
constexpr int kServiceClosing = 421;
constexpr int kAuthenticationRequired = 530;
constexpr int kMailTooLarge = 552;

bool InTransaction(SmtpStage stage) { return stage >= SmtpStage::kMail; }

Outcome JudgeReply(const SmtpAttempt& attempt) {
  const bool permanent = attempt.code >= 500;
  if (!InTransaction(attempt.stage)) {
    return permanent ? Outcome::kMisconfigured : Outcome::kChannelDown;
  }
  if (!permanent || attempt.code == kServiceClosing) return Outcome::kRetry;
  if (attempt.code == kAuthenticationRequired) return Outcome::kMisconfigured;
  switch (attempt.stage) {
    case SmtpStage::kMail:
      // The size is announced with MAIL, so this one refusal is about the letter, not the sender.
      return attempt.code == kMailTooLarge ? Outcome::kRetrySlowly : Outcome::kMisconfigured;
    case SmtpStage::kRecipient:
      return Outcome::kRejected;
    default:
      return Outcome::kRetrySlowly;
  }
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
  return "login refused, check smtp.username and smtp.password_file";
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

SendResult JudgeSmtp(const SmtpAttempt& attempt) {
  SendResult result{.outcome = Judge(attempt), .detail = std::string(EndWords(attempt))};
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
