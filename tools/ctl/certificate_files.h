#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/config/shared_sections.h"
#include "tools/ctl/authority_folder.h"
#include "tools/ctl/openssl_certificates.h"

namespace netsentinel::ctl {

// Short enough that a stolen key is of little use for long and renewing stays a habit; long enough
// that a month of warnings (shell::CertificateWatch) comes before the end.
inline constexpr int kCertificateDays = 90;
inline constexpr int kAuthorityDays = 3650;

// What whoever wants this certificate should know; empty: nothing.
std::string NamesAdvice(const CertificateRequest& request);

// Replaces a certificate and its key so that a reader who comes in between, and a crash at any
// point, leave a pair that fits or one that FinishPair mends. The new key keeps the old one's
// owner.
absl::Status ReplacePair(const config::TlsFiles& files, const CertificatePair& pair);
// Completes or takes back what a crash in ReplacePair has left.
absl::Status FinishPair(const config::TlsFiles& files);

// kAlreadyExists when `path` holds the certificate of another authority; OK when it is not there.
absl::Status CheckTrustIsOurs(const AuthorityFolder& authority, const std::string& path);

// Puts the authority's certificates and revocation lists into a folder where they are trusted.
absl::Status WriteTrust(AuthorityFolder& authority, const std::string& folder, absl::Time now);

// Issues from the authority in `folder` into `out`: <name>.crt, <name>.key (0600), ca.crt and
// ca.crl, and returns their paths, ready for a `tls:` section. kAlreadyExists, and nothing is
// touched, when a certificate, a key or another authority's ca.crt is in the way; with `overwrite`
// they are replaced. `request` needs no times: valid from five minutes before `now`.
absl::StatusOr<config::TlsFiles> IssueInto(const std::string& folder, const std::string& out,
                                           CertificateRequest request, absl::Time now,
                                           absl::Duration valid, bool overwrite = false);

}  // namespace netsentinel::ctl
