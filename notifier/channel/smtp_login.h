#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace netsentinel::channel {

// How we log in to a mail server: what libcurl does over SMTP without further help.
enum class SmtpAuth {
  // Each that the server offers and we have a secret for, until one works.
  kAuto,
  kPlain,
  kLogin,
  kCramMd5,
  kNtlm,
  // With a token instead of a password.
  kXoauth2,
  kOauthBearer,
};

// The name in EHLO and AUTH: "CRAM-MD5"; empty for kAuto.
absl::string_view AuthWord(SmtpAuth auth);
// Whether it takes a token instead of a password; not for kAuto.
bool TakesToken(SmtpAuth auth);

// The words behind AUTH in a line of an answer to EHLO ("250-AUTH PLAIN LOGIN", "250 AUTH=LOGIN");
// empty when it is another line. Pure.
std::vector<std::string> OfferedLogins(absl::string_view line);

// Which way of logging in is tried next. A server's list says what it knows, not what works for
// this account, and a refusal ends the connection: so one is tried a connection, the one that
// worked last first, then tokens before passwords and the plain ones before those that few servers
// still get right. Each once a round. Pure; one thread.
class LoginLadder {
 public:
  LoginLadder(SmtpAuth configured, bool has_password, bool has_token);

  // Begins a round with the one that worked last.
  void Begin();
  SmtpAuth current() const { return order_[at_]; }
  // The current one failed. False: no other one that is `offered` is left in this round.
  bool Next(absl::Span<const std::string> offered);
  // The current one worked.
  void Worked();
  // "PLAIN, LOGIN": those of this round that were offered and failed, in order.
  const std::string& tried() const { return tried_; }

 private:
  std::vector<SmtpAuth> order_;
  std::size_t at_ = 0;
  std::string tried_;
};

}  // namespace netsentinel::channel
