#include "collector/routeros/router_error.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"

namespace netsentinel::routeros {
namespace {

constexpr char kPayloadUrl[] = "netsentinel/router-error";

absl::StatusCode CodeOf(RouterError error) {
  switch (error) {
    case RouterError::kUnreachable:
    case RouterError::kClosedByRouter:
      return absl::StatusCode::kUnavailable;
    case RouterError::kLoginRefused:
      return absl::StatusCode::kUnauthenticated;
    case RouterError::kPolicyMissing:
      return absl::StatusCode::kPermissionDenied;
    case RouterError::kTlsRefused:
      return absl::StatusCode::kFailedPrecondition;
    case RouterError::kMenuAbsent:
      return absl::StatusCode::kNotFound;
    case RouterError::kIncompleteReply:
    case RouterError::kRefused:
      return absl::StatusCode::kAborted;
    case RouterError::kProtocolError:
      return absl::StatusCode::kInvalidArgument;
  }
  return absl::StatusCode::kUnknown;
}

}  // namespace

absl::string_view RouterErrorName(RouterError error) {
  switch (error) {
    case RouterError::kUnreachable:
      return "unreachable";
    case RouterError::kLoginRefused:
      return "login refused";
    case RouterError::kPolicyMissing:
      return "policy missing";
    case RouterError::kTlsRefused:
      return "tls refused";
    case RouterError::kMenuAbsent:
      return "menu absent";
    case RouterError::kIncompleteReply:
      return "incomplete reply";
    case RouterError::kProtocolError:
      return "protocol error";
    case RouterError::kClosedByRouter:
      return "closed by router";
    case RouterError::kRefused:
      return "refused";
  }
  return "unknown";
}

absl::Status RouterStatus(RouterError error, absl::string_view message) {
  absl::Status status(CodeOf(error), message);
  status.SetPayload(kPayloadUrl, absl::Cord(std::string(1, static_cast<char>(error))));
  return status;
}

std::optional<RouterError> RouterErrorOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value() || payload->size() != 1) return std::nullopt;
  return static_cast<RouterError>((*payload)[0]);
}

RouterError ClassifyTrap(absl::string_view message) {
  const std::string text = absl::AsciiStrToLower(message);
  if (absl::StrContains(text, "not enough permissions") ||
      absl::StrContains(text, "not enough privileges")) {
    return RouterError::kPolicyMissing;
  }
  if (absl::StrContains(text, "cannot log in") ||
      absl::StrContains(text, "invalid user name or password")) {
    return RouterError::kLoginRefused;
  }
  if (absl::StrContains(text, "no such command")) return RouterError::kMenuAbsent;
  return RouterError::kRefused;
}

}  // namespace netsentinel::routeros
