#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::rpc {

// Which certificate it was: what `certs list` and an audit entry name it by.
struct CertificateMark {
  std::string serial = {};       // upper-case hexadecimal
  std::string fingerprint = {};  // SHA-256 of the certificate, 64 lower-case hexadecimal digits

  bool operator==(const CertificateMark&) const = default;
};

// Of the first certificate of a PEM text. kInvalidArgument when there is none.
absl::StatusOr<CertificateMark> MarkOf(absl::string_view pem);

}  // namespace netsentinel::rpc
