#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/config/shared_sections.h"
#include "tools/ctl/openssl_certificates.h"

namespace netsentinel::ctl {

// The files of an authority's folder.
inline constexpr char kAuthorityCertificateFile[] = "ca.crt";
inline constexpr char kAuthorityKeyFile[] = "ca.key";

// Makes `folder` (0700) with a new authority: ca.crt and ca.key (0600). kAlreadyExists, and nothing
// is touched, when either file is there: a new authority makes every certificate worthless.
absl::Status InitAuthority(const std::string& folder, absl::Time now, absl::Duration valid);

// What whoever wants this certificate should know; empty: nothing.
std::string NamesAdvice(const CertificateRequest& request);

// Issues from the authority in `folder` into `out`: <name>.crt, <name>.key (0600) and ca.crt, and
// returns their paths, ready for a `tls:` section. An earlier certificate of that name is replaced;
// the key before the certificate, so that whoever reloads in between sees a pair that does not
// match and keeps the old one. `request` needs no times: valid from five minutes before `now`.
absl::StatusOr<config::TlsFiles> IssueInto(const std::string& folder, const std::string& out,
                                           CertificateRequest request, absl::Time now,
                                           absl::Duration valid);

}  // namespace netsentinel::ctl
