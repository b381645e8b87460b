#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/secret.h"
#include "common/rpc/peer_identity.h"

namespace netsentinel::ctl {

// A certificate and its private key, both PEM. Keys are EC P-256 in PKCS#8.
struct CertificatePair {
  std::string certificate;
  base::Secret key;
};

// A new private authority: self-signed, may sign end certificates only, can sign nothing after
// `not_after`.
absl::StatusOr<CertificatePair> MakeAuthority(absl::string_view common_name, absl::Time not_before,
                                              absl::Time not_after);

// What an end certificate is to say.
struct CertificateRequest {
  rpc::Role role = rpc::Role::kViewer;
  std::string name;                       // as rpc::IsPeerName
  std::vector<std::string> dns_names;     // host names it serves under; also "*.example"
  std::vector<std::string> ip_addresses;  // IPv4 or IPv6 literals
  absl::Time not_before;
  absl::Time not_after;
};

// A new key and a certificate of `authority` for it. Its identity is the URI name
// rpc::PeerUri(role, name). Collectors, aggregators and notifiers may serve and call, people only
// call. kInvalidArgument for a name or address that is not allowed, kFailedPrecondition when the
// authority cannot be read or ends earlier than the certificate would.
absl::StatusOr<CertificatePair> IssueCertificate(const CertificatePair& authority,
                                                 const CertificateRequest& request);

// As IssueCertificate, for the key that `certificate` (PEM) names: whoever holds that key goes on
// with it. Only the certificate is made.
absl::StatusOr<std::string> IssueForSameKey(const CertificatePair& authority,
                                            const CertificateRequest& request,
                                            const std::string& certificate);

}  // namespace netsentinel::ctl
