#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

#include "common/base/ids.h"
#include "common/counters/snapshot.h"

namespace netsentinel::poll {

// What a collector can say about its session with a router. Values equal ingest.proto's.
enum class RouterState : std::uint8_t {
  kReachable = 1,
  kUnreachable = 2,
  kLoginRefused = 3,
  kPolicyMissing = 4,
  kTlsRefused = 5,
  kMenuAbsent = 6,
  kIncompleteReply = 7,
  kProtocolError = 8,
  kStarting = 9,
};

// "reachable", "login refused", …
absl::string_view RouterStateName(RouterState state);

// The state of a router, or of one of its menus.
struct RouterStateReport {
  base::RouterId router;
  std::optional<counters::Menu> menu;  // empty: the whole router
  RouterState state = RouterState::kStarting;
  // UTC microseconds on the aggregator's clock as far as known.
  std::int64_t since_us = 0;
  // What happened and what to do about it. Never holds a secret.
  std::string detail;
  counters::DeviceIdentity device;

  bool operator==(const RouterStateReport&) const = default;
};

}  // namespace netsentinel::poll
