#pragma once

#include <string>

#include "absl/strings/string_view.h"

#include "notifier/channel/channel.h"

namespace netsentinel::channel {

// How far an SMTP transaction came.
enum class SmtpStage {
  // Resolving, connecting, waiting for the greeting.
  kConnect,
  kHello,
  kStartTls,
  kAuth,
  // Asking a server whether it is there, without a transaction.
  kNoop,
  kMail,
  kRecipient,
  // DATA was sent and not yet agreed to.
  kData,
  // The mail itself, up to the server's answer to the final dot.
  kBody,
};

enum class SmtpEnd {
  kAccepted,
  // The server answered with `code`.
  kReply,
  // A deadline passed.
  kTimeout,
  // The connection could not be made or broke.
  kConnection,
  // No STARTTLS, a certificate that does not check out, or TLS files of ours that are unusable.
  kTlsRefused,
  // Name or password was refused, or no way to log in is common to both.
  kLoginRefused,
};

// What happened, as the protocol showed it.
struct SmtpAttempt {
  SmtpEnd end = SmtpEnd::kConnection;
  SmtpStage stage = SmtpStage::kConnect;
  // The last reply's code; 0 when there was none.
  int code = 0;
  // The last reply's text or the library's words; hostile.
  std::string text = {};
  // The connection is one that has logged in.
  bool logged_in = false;
  // The connection has carried a transaction before this one.
  bool used = false;
};

// Whom a failed attempt concerns and whether trying again can help (RFC 5321 section 4.2, see
// ConcernOf). Only what can mean nothing but a wrong address gives a recipient up. Pure.
SendResult JudgeSmtp(const SmtpAttempt& attempt);

// A used connection at its end: many servers take one mail or a few a connection and say so with a
// 421, another refusal of MAIL, or by hanging up. The same mail may be tried at once on a new
// connection; nobody has it yet. Pure.
bool WorthANewConnection(const SmtpAttempt& attempt);

// This way of logging in did not work, and another may: refused, cut off, or not possible here.
// Pure.
bool LoginFailed(const SmtpAttempt& attempt);

// "STARTTLS", "RCPT TO", …
absl::string_view StageWord(SmtpStage stage);

}  // namespace netsentinel::channel
