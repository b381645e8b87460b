#include "tools/ctl/openssl_certificates.h"

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/rpc/openssl_handles.h"
#include "common/rpc/tls_files.h"

namespace netsentinel::ctl {
namespace {

using Bio = rpc::openssl::Text;
using Certificate = rpc::openssl::Cert;
using Extension = std::unique_ptr<X509_EXTENSION, rpc::openssl::Release<X509_EXTENSION_free>>;
using Key = rpc::openssl::PrivateKey;
using Number = rpc::openssl::BigNumber;

absl::Status OpenSslError(absl::string_view what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("OpenSSL cannot ", what, ": ", text.data()));
}

std::string TextOf(BIO& bio) {
  const char* data = nullptr;
  const long size = BIO_get_mem_data(&bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

absl::StatusOr<Key> NewKey() {
  Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("make a key");
  return key;
}

absl::StatusOr<std::string> ToPem(X509& certificate) {
  const Bio text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(text.get(), &certificate) != 1) return OpenSslError("write PEM");
  return TextOf(*text);
}

absl::StatusOr<CertificatePair> ToPem(X509& certificate, EVP_PKEY& key) {
  NS_ASSIGN_OR_RETURN(std::string certificate_text, ToPem(certificate));
  const Bio key_text(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(key_text.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) !=
      1) {
    return OpenSslError("write PEM");
  }
  return CertificatePair{std::move(certificate_text), base::Secret(TextOf(*key_text))};
}

absl::Status AddExtension(X509& certificate, X509& issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (extension == nullptr || X509_add_ext(&certificate, extension.get(), -1) != 1) {
    return OpenSslError(absl::StrCat("add ", OBJ_nid2sn(nid), " = ", value));
  }
  return absl::OkStatus();
}

// Version, a random serial number of 127 bits, validity, name and key.
absl::StatusOr<Certificate> NewCertificate(absl::string_view common_name, EVP_PKEY& key,
                                           absl::Time not_before, absl::Time not_after) {
  Certificate certificate(X509_new());
  const Number serial(BN_new());
  const bool made =
      certificate != nullptr && serial != nullptr &&
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      BN_rand(serial.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
      BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(not_before)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(not_after)) != nullptr &&
      X509_set_pubkey(certificate.get(), &key) == 1 &&
      X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) == 1;
  if (!made) return OpenSslError("make a certificate");
  return certificate;
}

absl::StatusOr<Certificate> ParseCertificate(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) {
    return absl::FailedPreconditionError("the text holds no PEM certificate");
  }
  return certificate;
}

absl::StatusOr<Key> ParseKey(const base::Secret& pem) {
  const Bio bio(BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.reveal().size())));
  const auto refuse = [](char*, int, int, void*) { return 0; };
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return absl::FailedPreconditionError(
        "the authority's key is not a PEM key that can be read without a pass phrase");
  }
  return key;
}

// A host name as certificates hold it: labels of letters, digits and dashes, perhaps "*." first.
// Checked strictly, since it becomes part of an OpenSSL expression in which ',' separates names.
bool IsDnsName(absl::string_view name) {
  absl::ConsumePrefix(&name, "*.");
  if (name.empty() || name.size() > 253) return false;
  for (const absl::string_view label : absl::StrSplit(name, '.')) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    for (const char c : label) {
      if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-') return false;
    }
  }
  return true;
}

absl::StatusOr<std::string> AlternativeNames(const CertificateRequest& request) {
  if (!rpc::IsPeerName(request.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", base::DisplayName(request.name),
                     "\" is not allowed as a name; use at most 64 letters, digits, dots, "
                     "underscores and dashes"));
  }
  std::vector<std::string> names = {absl::StrCat("URI:", rpc::PeerUri(request.role, request.name))};
  for (const std::string& dns : request.dns_names) {
    if (!IsDnsName(dns) || config::IsIpLiteral(dns)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", base::DisplayName(dns), "\" is not a host name; give addresses as --ip"));
    }
    names.push_back(absl::StrCat("DNS:", dns));
  }
  for (const std::string& ip : request.ip_addresses) {
    if (!config::IsIpLiteral(ip)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", base::DisplayName(ip), "\" is not an IP address; give host names as --dns"));
    }
    names.push_back(absl::StrCat("IP:", ip));
  }
  return absl::StrJoin(names, ",");
}

bool Serves(rpc::Role role) {
  return role == rpc::Role::kCollector || role == rpc::Role::kAggregator ||
         role == rpc::Role::kNotifier;
}

