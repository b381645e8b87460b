#include "tools/ctl/openssl_revocation.h"

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/rpc/openssl_handles.h"
#include "common/rpc/tls_files.h"

namespace netsentinel::ctl {
namespace {

namespace openssl = rpc::openssl;
using Entry = std::unique_ptr<X509_REVOKED, openssl::Release<X509_REVOKED_free>>;
using Instant = std::unique_ptr<ASN1_TIME, openssl::Release<ASN1_TIME_free>>;
using WholeNumber = std::unique_ptr<ASN1_INTEGER, openssl::Release<ASN1_INTEGER_free>>;
using Enumerated = std::unique_ptr<ASN1_ENUMERATED, openssl::Release<ASN1_ENUMERATED_free>>;
using Attachment = std::unique_ptr<X509_EXTENSION, openssl::Release<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, openssl::Release<GENERAL_NAMES_free>>;

constexpr std::array<std::pair<const char*, int>, 6> kReasons = {
    {{"unspecified", CRL_REASON_UNSPECIFIED},
     {"keyCompromise", CRL_REASON_KEY_COMPROMISE},
     {"affiliationChanged", CRL_REASON_AFFILIATION_CHANGED},
     {"superseded", CRL_REASON_SUPERSEDED},
     {"cessationOfOperation", CRL_REASON_CESSATION_OF_OPERATION},
     {"privilegeWithdrawn", CRL_REASON_PRIVILEGE_WITHDRAWN}}};

absl::Status Failed(absl::string_view what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("OpenSSL cannot ", what, ": ", text.data()));
}

absl::StatusOr<openssl::Cert> FirstCertificate(const std::string& pem) {
  const openssl::Text text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  openssl::Cert certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) return absl::InvalidArgumentError("there is no PEM certificate");
  return certificate;
}

openssl::PrivateKey KeyIn(const base::Secret& pem) {
  const openssl::Text text(
      BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.reveal().size())));
  const auto refuse = [](char*, int, int, void*) { return 0; };
  openssl::PrivateKey key(PEM_read_bio_PrivateKey(text.get(), nullptr, refuse, nullptr));
  ERR_clear_error();
  return key;
}

std::string TextIn(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string AddressIn(const ASN1_OCTET_STRING* bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
  const bool sized = family == AF_INET || ASN1_STRING_length(bytes) == 16;
  if (!sized ||
      ::inet_ntop(family, ASN1_STRING_get0_data(bytes), text.data(), text.size()) == nullptr) {
    return "";
  }
  return text.data();
}

absl::Status SetNumber(X509_CRL& list, std::uint64_t number) {
  const WholeNumber value(ASN1_INTEGER_new());
  if (value == nullptr || ASN1_INTEGER_set_uint64(value.get(), number) != 1 ||
      X509_CRL_add1_ext_i2d(&list, NID_crl_number, value.get(), 0, 0) != 1) {
    return Failed("number the revocation list");
  }
  return absl::OkStatus();
}

absl::Status NameKey(X509_CRL& list, X509& authority) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &authority, nullptr, nullptr, &list, 0);
  const Attachment extension(
      X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid"));
  if (extension == nullptr || X509_CRL_add_ext(&list, extension.get(), -1) != 1) {
    return Failed("name the authority's key");
  }
  return absl::OkStatus();
}

absl::Status AddEntry(X509_CRL& list, const RevokedSerial& one) {
  int code = CRL_REASON_UNSPECIFIED;
  for (const auto& [name, value] : kReasons) {
    if (one.reason == name) code = value;
  }
  BIGNUM* parsed = nullptr;
  const int digits = BN_hex2bn(&parsed, one.serial.c_str());
  const openssl::BigNumber number(parsed);
  const WholeNumber serial(number == nullptr ? nullptr : BN_to_ASN1_INTEGER(number.get(), nullptr));
  if (serial == nullptr || static_cast<std::size_t>(digits) != one.serial.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", base::DisplayName(one.serial), "\" is not a serial number"));
  }
  Entry entry(X509_REVOKED_new());
  const Instant at(ASN1_TIME_set(nullptr, absl::ToTimeT(one.at)));
  const Enumerated reason(ASN1_ENUMERATED_new());
  const bool made =
      entry != nullptr && at != nullptr && reason != nullptr &&
      X509_REVOKED_set_serialNumber(entry.get(), serial.get()) == 1 &&
      X509_REVOKED_set_revocationDate(entry.get(), at.get()) == 1 &&
      ASN1_ENUMERATED_set(reason.get(), code) == 1 &&
      (code == CRL_REASON_UNSPECIFIED ||
       X509_REVOKED_add1_ext_i2d(entry.get(), NID_crl_reason, reason.get(), 0, 0) == 1);
  if (!made || X509_CRL_add0_revoked(&list, entry.get()) != 1) return Failed("add a revocation");
  static_cast<void>(entry.release());  // the list's now
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> SerialOf(const std::string& certificate) {
  NS_ASSIGN_OR_RETURN(const openssl::Cert parsed, FirstCertificate(certificate));
  const openssl::BigNumber serial(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(parsed.get()), nullptr));
  char* text = serial == nullptr ? nullptr : BN_bn2hex(serial.get());
  if (text == nullptr) return Failed("read the serial number");
  std::string hex = text;
  OPENSSL_free(text);
  return hex;
}

