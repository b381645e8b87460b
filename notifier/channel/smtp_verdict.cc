#include "notifier/channel/smtp_verdict.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"

namespace netsentinel::channel {
namespace {

constexpr std::size_t kMaxDetailBytes = 400;
constexpr int kServiceClosing = 421;
constexpr int kMailTooLarge = 552;

bool InTransaction(SmtpStage stage) { return stage >= SmtpStage::kMail; }

// "5.7.1" of "550 5.7.1 no"; empty when the reply has no enhanced code.
absl::string_view EnhancedCode(absl::string_view text) {
  if (text.size() < 4) return "";
  const absl::string_view words = text.substr(4);
  const absl::string_view first = words.substr(0, words.find_first_not_of("0123456789."));
  return absl::StartsWith(first, "5.") && std::count(first.begin(), first.end(), '.') == 2 ? first
                                                                                           : "";
}

// The server wants another login, whoever the recipient is (RFC 4954).
bool WantsLogin(int code) {
  constexpr std::array<int, 4> kCodes = {530, 534, 535, 538};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

// A permanent refusal of RCPT TO.
Outcome JudgeRecipient(const SmtpAttempt& attempt) {
  const absl::string_view enhanced = EnhancedCode(absl::StripAsciiWhitespace(attempt.text));
  if (absl::StartsWith(enhanced, "5.1.")) return Outcome::kRejected;
  if (absl::StartsWith(enhanced, "5.7.")) return Outcome::kNotPermitted;
  switch (attempt.code) {
    case 551:
    case 553:
      return Outcome::kRejected;
    case 550:
      // Without an enhanced code it says as often "no relaying for you" as "nobody of that name":
      // the former is not what one who has logged in is told.
      return attempt.logged_in || !enhanced.empty() ? Outcome::kRejected : Outcome::kNotPermitted;
    case kMailTooLarge:
      // The mailbox is full.
      return Outcome::kRetrySlowly;
    default:
      return Outcome::kNotPermitted;
  }
}

Outcome JudgeReply(const SmtpAttempt& attempt) {
  const bool permanent = attempt.code >= 500;
  if (!InTransaction(attempt.stage)) {
    return permanent ? Outcome::kMisconfigured : Outcome::kChannelDown;
  }
  if (!permanent || attempt.code == kServiceClosing) return Outcome::kRetry;
  if (WantsLogin(attempt.code)) return Outcome::kMisconfigured;
  switch (attempt.stage) {
    case SmtpStage::kMail:
      // The size is announced with MAIL, so this one refusal is about the letter, not the sender.
      return attempt.code == kMailTooLarge ? Outcome::kRetrySlowly : Outcome::kMisconfigured;
    case SmtpStage::kRecipient:
      return JudgeRecipient(attempt);
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
