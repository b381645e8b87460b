#include "collector/poll/router_state.h"

#include "collector/routeros/router_error.h"

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

RouterState StateOf(const absl::Status& failure) {
  using routeros::RouterError;
  switch (routeros::RouterErrorOf(failure).value_or(RouterError::kUnreachable)) {
    case RouterError::kUnreachable:
    case RouterError::kClosedByRouter:
      return RouterState::kUnreachable;
    case RouterError::kLoginRefused:
      return RouterState::kLoginRefused;
    case RouterError::kPolicyMissing:
      return RouterState::kPolicyMissing;
    case RouterError::kTlsRefused:
      return RouterState::kTlsRefused;
    case RouterError::kMenuAbsent:
      return RouterState::kMenuAbsent;
    case RouterError::kIncompleteReply:
    case RouterError::kRefused:
      return RouterState::kIncompleteReply;
    case RouterError::kProtocolError:
      return RouterState::kProtocolError;
  }
  return RouterState::kUnreachable;
}

RouterState RouterStateTracker::StateOfRouter() const {
  const auto last = last_.find(0);
  return last == last_.end() ? RouterState::kStarting : last->second.state;
}

std::optional<RouterStateReport> RouterStateTracker::Update(std::optional<counters::Menu> menu,
                                                            RouterState state,
                                                            const std::string& detail,
                                                            std::int64_t now_us) {
  const int key = menu.has_value() ? static_cast<int>(*menu) : 0;
  const auto last = last_.find(key);
  if (last == last_.end() && menu.has_value() && state == RouterState::kReachable &&
      detail.empty()) {
    return std::nullopt;
  }
  const bool same_state = last != last_.end() && last->second.state == state;
  if (same_state && last->second.detail == detail && last->second.device == device_) {
    return std::nullopt;
  }
  RouterStateReport report{.router = router_,
                           .menu = menu,
                           .state = state,
                           .since_us = same_state ? last->second.since_us : now_us,
                           .detail = detail,
                           .device = device_};
  last_[key] = report;
  return report;
}

}  // namespace netsentinel::poll
