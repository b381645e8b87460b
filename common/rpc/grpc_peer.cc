#include "common/rpc/grpc_peer.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include <grpcpp/server_context.h>

#include "common/base/check.h"

namespace netsentinel::rpc {
namespace {

// gRPC names a connection by the address of its other end: the front's end of the in-process socket
// is bound to the token.
std::string TokenOf(const grpc::ServerContextBase& context) {
  const std::string peer = context.peer();
  return std::string(absl::StripPrefix(peer, "unix-abstract:"));
}

}  // namespace

absl::StatusOr<PeerIdentity> PeerAuthority::Identify(const grpc::ServerContextBase& context) const {
  const std::optional<PeerTable::Peer> peer = state_->peers.Find(TokenOf(context));
  if (!peer.has_value()) {
    return absl::UnauthenticatedError("it is not known who is behind the call's connection");
  }
  return peer->identity;
}

absl::StatusOr<PeerIdentity> PeerAuthority::RequireKnown(
    const grpc::ServerContextBase& context) const {
  absl::StatusOr<PeerIdentity> peer = Identify(context);
  if (!peer.ok()) {
    state_->refusals.Refuse(
        {"unknown_connection", context.peer(), "", std::string(peer.status().message())});
  }
  return peer;
}

absl::StatusOr<PeerIdentity> PeerAuthority::RequireRole(const grpc::ServerContextBase& context,
                                                        std::initializer_list<Role> allowed) const {
  NS_CHECK(allowed.size() > 0, "a call that nobody may make");
  const absl::StatusOr<PeerIdentity> peer = RequireKnown(context);
  if (!peer.ok()) return peer;
  if (peer->role == Role::kLocal ||
      std::find(allowed.begin(), allowed.end(), peer->role) != allowed.end()) {
    return peer;
  }
  const std::string name = absl::StrCat(RoleName(peer->role), " ", peer->id);
  const std::string words = absl::StrCat(
      name, " may not do this; it takes the role ",
      absl::StrJoin(allowed, " or ",
                    [](std::string* out, Role role) { absl::StrAppend(out, RoleName(role)); }));
  state_->refusals.Refuse({"call", AddressOf(context), name, words});
  return absl::PermissionDeniedError(words);
}

CertificateMark PeerAuthority::CertificateOf(const grpc::ServerContextBase& context) const {
  const std::optional<PeerTable::Peer> peer = state_->peers.Find(TokenOf(context));
  return peer.has_value() ? peer->certificate : CertificateMark();
}

std::string PeerAuthority::AddressOf(const grpc::ServerContextBase& context) const {
  const std::optional<PeerTable::Peer> peer = state_->peers.Find(TokenOf(context));
  return peer.has_value() ? peer->address : "";
}

}  // namespace netsentinel::rpc
