#include "common/rpc/server_tls.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "common/io/sha256.h"
#include "common/rpc/tls_files.h"

namespace netsentinel::rpc {
namespace {

// Takes HTTP/2 from those who ask for a protocol; who asks for none has to speak it as well.
int ChooseHttp2(SSL*, const unsigned char** chosen, unsigned char* length,
                const unsigned char* offered, unsigned int offered_length, void*) {
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  unsigned char* match = nullptr;
  if (SSL_select_next_proto(&match, length, kHttp2, sizeof(kHttp2), offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = match;
  return SSL_TLSEXT_ERR_OK;
}

absl::Status Unusable(const std::string& path) {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(error);
  const absl::Status status = absl::FailedPreconditionError(
      absl::StrCat(path, " cannot be used: ", reason == nullptr ? "unknown error" : reason));
  ERR_clear_error();
  return status;
}

}  // namespace

absl::StatusOr<ServerTls> ServerTls::Load(const config::TlsFiles& files, const base::Clock& clock) {
  ServerTls tls(files, clock);
  tls.seen_ = tls.Seen();
  NS_RETURN_IF_ERROR(tls.Take());
  return tls;
}

absl::Status ServerTls::Refresh(bool& renewed) {
  renewed = false;
  std::string seen = Seen();
  const bool same = seen == seen_;
  if (same && last_.ok()) return absl::OkStatus();
  seen_ = std::move(seen);
  last_ = Take();
  renewed = !same || last_.ok();
  return last_;
}

absl::Status ServerTls::Take() {
  // A certificate that waits for its key does not hold up a revocation, nor a bad list a new one.
  const absl::Status lists = TakeLists();
  config::TlsFiles pair = files_;
  pair.crl.clear();
  NS_RETURN_IF_ERROR(CheckTlsFiles(pair, clock_->WallNow()).status());
  NS_ASSIGN_OR_RETURN(context_, MakeContext(pair));
  return lists;
}

absl::Status ServerTls::TakeLists() {
  if (files_.crl.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(revoked_, LoadRevocationLists(files_.crl, files_.ca));
  NS_ASSIGN_OR_RETURN(const std::string own, io::ReadFile(files_.cert));
  return revoked_->Check(own);
}

absl::StatusOr<ServerTls::Context> ServerTls::MakeContext(const config::TlsFiles& files) {
  Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("no memory for TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  // A resumed session would skip the look at the certificate.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // An authority that is trusted need not be a root.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()),
                              X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  SSL_CTX_set_alpn_select_cb(context.get(), &ChooseHttp2, nullptr);
  if (SSL_CTX_load_verify_file(context.get(), files.ca.c_str()) != 1) return Unusable(files.ca);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str()) != 1) {
    return Unusable(files.cert);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Unusable(files.key);
  }
  // The files may have been replaced since they were checked.
  if (SSL_CTX_check_private_key(context.get()) != 1) return Unusable(files.key);
  return context;
}

absl::Status ServerTls::CheckRevoked(const std::string& chain_pem) const {
  return revoked_.has_value() ? revoked_->Check(chain_pem) : absl::OkStatus();
}

std::string ServerTls::Seen() const {
  const absl::StatusOr<base::Secret> key = io::ReadSecretFile(files_.key);
  std::string seen = key.ok() ? io::Sha256(key->reveal()) : "-";
  for (const std::string& path : {files_.ca, files_.cert, files_.crl}) {
    if (path.empty()) continue;
    const absl::StatusOr<std::string> bytes = io::ReadFile(path);
    absl::StrAppend(&seen, bytes.ok() ? io::Sha256(*bytes) : "-");
  }
  return seen;
}

}  // namespace netsentinel::rpc
