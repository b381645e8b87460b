#include "common/rpc/grpc_change.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::rpc {
namespace {

constexpr std::size_t kMaxReasonBytes = 1'024;
constexpr std::size_t kMaxOnBehalfOfBytes = 255;

absl::Status CheckLength(const char* what, const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": has ", text.size(), " bytes, at most ", limit, " fit"));
}

}  // namespace

absl::Status Validate(const ChangeReason& said) {
  NS_RETURN_IF_ERROR(CheckLength("reason", said.reason, kMaxReasonBytes));
  return CheckLength("on_behalf_of", said.on_behalf_of, kMaxOnBehalfOfBytes);
}

Asker AskerOf(const PeerAuthority& authority, const grpc::ServerContextBase& context,
              const PeerIdentity& caller) {
  CertificateMark certificate = authority.CertificateOf(context);
  return {.role = caller.authenticated ? std::string(RoleName(caller.role)) : "local",
          .name = caller.id,
          .serial = std::move(certificate.serial),
          .fingerprint = std::move(certificate.fingerprint),
          .address = authority.AddressOf(context)};
}

}  // namespace netsentinel::rpc
