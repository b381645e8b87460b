#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
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

// What a failure of a session or of a menu means for the operator.
RouterState StateOf(const absl::Status& failure);

// Remembers what was said of one router and its menus, and says only what is new. One thread.
class RouterStateTracker {
 public:
  explicit RouterStateTracker(base::RouterId router) : router_(std::move(router)) {}

  // A report when state or detail differ from the last one of the same menu (or of the router).
  // A menu that was never in trouble is not reported as reachable.
  std::optional<RouterStateReport> Update(std::optional<counters::Menu> menu, RouterState state,
                                          const std::string& detail, std::int64_t now_us);
  // What was reported last of the whole router; kStarting when nothing was.
  RouterState StateOfRouter() const;
  // Goes into later reports.
  void SetDevice(const counters::DeviceIdentity& device) { device_ = device; }

 private:
  const base::RouterId router_;
  counters::DeviceIdentity device_;
  std::map<int, RouterStateReport> last_;  // by menu, 0 for the router
};

}  // namespace netsentinel::poll
