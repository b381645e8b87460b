#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/config/shared_sections.h"
#include "common/rpc/peer_identity.h"

namespace netsentinel::rpc {

struct CertificateFacts {
  std::string uri;  // the first URI name, or empty
  absl::Time not_before;
  absl::Time not_after;
};

// The first certificate of a PEM text. kInvalidArgument when there is none.
absl::StatusOr<CertificateFacts> ReadCertificate(absl::string_view pem);

// Checks that the files can serve a connection: readable, the key private and belonging to the
// certificate, the certificate from the authority, valid at `now` and, where there is a revocation
// list, not in it. gRPC itself would start, and refuse every handshake without a word.
// kFailedPrecondition (or as io::ReadFile) names the file and the fix.
absl::StatusOr<CertificateFacts> CheckTlsFiles(const config::TlsFiles& files, absl::Time now);

// Checks that the key is the one of the certificate, both files. As CheckTlsFiles.
absl::Status CheckPair(const std::string& certificate_path, const std::string& key_path);

// As CheckTlsFiles, and that the certificate is for `role`: the other end refuses any other.
// `section` is where the files stand, such as "aggregator.tls", and `name` whom it must name, for
// the words. Whom the certificate names; an insecure connection has no files, names nobody and
// passes.
absl::StatusOr<std::optional<PeerIdentity>> CheckSecurityAs(const config::Security& security,
                                                            Role role, absl::string_view section,
                                                            absl::Time now,
                                                            absl::string_view name = "NAME");

// Checks that an authority's file can be read and holds a PEM certificate.
absl::Status CheckAuthorityFile(const std::string& path);

}  // namespace netsentinel::rpc
