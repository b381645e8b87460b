#include "common/rpc/certificate_mark.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/io/sha256.h"
#include "common/rpc/openssl_handles.h"

namespace netsentinel::rpc {

absl::StatusOr<CertificateMark> MarkOf(absl::string_view pem) {
  const openssl::Text text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const openssl::Cert certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) {
    return absl::InvalidArgumentError("the text holds no PEM certificate");
  }
  CertificateMark mark;
  const openssl::BigNumber serial(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr));
  char* digits = serial == nullptr ? nullptr : BN_bn2hex(serial.get());
  if (digits != nullptr) mark.serial = digits;
  OPENSSL_free(digits);
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size > 0) {
    mark.fingerprint = io::Sha256Hex(
        absl::string_view(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)));
  }
  OPENSSL_free(der);
  return mark;
}

}  // namespace netsentinel::rpc
