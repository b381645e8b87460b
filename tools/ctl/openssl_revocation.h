#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tools/ctl/openssl_certificates.h"

namespace netsentinel::ctl {

// The serial number of a PEM text's first certificate, in upper-case hexadecimal.
absl::StatusOr<std::string> SerialOf(const std::string& certificate);

// What the certificate was asked for as: role, name, hosts and times, so that it can be asked for
// again. kInvalidArgument when it is none of NetSentinel's.
absl::StatusOr<CertificateRequest> RequestOf(const std::string& certificate);

// Whether the key (PEM) is the one that the certificate (PEM) names.
bool IsPair(const CertificatePair& pair);

// Why a certificate is revoked, as RFC 5280 names it: "keyCompromise" and so on. kInvalidArgument
// lists the reasons there are.
absl::Status CheckRevocationReason(const std::string& reason);

struct RevokedSerial {
  std::string serial;  // as SerialOf
  absl::Time at;
  std::string reason;  // as CheckRevocationReason
};

// The number of a PEM text's first revocation list. kInvalidArgument when it is none.
absl::StatusOr<std::uint64_t> ListNumberOf(const std::string& lists);

// A signed revocation list (X.509 CRL version 2, PEM) with a number, good until the authority ends:
// no list runs out before what it protects.
absl::StatusOr<std::string> MakeRevocationList(const CertificatePair& authority,
                                               std::uint64_t number, absl::Time now,
                                               const std::vector<RevokedSerial>& revoked);

}  // namespace netsentinel::ctl
