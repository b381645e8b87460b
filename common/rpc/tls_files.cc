#include "common/rpc/tls_files.h"

#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "common/rpc/openssl_handles.h"
#include "common/rpc/revocation.h"

namespace netsentinel::rpc {
namespace {

using Bio = openssl::Text;
using Certificate = openssl::Cert;
using Key = openssl::PrivateKey;
using Store = std::unique_ptr<X509_STORE, openssl::Release<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, openssl::Release<X509_STORE_CTX_free>>;

struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

constexpr std::size_t kMaxPemBytes = std::size_t{1} << 20;

std::vector<Certificate> ParseCertificates(absl::string_view pem) {
  std::vector<Certificate> certificates;
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();
  return certificates;
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm broken_down{};
  if (ASN1_TIME_to_tm(time, &broken_down) != 1) return absl::InfinitePast();
  return absl::FromUnixSeconds(timegm(&broken_down));
}

std::string FirstUri(X509& certificate) {
  std::string uri;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names) && uri.empty(); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    uri.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
               static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  GENERAL_NAMES_free(names);
  return uri;
}

CertificateFacts FactsOf(X509& certificate) {
  return {FirstUri(certificate), ToTime(X509_get0_notBefore(&certificate)),
          ToTime(X509_get0_notAfter(&certificate))};
}

absl::StatusOr<std::vector<Certificate>> LoadCertificates(const std::string& path) {
  NS_ASSIGN_OR_RETURN(const std::string pem, io::ReadFile(path, kMaxPemBytes));
  std::vector<Certificate> certificates = ParseCertificates(pem);
  if (certificates.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(path, " holds no PEM certificate"));
  }
  return certificates;
}

absl::StatusOr<Key> LoadKey(const std::string& path) {
  NS_RETURN_IF_ERROR(io::CheckPrivate(path));
  NS_ASSIGN_OR_RETURN(const base::Secret pem, io::ReadSecretFile(path));
  const Bio bio(BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.reveal().size())));
  // The callback keeps OpenSSL from asking for a pass phrase on the terminal.
  const auto refuse = [](char*, int, int, void*) { return 0; };
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " holds no PEM private key that can be read without a pass phrase"));
  }
  return key;
}

absl::Status CheckDates(const std::string& path, const CertificateFacts& facts, absl::Time now) {
  const auto day = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
  };
  if (now > facts.not_after) {
    return absl::FailedPreconditionError(
        absl::StrCat("the certificate ", path, " expired on ", day(facts.not_after),
                     "; make a new one with `netsentinelctl certs renew NAME`"));
  }
  if (now < facts.not_before) {
    return absl::FailedPreconditionError(
        absl::StrCat("the certificate ", path, " is valid only from ", day(facts.not_before),
                     "; check this host's clock, which says ", day(now)));
  }
  return absl::OkStatus();
}

absl::Status CheckIssuer(const config::TlsFiles& files, const std::vector<Certificate>& chain,
                         const std::vector<Certificate>& authorities, absl::Time now) {
  const Store store(X509_STORE_new());
  for (const Certificate& authority : authorities)
    X509_STORE_add_cert(store.get(), authority.get());
  const std::unique_ptr<STACK_OF(X509), FreeStack> others(sk_X509_new_null());
  for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(others.get(), chain[i].get());
  const StoreContext context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), others.get());
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context.get()), absl::ToTimeT(now));
  const bool verified = X509_verify_cert(context.get()) == 1;
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (verified) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the certificate ", files.cert, " does not verify against ", files.ca, ": ",
                   X509_verify_cert_error_string(error),
                   "; both must come from one authority's folder (docs/certificates.md)"));
}

absl::Status CheckKey(X509& certificate, const std::string& certificate_path,
                      const std::string& key_path) {
  NS_ASSIGN_OR_RETURN(const Key key, LoadKey(key_path));
  if (X509_check_private_key(&certificate, key.get()) == 1) return absl::OkStatus();
  ERR_clear_error();
  return absl::FailedPreconditionError(
      absl::StrCat("the key ", key_path, " does not belong to the certificate ", certificate_path));
}

absl::Status CheckNotRevoked(const config::TlsFiles& files) {
  if (files.crl.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(const RevocationLists lists, LoadRevocationLists(files.crl, files.ca));
  NS_ASSIGN_OR_RETURN(const std::string own, io::ReadFile(files.cert, kMaxPemBytes));
  const absl::Status status = lists.Check(own);
  if (status.ok()) return status;
  return absl::FailedPreconditionError(
      absl::StrCat(files.cert, ": ", status.message(), " in ", files.crl,
                   ", so every connection with it is refused; issue a new one under the same name "
                   "with `netsentinelctl certs issue --overwrite --role ROLE --name NAME`"));
}

}  // namespace

absl::StatusOr<CertificateFacts> ReadCertificate(absl::string_view pem) {
  const std::vector<Certificate> certificates = ParseCertificates(pem);
  if (certificates.empty()) return absl::InvalidArgumentError("the text holds no PEM certificate");
  return FactsOf(*certificates[0]);
}

absl::StatusOr<CertificateFacts> CheckTlsFiles(const config::TlsFiles& files, absl::Time now) {
  NS_ASSIGN_OR_RETURN(const std::vector<Certificate> authorities, LoadCertificates(files.ca));
  NS_ASSIGN_OR_RETURN(const std::vector<Certificate> chain, LoadCertificates(files.cert));
  NS_RETURN_IF_ERROR(CheckKey(*chain[0], files.cert, files.key));
  CertificateFacts facts = FactsOf(*chain[0]);
  NS_RETURN_IF_ERROR(CheckDates(files.cert, facts, now));
  NS_RETURN_IF_ERROR(CheckIssuer(files, chain, authorities, now));
  NS_RETURN_IF_ERROR(CheckNotRevoked(files));
  return facts;
}

absl::Status CheckPair(const std::string& certificate_path, const std::string& key_path) {
  NS_ASSIGN_OR_RETURN(const std::vector<Certificate> chain, LoadCertificates(certificate_path));
  return CheckKey(*chain[0], certificate_path, key_path);
}

absl::StatusOr<std::optional<PeerIdentity>> CheckSecurityAs(const config::Security& security,
                                                            Role role, absl::string_view section,
                                                            absl::Time now,
                                                            absl::string_view name) {
  if (security.insecure) return std::optional<PeerIdentity>();
  NS_ASSIGN_OR_RETURN(const CertificateFacts facts, CheckTlsFiles(security.tls, now));
  const absl::StatusOr<PeerIdentity> peer = ParsePeerUri(facts.uri);
  if (!peer.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(section, ".cert ", security.tls.cert, ": ", peer.status().message()));
  }
  if (peer->role != role) {
    return absl::FailedPreconditionError(
        absl::StrCat(section, ".cert ", security.tls.cert, " is for the role ",
                     RoleName(peer->role), ": issue one with `netsentinelctl certs issue --role ",
                     RoleName(role), " --name ", name, "`"));
  }
  return std::optional<PeerIdentity>(*peer);
}

absl::Status CheckAuthorityFile(const std::string& path) { return LoadCertificates(path).status(); }

}  // namespace netsentinel::rpc
