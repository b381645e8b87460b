#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/rpc/peer_identity.h"

namespace netsentinel::rpc {

// Who the first certificate of a PEM text names: it has to have exactly one URI name, one of ours.
// The chain is taken as verified. kUnauthenticated says why not.
absl::StatusOr<PeerIdentity> IdentifyCertificate(absl::string_view chain_pem);

}  // namespace netsentinel::rpc
