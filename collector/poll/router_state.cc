#include "collector/poll/router_state.h"

namespace netsentinel::poll {

absl::string_view RouterStateName(RouterState state) {
  switch (state) {
    case RouterState::kReachable:
      return "reachable";
    case RouterState::kUnreachable:
      return "unreachable";
    case RouterState::kLoginRefused:
      return "login refused";
    case RouterState::kPolicyMissing:
      return "policy missing";
    case RouterState::kTlsRefused:
      return "TLS refused";
    case RouterState::kMenuAbsent:
      return "menu absent";
    case RouterState::kIncompleteReply:
      return "incomplete reply";
    case RouterState::kProtocolError:
      return "protocol error";
    case RouterState::kStarting:
      return "starting";
  }
  return "unknown";
}

}  // namespace netsentinel::poll
