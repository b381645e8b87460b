#include "collector/routeros/asio_tls.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "collector/routeros/router_error.h"

namespace netsentinel::routeros {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr char kNoCertificate[] =
    "api-ssl has no certificate: create one on the router and set it with /ip service set api-ssl "
    "certificate=NAME, or accept an unauthenticated router with tls: {anonymous: true}";

absl::Status Refused(absl::string_view message) {
  return RouterStatus(RouterError::kTlsRefused, message);
}

struct X509Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using X509Ptr = std::unique_ptr<X509, X509Free>;

X509Ptr PeerCertificate(SSL* tls) { return X509Ptr(SSL_get1_peer_certificate(tls)); }

// The SHA-256 of the peer's certificate; empty when there is none.
std::string PeerFingerprint(SSL* tls) {
  const X509Ptr certificate = PeerCertificate(tls);
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  if (certificate == nullptr ||
      X509_digest(certificate.get(), EVP_sha256(), reinterpret_cast<unsigned char*>(digest.data()),
                  &length) != 1) {
    return "";
  }
  digest.resize(length);
  return digest;
}

absl::Status UseAnonymous(ssl::context& context) {
  // Anonymous suites exist up to TLS 1.2 only and below every security level but 0.
  SSL_CTX* native = context.native_handle();
  if (SSL_CTX_set_max_proto_version(native, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(native, "ADH:@SECLEVEL=0") != 1) {
    return Refused("this OpenSSL offers no anonymous Diffie-Hellman: give api-ssl a certificate");
  }
  context.set_verify_mode(ssl::verify_none);
  return absl::OkStatus();
}

absl::Status UseCa(ssl::context& context, const std::string& ca_file) {
  error_code error;
  context.load_verify_file(ca_file, error);
  if (error) {
    return Refused(
        absl::StrCat("cannot read certificates from the ca file ", ca_file, ": ", error.message()));
  }
  // RouterOS certificates are often trusted one by one, without their root.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.native_handle()),
                              X509_V_FLAG_PARTIAL_CHAIN);
  context.set_verify_mode(ssl::verify_peer);
  return absl::OkStatus();
}

const std::string& ExpectedName(const TlsOptions& options, const std::string& host) {
  return options.server_name.empty() ? host : options.server_name;
}

// Which of OpenSSL's reasons made the chain fail.
absl::Status VerifyFailure(long result) {
  const char* text = X509_verify_cert_error_string(result);
  switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Refused(absl::StrCat(
          "the router's certificate is for another name or address (", text,
          "): issue one whose subject-alt-name holds the address dialled, or pin it with "
          "tls: {pin_sha256: …}"));
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Refused(absl::StrCat("the router's certificate is not valid today (", text,
                                  "): renew it, and check the clocks of router and collector"));
    default:
      return Refused(absl::StrCat(
          "the router's certificate is not signed by the given ca (", text,
          "): check that the ca file belongs to it, or pin it with tls: {pin_sha256: …}"));
  }
}

}  // namespace

absl::StatusOr<std::string> ParsePin(absl::string_view pin) {
  std::string digits;
  for (const char c : pin) {
    if (c == ':') continue;
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError(
          "pin_sha256 must be hex digits, with or without colons, as "
          "`openssl x509 -noout -fingerprint -sha256` prints them");
    }
    digits.push_back(c);
  }
  if (digits.size() != 64) {
    return absl::InvalidArgumentError(
        absl::StrCat("pin_sha256 must be 64 hex digits, not ", digits.size()));
  }
  return absl::HexStringToBytes(digits);
}

absl::Status CheckTlsOptions(const TlsOptions& options) {
  const int chosen = (options.ca_file.empty() ? 0 : 1) + (options.pin_sha256.empty() ? 0 : 1) +
                     (options.anonymous ? 1 : 0);
  if (chosen != 1) {
    return absl::InvalidArgumentError(
        "api-ssl needs exactly one of tls: {ca: FILE}, tls: {pin_sha256: HEX} and "
        "tls: {anonymous: true}");
  }
  return options.pin_sha256.empty() ? absl::OkStatus() : ParsePin(options.pin_sha256).status();
}

absl::StatusOr<std::unique_ptr<ssl::context>> MakeTlsContext(const TlsOptions& options) {
  if (const absl::Status status = CheckTlsOptions(options); !status.ok()) return status;
  std::unique_ptr<ssl::context> context;
  try {
    context = std::make_unique<ssl::context>(ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
    absl::Status status = absl::OkStatus();
    if (options.anonymous) {
      status = UseAnonymous(*context);
    } else if (!options.ca_file.empty()) {
      status = UseCa(*context, options.ca_file);
    } else {
      // JudgeTls compares the certificate before a single byte of ours is sent.
      context->set_verify_mode(ssl::verify_none);
    }
    if (!status.ok()) return status;
  } catch (const boost::system::system_error& error) {
    return Refused(absl::StrCat("cannot set up TLS: ", error.what()));
  }
  return context;
}

absl::Status PrepareTls(SSL* tls, const TlsOptions& options, const std::string& host) {
  std::string name = ExpectedName(options, host);
  // No certificate knows the interface of "fe80::1%eth0".
  if (const std::size_t zone = name.find('%'); zone != std::string::npos) name.resize(zone);
  error_code not_an_address;
  boost::asio::ip::make_address(name, not_an_address);
  const bool is_address = !not_an_address;
  if (!is_address) SSL_set_tlsext_host_name(tls, name.c_str());
  if (options.ca_file.empty()) return absl::OkStatus();
  X509_VERIFY_PARAM* parameters = SSL_get0_param(tls);
  const int set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str())
                             : X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size());
  if (set != 1) return Refused(absl::StrCat("'", name, "' cannot be checked in a certificate"));
  return absl::OkStatus();
}

absl::Status JudgeTls(SSL* tls, const TlsOptions& options) {
  if (options.pin_sha256.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> pin = ParsePin(options.pin_sha256);
  if (!pin.ok()) return pin.status();
  const std::string found = PeerFingerprint(tls);
  if (found == *pin) return absl::OkStatus();
  return Refused(absl::StrCat(
      "the router's certificate is not the pinned one: it has the SHA-256 ",
      absl::BytesToHexString(found),
      ". If you replaced it, set that as pin_sha256; if not, somebody may be in between"));
}

absl::Status TlsFailure(SSL* tls, const TlsOptions& options, const error_code& error) {
  const long verified = SSL_get_verify_result(tls);
  if (!options.ca_file.empty() && verified != X509_V_OK) return VerifyFailure(verified);
  if (error == boost::asio::error::eof || error == ssl::error::stream_truncated ||
      error == boost::asio::error::connection_reset) {
    return RouterStatus(
        RouterError::kUnreachable,
        "the router closed the connection during the TLS handshake: check that /ip/service allows "
        "this address, and that api-ssl has a certificate");
  }
  if (error.category() == boost::asio::error::get_ssl_category()) {
    const int reason = ERR_GET_REASON(static_cast<unsigned long>(error.value()));
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
      return Refused(
          "the service does not speak TLS: is this the port of the plain api? api-ssl is 8729");
    }
    if (reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE || reason == SSL_R_NO_SHARED_CIPHER) {
      if (options.anonymous) {
        return Refused(
            "the router offers no anonymous TLS: its api-ssl has a certificate, so replace "
            "anonymous: true by tls: {pin_sha256: …} or tls: {ca: …}");
      }
      return Refused(kNoCertificate);
    }
  }
  return Refused(absl::StrCat("the TLS handshake failed: ", error.message()));
}

}  // namespace netsentinel::routeros
