#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::rpc {

// What a certificate is for.
enum class Role { kCollector, kAggregator, kNotifier, kOperator, kViewer, kAdmin };

// "collector" and so on, as in a certificate.
absl::string_view RoleName(Role role);
absl::StatusOr<Role> ParseRole(absl::string_view name);

// Who is at the other end of a connection.
struct PeerIdentity {
  Role role = Role::kViewer;
  std::string id =
      {};  // the certificate's name, [A-Za-z0-9._-]{1,64}; empty when not authenticated
  // False on an insecure server, where every peer may act in every role.
  bool authenticated = true;

  bool operator==(const PeerIdentity&) const = default;
};

// True for [A-Za-z0-9._-]{1,64}.
bool IsPeerName(absl::string_view name);

// "spiffe://netsentinel/<role>/<id>" and back. Parsing fails with kUnauthenticated, saying why.
std::string PeerUri(Role role, absl::string_view id);
absl::StatusOr<PeerIdentity> ParsePeerUri(absl::string_view uri);

}  // namespace netsentinel::rpc