absl::StatusOr<CertificateRequest> RequestOf(const std::string& certificate) {
  NS_ASSIGN_OR_RETURN(const rpc::CertificateFacts facts, rpc::ReadCertificate(certificate));
  const absl::StatusOr<rpc::PeerIdentity> identity = rpc::ParsePeerUri(facts.uri);
  if (!identity.ok()) return absl::InvalidArgumentError(identity.status().message());
  CertificateRequest request;
  request.role = identity->role;
  request.name = identity->id;
  request.not_before = facts.not_before;
  request.not_after = facts.not_after;
  NS_ASSIGN_OR_RETURN(const openssl::Cert parsed, FirstCertificate(certificate));
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(parsed.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) request.dns_names.push_back(TextIn(name->d.dNSName));
    if (name->type == GEN_IPADD) request.ip_addresses.push_back(AddressIn(name->d.iPAddress));
  }
  return request;
}

bool IsPair(const CertificatePair& pair) {
  const absl::StatusOr<openssl::Cert> certificate = FirstCertificate(pair.certificate);
  const openssl::PrivateKey key = KeyIn(pair.key);
  const bool fits = certificate.ok() && key != nullptr &&
                    X509_check_private_key(certificate->get(), key.get()) == 1;
  ERR_clear_error();
  return fits;
}

absl::Status CheckRevocationReason(const std::string& reason) {
  for (const auto& [name, value] : kReasons) {
    if (reason == name) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", base::DisplayName(reason), "\" is not a reason; the reasons are ",
      absl::StrJoin(kReasons, ", ", [](std::string* out, const auto& one) { *out += one.first; })));
}

absl::StatusOr<std::uint64_t> ListNumberOf(const std::string& lists) {
  const openssl::Text text(BIO_new_mem_buf(lists.data(), static_cast<int>(lists.size())));
  const openssl::List list(
      text == nullptr ? nullptr : PEM_read_bio_X509_CRL(text.get(), nullptr, nullptr, nullptr));
  const WholeNumber number(list == nullptr ? nullptr
                                           : static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(
                                                 list.get(), NID_crl_number, nullptr, nullptr)));
  std::uint64_t value = 0;
  const bool read = number != nullptr && ASN1_INTEGER_get_uint64(&value, number.get()) == 1;
  ERR_clear_error();
  if (!read) return absl::InvalidArgumentError("it holds no revocation list with a number");
  return value;
}

absl::StatusOr<std::string> MakeRevocationList(const CertificatePair& authority,
                                               std::uint64_t number, absl::Time now,
                                               const std::vector<RevokedSerial>& revoked) {
  NS_ASSIGN_OR_RETURN(const openssl::Cert issuer, FirstCertificate(authority.certificate));
  const openssl::PrivateKey key = KeyIn(authority.key);
  if (key == nullptr || !IsPair(authority)) {
    return absl::FailedPreconditionError("the authority's key does not belong to its certificate");
  }
  const openssl::List list(X509_CRL_new());
  const Instant since(ASN1_TIME_set(nullptr, absl::ToTimeT(now)));
  if (list == nullptr || since == nullptr || X509_CRL_set_version(list.get(), 1) != 1 ||
      X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer.get())) != 1 ||
      X509_CRL_set1_lastUpdate(list.get(), since.get()) != 1 ||
      X509_CRL_set1_nextUpdate(list.get(), X509_get0_notAfter(issuer.get())) != 1) {
    return Failed("make a revocation list");
  }
  NS_RETURN_IF_ERROR(NameKey(*list, *issuer));
  NS_RETURN_IF_ERROR(SetNumber(*list, number));
  for (const RevokedSerial& one : revoked) NS_RETURN_IF_ERROR(AddEntry(*list, one));
  X509_CRL_sort(list.get());
  const openssl::Text text(BIO_new(BIO_s_mem()));
  if (X509_CRL_sign(list.get(), key.get(), EVP_sha256()) == 0 ||
      PEM_write_bio_X509_CRL(text.get(), list.get()) != 1) {
    return Failed("sign the revocation list");
  }
  const char* data = nullptr;
  const long size = BIO_get_mem_data(text.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace netsentinel::ctl
