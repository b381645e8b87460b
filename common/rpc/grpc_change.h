#pragma once

#include <string>

#include "absl/status/status.h"

#include "common/rpc/grpc_peer.h"

// What the audit log tells of a change beside what it is.
namespace netsentinel::rpc {

// What the caller says about it.
struct ChangeReason {
  std::string reason;        // at most 1,024 bytes
  std::string on_behalf_of;  // at most 255
};

// kInvalidArgument when one is too long.
absl::Status Validate(const ChangeReason& said);

// Who asks for it, as this server verified.
struct Asker {
  std::string role;         // "local" for one that need not show a certificate
  std::string name;         // in the certificate
  std::string serial;       // of the certificate
  std::string fingerprint;  // of the certificate, SHA-256
  std::string address;
};
Asker AskerOf(const PeerAuthority& authority, const grpc::ServerContextBase& context,
              const PeerIdentity& caller);

}  // namespace netsentinel::rpc
