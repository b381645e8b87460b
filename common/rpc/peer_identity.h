#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::rpc {

// What a certificate is for. kLocal is not a certificate's: whoever reaches a listener that is
// configured with `insecure: true`, on a loopback address only, and may do what every role may.
enum class Role { kCollector, kAggregator, kNotifier, kOperator, kViewer, kAdmin, kLocal };

// "collector" and so on, as in a certificate; "local".
absl::string_view RoleName(Role role);
// Of a certificate's role: never kLocal.
absl::StatusOr<Role> ParseRole(absl::string_view name);

// Who is at the other end of a connection.
struct PeerIdentity {
  Role role = Role::kViewer;
  std::string id =
      {};  // the certificate's name, [A-Za-z0-9._-]{1,64}; empty when not authenticated
  // False for kLocal.
  bool authenticated = true;

  bool operator==(const PeerIdentity&) const = default;
};

// True for [A-Za-z0-9._-]{1,64}.
bool IsPeerName(absl::string_view name);

// "spiffe://netsentinel/<role>/<id>" and back. Parsing fails with kUnauthenticated, saying why.
std::string PeerUri(Role role, absl::string_view id);
absl::StatusOr<PeerIdentity> ParsePeerUri(absl::string_view uri);

}  // namespace netsentinel::rpc
