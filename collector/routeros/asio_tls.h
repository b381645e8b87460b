#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>

// How a TLS session to a router is set up and judged. Adapter code: needs OpenSSL and Asio.
namespace netsentinel::routeros {

// Exactly one of ca_file, pin_sha256 and anonymous says why the router is believed.
struct TlsOptions {
  // PEM file of the authority (or of the router's own certificate). The certificate must hold the
  // name or address that is dialled.
  std::string ca_file = {};
  // SHA-256 of the router's certificate (DER) as 64 hex digits, colons allowed. Chain, name and
  // dates are not looked at then.
  std::string pin_sha256 = {};
  // Anonymous Diffie-Hellman, for a service without a certificate: encrypted, but anybody in
  // between can pose as the router.
  bool anonymous = false;
  // With ca_file: the name to look for in the certificate instead of the one dialled.
  std::string server_name = {};
};

// kInvalidArgument when not exactly one trust is chosen or the pin is not a SHA-256.
absl::Status CheckTlsOptions(const TlsOptions& options);

// The 32 bytes of a pin. kInvalidArgument names what is wrong with it.
absl::StatusOr<std::string> ParsePin(absl::string_view pin);

// A client context: TLS 1.2 at least (exactly, if anonymous). Files are read now, so that a new
// certificate counts from the next connection on. RouterStatus kTlsRefused when a file cannot be
// read.
absl::StatusOr<std::unique_ptr<boost::asio::ssl::context>> MakeTlsContext(
    const TlsOptions& options);

// To be called before the handshake: which name or address the certificate must hold, and SNI.
absl::Status PrepareTls(SSL* ssl, const TlsOptions& options, const std::string& host);

// To be called after a handshake that succeeded: compares the pin.
absl::Status JudgeTls(SSL* ssl, const TlsOptions& options);

// What a failed handshake means and what to do about it.
absl::Status TlsFailure(SSL* ssl, const TlsOptions& options,
                        const boost::system::error_code& error);

}  // namespace netsentinel::routeros
