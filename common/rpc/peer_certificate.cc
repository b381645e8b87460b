#include "common/rpc/peer_certificate.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/rpc/openssl_handles.h"

namespace netsentinel::rpc {
namespace {

std::vector<std::string> UriNames(X509* certificate) {
  std::vector<std::string> uris;
  const std::unique_ptr<GENERAL_NAMES, openssl::Release<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  return uris;
}

}  // namespace

absl::StatusOr<PeerIdentity> IdentifyCertificate(absl::string_view chain_pem) {
  const openssl::Text text(BIO_new_mem_buf(chain_pem.data(), static_cast<int>(chain_pem.size())));
  const openssl::Cert certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) {
    return absl::UnauthenticatedError("the caller showed no certificate");
  }
  const std::vector<std::string> uris = UriNames(certificate.get());
  if (uris.size() != 1) {
    return absl::UnauthenticatedError(
        absl::StrCat("the caller's certificate has ", uris.size(),
                     " URI names and must have one; issue it with `netsentinelctl certs issue "
                     "--role ROLE --name NAME`"));
  }
  return ParsePeerUri(uris[0]);
}

}  // namespace netsentinel::rpc
