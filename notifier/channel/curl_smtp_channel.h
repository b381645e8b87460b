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
  base::Secret password = {};
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

// SMTP through libcurl: one transaction a recipient over a connection that is used again. One
// thread.
class CurlSmtpChannel final : public Channel {
 public:
  // kInvalidArgument: no TLS to a host that is not loopback, a control character in the login, no
  // sender.
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
  absl::StatusOr<std::unique_ptr<Handle>> Open();
  // Performs what the handle is set up for, with `mail` as the body.
  SmtpAttempt Perform(Handle& handle, absl::string_view mail) const;
  SmtpAttempt Transact(const std::string& mail, const std::string& recipient);

  SmtpSettings settings_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace netsentinel::channel
