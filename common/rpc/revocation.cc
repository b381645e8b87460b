#include "common/rpc/revocation.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "common/rpc/openssl_handles.h"

namespace netsentinel::rpc {
namespace {

constexpr std::size_t kMaxListBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxAuthorityBytes = std::size_t{1} << 20;

openssl::Text ReadOnly(absl::string_view pem) {
  return openssl::Text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::vector<openssl::Cert> CertificatesIn(absl::string_view pem) {
  std::vector<openssl::Cert> found;
  const openssl::Text text = ReadOnly(pem);
  while (X509* one = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(one);
  }
  ERR_clear_error();
  return found;
}

std::vector<openssl::List> ListsIn(absl::string_view pem) {
  std::vector<openssl::List> found;
  const openssl::Text text = ReadOnly(pem);
  while (X509_CRL* one = PEM_read_bio_X509_CRL(text.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(one);
  }
  ERR_clear_error();
  return found;
}

// A text of OpenSSL's, freed.
std::string Taken(char* text) {
  std::string copy = text == nullptr ? "" : text;
  OPENSSL_free(text);
  return copy;
}

std::string SubjectOf(X509& certificate) {
  std::string name = Taken(X509_NAME_oneline(X509_get_subject_name(&certificate), nullptr, 0));
  const openssl::BigNumber serial(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
  return absl::StrCat(base::DisplayName(name.substr(0, 200)), ", serial ",
                      serial == nullptr ? "?" : Taken(BN_bn2hex(serial.get())));
}

}  // namespace

struct RevocationLists::Lists {
  // A list and the authority that signed it.
  struct Signed {
    openssl::List list;
    openssl::Cert authority;
  };
  std::vector<Signed> lists;
  std::size_t revoked = 0;
};

absl::StatusOr<RevocationLists> RevocationLists::Parse(absl::string_view lists_pem,
                                                       absl::string_view authorities_pem) {
  const std::vector<openssl::Cert> authorities = CertificatesIn(authorities_pem);
  if (authorities.empty()) {
    return absl::InvalidArgumentError("there is no PEM certificate of an authority");
  }
  std::vector<openssl::List> found = ListsIn(lists_pem);
  if (found.empty()) return absl::InvalidArgumentError("there is no PEM revocation list");
  auto lists = std::make_shared<Lists>();
  for (openssl::List& list : found) {
    for (const openssl::Cert& authority : authorities) {
      EVP_PKEY* key = X509_get0_pubkey(authority.get());
      if (key == nullptr || X509_CRL_verify(list.get(), key) != 1) continue;
      const STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(list.get());
      if (revoked != nullptr) {
        lists->revoked += static_cast<std::size_t>(sk_X509_REVOKED_num(revoked));
      }
      X509_up_ref(authority.get());
      lists->lists.push_back({std::move(list), openssl::Cert(authority.get())});
      break;
    }
  }
  ERR_clear_error();
  if (lists->lists.empty()) {
    return absl::InvalidArgumentError("no revocation list is signed by a trusted authority");
  }
  return RevocationLists(std::move(lists));
}

absl::Status RevocationLists::Check(absl::string_view chain_pem) const {
  const std::vector<openssl::Cert> chain = CertificatesIn(chain_pem);
  if (chain.empty()) return absl::InvalidArgumentError("there is no PEM certificate to check");
  for (const openssl::Cert& certificate : chain) {
    for (const Lists::Signed& one : lists_->lists) {
      if (X509_check_issued(one.authority.get(), certificate.get()) != X509_V_OK) continue;
      X509_REVOKED* entry = nullptr;
      const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate.get());
      // 2 is "removed from the list", which a whole list never says.
      if (X509_CRL_get0_by_serial(one.list.get(), &entry, serial) != 1) continue;
      ERR_clear_error();
      return absl::PermissionDeniedError(
          absl::StrCat("the certificate ", SubjectOf(*certificate), " is revoked"));
    }
  }
  ERR_clear_error();
  return absl::OkStatus();
}

std::size_t RevocationLists::list_count() const { return lists_->lists.size(); }
std::size_t RevocationLists::revoked_count() const { return lists_->revoked; }

absl::StatusOr<RevocationLists> LoadRevocationLists(const std::string& crl_path,
                                                    const std::string& ca_path) {
  NS_ASSIGN_OR_RETURN(const std::string lists, io::ReadFile(crl_path, kMaxListBytes));
  NS_ASSIGN_OR_RETURN(const std::string authorities, io::ReadFile(ca_path, kMaxAuthorityBytes));
  absl::StatusOr<RevocationLists> parsed = RevocationLists::Parse(lists, authorities);
  if (parsed.ok()) return parsed;
  return absl::FailedPreconditionError(absl::StrCat(
      "the revocation list ", crl_path, " cannot be used with the authority ", ca_path, ": ",
      parsed.status().message(), "; copy both from the authority's folder, ca.crl and ca.crt"));
}

RevocationFile::RevocationFile(std::string crl_path, std::string ca_path, absl::Duration refresh,
                               const base::Clock& clock)
    : crl_path_(std::move(crl_path)),
      ca_path_(std::move(ca_path)),
      refresh_(refresh),
      clock_(clock),
      lists_(LoadRevocationLists(crl_path_, ca_path_)) {
  base::MutexLock lock(mutex_);
  next_look_ = clock_.MonotonicNow() + refresh_;
}

absl::Status RevocationFile::Check(absl::string_view chain_pem) {
  base::MutexLock lock(mutex_);
  const absl::Duration now = clock_.MonotonicNow();
  if (now >= next_look_ || !lists_.ok()) {
    next_look_ = now + refresh_;
    absl::StatusOr<RevocationLists> fresh = LoadRevocationLists(crl_path_, ca_path_);
    if (fresh.ok() || !lists_.ok()) lists_ = std::move(fresh);
  }
  NS_RETURN_IF_ERROR(lists_.status());
  const absl::Status status = lists_->Check(chain_pem);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), " (", crl_path_, ")"));
}

}  // namespace netsentinel::rpc
