#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "common/rpc/certificate_mark.h"
#include "common/rpc/peer_identity.h"
#include "common/rpc/peer_table.h"
#include "common/rpc/refusals.h"

namespace grpc {
class ServerContextBase;
}  // namespace grpc

namespace netsentinel::rpc {

// Decides who a caller is and what it may do. One per server, shared by copies: the server's front
// enters who is behind each connection, the services ask. Thread-safe.
class PeerAuthority {
 public:
  // The three must outlive every copy.
  PeerAuthority(const base::Clock& clock, log::Logger& logger, metrics::Registry& metrics)
      : state_(std::make_shared<State>(clock, logger, metrics)) {}

  // Who calls, as the front verified it before the first byte of HTTP/2. Works for every kind of
  // server context, also of the callback API. kUnauthenticated when the call's connection did not
  // come through the front.
  absl::StatusOr<PeerIdentity> Identify(const grpc::ServerContextBase& context) const;

  // As Identify; a refusal is logged and counted. For what everybody may ask who is let in at all.
  absl::StatusOr<PeerIdentity> RequireKnown(const grpc::ServerContextBase& context) const;

  // As RequireKnown, and kPermissionDenied, naming the caller and the roles that may, unless the
  // role is one of `allowed` or kLocal. A refusal is logged and counted.
  absl::StatusOr<PeerIdentity> RequireRole(const grpc::ServerContextBase& context,
                                           std::initializer_list<Role> allowed) const;

  // The certificate that the caller has shown; both parts are empty when it is not authenticated.
  CertificateMark CertificateOf(const grpc::ServerContextBase& context) const;
  // The address that a call came from: "10.0.0.7:51234"; empty when not known.
  std::string AddressOf(const grpc::ServerContextBase& context) const;

  PeerTable& peers() const { return state_->peers; }
  Refusals& refusals() const { return state_->refusals; }

 private:
  struct State {
    State(const base::Clock& clock, log::Logger& logger, metrics::Registry& metrics)
        : refusals(clock, logger, metrics) {}
    PeerTable peers;
    Refusals refusals;
  };
  std::shared_ptr<State> state_;
};

}  // namespace netsentinel::rpc
