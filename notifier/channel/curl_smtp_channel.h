#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/secret.h"
#include "notifier/channel/channel.h"
#include "notifier/channel/mail_address.h"
#include "notifier/channel/smtp_login.h"
#include "notifier/channel/smtp_verdict.h"

namespace netsentinel::channel {

// How the connection to the server is protected.
enum class SmtpTls {
  // STARTTLS or nothing is sent.
  kStartTls,
  // TLS from the first byte (port 465).
  kImplicit,
  // Plaintext: loopback only.
  kNone,
};

struct SmtpSettings {
  std::string host = {};
  std::uint16_t port = 587;
  SmtpTls tls = SmtpTls::kStartTls;
  // PEM file of the authorities that the server's certificate must come from; empty: the host's.
  std::string ca_file = {};
  // Empty: no login.
  std::string username = {};
  SmtpAuth auth = SmtpAuth::kAuto;
  // Empty: none.
  base::Secret password = {};
  // Gives the token for XOAUTH2 and OAUTHBEARER, asked anew for each connection since tokens end
  // within the hour. Empty: there is none.
  std::function<absl::StatusOr<base::Secret>()> token = nullptr;
  Mailbox from = {};
  // What EHLO says; a DNS name.
  std::string hello_name = "localhost";
  // RFC 5321 section 4.5.3.2 asks for five minutes a reply.
  absl::Duration connect_timeout = absl::Seconds(30);
  absl::Duration reply_timeout = absl::Minutes(5);
  // One whole transaction, whatever it waits for.
  absl::Duration total_timeout = absl::Minutes(15);
  absl::Duration probe_timeout = absl::Minutes(1);
  // An open connection is not used again after this long.
  absl::Duration max_idle = absl::Seconds(30);
  // Asked about once a second during a transaction; true ends it, with an unknown outcome. May be
  // empty.
  std::function<bool()> abandon = nullptr;
};

// SMTP through libcurl: one transaction a recipient over a connection that is used again. Where
// `auth` leaves the choice, a login that does not work is followed by the next that is offered,
// each on a connection of its own, and the one that works is kept. A used connection that the
// server ends is renewed at once, once a mail. No answer of the server is passed on with our login
// in it. One thread.
class CurlSmtpChannel final : public Channel {
 public:
  // kInvalidArgument: no TLS to a host that is not loopback, a control character in the login, no
  // sender, or not the secret that `auth` needs.
  static absl::StatusOr<std::unique_ptr<CurlSmtpChannel>> Create(SmtpSettings settings);
  ~CurlSmtpChannel() override;

  absl::string_view name() const override { return "smtp"; }
  SendResult Send(const Letter& letter, const std::string& recipient) override;
  // Connects, greets, secures and logs in as for a mail, and says NOOP; within probe_timeout.
  SendResult Probe() override;
  void Rest() override;

 private:
  struct Handle;
  explicit CurlSmtpChannel(SmtpSettings settings);
  // Sets up a connection that logs in by the ladder's current way.
  absl::StatusOr<std::unique_ptr<Handle>> Open();
  absl::Status SetLogin(Handle& handle);
  // Performs what the handle is set up for, with `mail` as the body.
  SmtpAttempt Perform(Handle& handle, absl::string_view mail);
  SmtpAttempt Transact(Handle& handle, const std::string& mail, const std::string& recipient);
  // `act` on `handle`, which is opened when there is none, by one way of logging in after the
  // other.
  SmtpAttempt LogInAnd(std::unique_ptr<Handle>& handle,
                       const std::function<SmtpAttempt(Handle&)>& act);
  std::string Masked(absl::string_view text) const;

  SmtpSettings settings_;
  LoginLadder ladder_;
  // Of the last connection that asked for one.
  base::Secret token_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace netsentinel::channel
