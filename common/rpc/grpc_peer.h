#pragma once

#include <initializer_list>
#include <string>

#include "absl/status/statusor.h"

#include "common/rpc/certificate_mark.h"
#include "common/rpc/peer_identity.h"

namespace grpc {
class ServerContextBase;
}  // namespace grpc

namespace netsentinel::rpc {

// Decides who a caller is. One per server; immutable, thread-safe.
class PeerAuthority {
 public:
  // `insecure` as the server's configuration has it.
  explicit PeerAuthority(bool insecure) : insecure_(insecure) {}

  // Who calls, from the URI of the client certificate that the TLS layer has verified. Works for
  // every kind of server context, also of the callback API. kUnauthenticated when the certificate
  // has no such name, or more than one.
  absl::StatusOr<PeerIdentity> Identify(const grpc::ServerContextBase& context) const;

  // As Identify, and kPermissionDenied, naming the caller and the roles that may, unless the role
  // is one of `allowed`. On an insecure server: the first of `allowed`, not authenticated.
  absl::StatusOr<PeerIdentity> RequireRole(const grpc::ServerContextBase& context,
                                           std::initializer_list<Role> allowed) const;

  // The certificate that the caller has shown; both parts are empty when it is not authenticated.
  CertificateMark CertificateOf(const grpc::ServerContextBase& context) const;
  // The address that a call came from: "10.0.0.7:51234".
  std::string AddressOf(const grpc::ServerContextBase& context) const;

 private:
  bool insecure_;
};

// The address that a call came from, for logs: "ipv4:10.0.0.7:51234".
std::string PeerAddress(const grpc::ServerContextBase& context);

}  // namespace netsentinel::rpc
