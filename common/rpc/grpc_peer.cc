#include "common/rpc/grpc_peer.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace netsentinel::rpc {

absl::StatusOr<PeerIdentity> PeerAuthority::Identify(const grpc::ServerContextBase& context) const {
  if (insecure_) return PeerIdentity{Role::kViewer, "", false};
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) {
    return absl::UnauthenticatedError("the caller showed no certificate");
  }
  const std::vector<grpc::string_ref> uris = auth->FindPropertyValues("peer_uri");
  if (uris.size() != 1) {
    return absl::UnauthenticatedError(absl::StrCat(
        "the caller's certificate has ", uris.size(),
        " URI names and must have one; issue it with `netsentinelctl certs issue --role ROLE "
        "--name NAME`"));
  }
  return ParsePeerUri(absl::string_view(uris[0].data(), uris[0].size()));
}

absl::StatusOr<PeerIdentity> PeerAuthority::RequireRole(const grpc::ServerContextBase& context,
                                                        std::initializer_list<Role> allowed) const {
  NS_CHECK(allowed.size() > 0, "a call that nobody may make");
  NS_ASSIGN_OR_RETURN(PeerIdentity peer, Identify(context));
  if (!peer.authenticated) {
    peer.role = *allowed.begin();
    return peer;
  }
  for (const Role role : allowed) {
    if (role == peer.role) return peer;
  }
  return absl::PermissionDeniedError(absl::StrCat(
      RoleName(peer.role), " ", peer.id, " may not do this; it takes the role ",
      absl::StrJoin(allowed, " or ",
                    [](std::string* out, Role role) { absl::StrAppend(out, RoleName(role)); })));
}

CertificateMark PeerAuthority::CertificateOf(const grpc::ServerContextBase& context) const {
  if (insecure_) return {};
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) return {};
  const std::vector<grpc::string_ref> pem = auth->FindPropertyValues("x509_pem_cert");
  if (pem.empty()) return {};
  return MarkOf(absl::string_view(pem[0].data(), pem[0].size())).value_or(CertificateMark());
}

std::string PeerAuthority::AddressOf(const grpc::ServerContextBase& context) const {
  const std::string peer = context.peer();
  return std::string(absl::StripPrefix(peer, "ipv4:"));
}

std::string PeerAddress(const grpc::ServerContextBase& context) { return context.peer(); }

}  // namespace netsentinel::rpc