absl::Status CheckValidity(const CertificatePair& authority, const CertificateRequest& request) {
  NS_ASSIGN_OR_RETURN(const rpc::CertificateFacts facts,
                      rpc::ReadCertificate(authority.certificate));
  if (request.not_after <= request.not_before) {
    return absl::InvalidArgumentError("the certificate would end before it begins");
  }
  if (request.not_after > facts.not_after) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the authority ends on ",
        absl::FormatTime("%Y-%m-%d", facts.not_after, absl::UTCTimeZone()),
        ", before the certificate would; ask for fewer --days, or replace the authority with "
        "`netsentinelctl certs rotate-ca --begin`"));
  }
  return absl::OkStatus();
}

// The signed certificate for `key`.
absl::StatusOr<Certificate> Sign(const CertificatePair& authority,
                                 const CertificateRequest& request, EVP_PKEY& key) {
  NS_ASSIGN_OR_RETURN(const std::string names, AlternativeNames(request));
  NS_ASSIGN_OR_RETURN(const Certificate issuer, ParseCertificate(authority.certificate));
  NS_ASSIGN_OR_RETURN(const Key issuer_key, ParseKey(authority.key));
  NS_RETURN_IF_ERROR(CheckValidity(authority, request));
  NS_ASSIGN_OR_RETURN(Certificate certificate,
                      NewCertificate(absl::StrCat(rpc::RoleName(request.role), " ", request.name)
                                         .substr(0, 64),  // X.520's limit for a common name
                                     key, request.not_before, request.not_after));
  X509& made = *certificate;
  if (X509_set_issuer_name(&made, X509_get_subject_name(issuer.get())) != 1) {
    return OpenSslError("name the issuer");
  }
  NS_RETURN_IF_ERROR(AddExtension(made, *issuer, NID_basic_constraints, "critical,CA:FALSE"));
  NS_RETURN_IF_ERROR(AddExtension(made, *issuer, NID_key_usage, "critical,digitalSignature"));
  NS_RETURN_IF_ERROR(AddExtension(made, *issuer, NID_ext_key_usage,
                                  Serves(request.role) ? "serverAuth,clientAuth" : "clientAuth"));
  NS_RETURN_IF_ERROR(AddExtension(made, *issuer, NID_subject_key_identifier, "hash"));
  NS_RETURN_IF_ERROR(AddExtension(made, *issuer, NID_authority_key_identifier, "keyid"));
  NS_RETURN_IF_ERROR(AddExtension(made, *issuer, NID_subject_alt_name, names));
  if (X509_sign(&made, issuer_key.get(), EVP_sha256()) == 0) {
    return OpenSslError("sign the certificate; does the authority's key belong to it?");
  }
  return certificate;
}

}  // namespace

absl::StatusOr<CertificatePair> MakeAuthority(absl::string_view common_name, absl::Time not_before,
                                              absl::Time not_after) {
  NS_ASSIGN_OR_RETURN(const Key key, NewKey());
  NS_ASSIGN_OR_RETURN(const Certificate certificate,
                      NewCertificate(common_name, *key, not_before, not_after));
  X509& self = *certificate;
  if (X509_set_issuer_name(&self, X509_get_subject_name(&self)) != 1) {
    return OpenSslError("name the issuer");
  }
  NS_RETURN_IF_ERROR(AddExtension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  NS_RETURN_IF_ERROR(AddExtension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign"));
  NS_RETURN_IF_ERROR(AddExtension(self, self, NID_subject_key_identifier, "hash"));
  if (X509_sign(&self, key.get(), EVP_sha256()) == 0) return OpenSslError("sign the authority");
  return ToPem(self, *key);
}

absl::StatusOr<CertificatePair> IssueCertificate(const CertificatePair& authority,
                                                 const CertificateRequest& request) {
  NS_ASSIGN_OR_RETURN(const Key key, NewKey());
  NS_ASSIGN_OR_RETURN(const Certificate certificate, Sign(authority, request, *key));
  return ToPem(*certificate, *key);
}

absl::StatusOr<std::string> IssueForSameKey(const CertificatePair& authority,
                                            const CertificateRequest& request,
                                            const std::string& certificate) {
  NS_ASSIGN_OR_RETURN(const Certificate old, ParseCertificate(certificate));
  EVP_PKEY* key = X509_get0_pubkey(old.get());
  if (key == nullptr) return OpenSslError("read the certificate's key");
  NS_ASSIGN_OR_RETURN(const Certificate made, Sign(authority, request, *key));
  return ToPem(*made);
}

}  // namespace netsentinel::ctl
