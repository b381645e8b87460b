#include "aggregator/ingest/router_board.h"

#include <set>

#include "absl/strings/str_cat.h"

namespace netsentinel::ingest {

void RouterBoard::SetRouters(const std::vector<base::RouterId>& routers) {
  base::MutexLock lock(mutex_);
  const std::set<base::RouterId> wanted(routers.begin(), routers.end());
  std::erase_if(routers_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  for (const base::RouterId& router : routers) {
    RouterStanding& standing = routers_[router];
    if (standing.router.empty()) {
      standing.router = router;
      standing.detail = "no collector has connected for this router yet";
    }
  }
}

void RouterBoard::SetLease(const base::RouterId& router, const base::CollectorId& collector,
                           std::uint64_t epoch) {
  base::MutexLock lock(mutex_);
  const auto entry = routers_.find(router);
  if (entry == routers_.end()) return;
  entry->second.collector = collector;
  entry->second.lease_epoch = epoch;
}

void RouterBoard::SetState(const RouterStateMessage& message) {
  base::MutexLock lock(mutex_);
  const auto entry = routers_.find(message.router);
  if (entry == routers_.end()) return;
  RouterStanding& standing = entry->second;
  if (message.menu.has_value()) {
    standing.menus[*message.menu].state = message.state;
    standing.menus[*message.menu].detail = message.detail;
    return;
  }
  standing.state = message.state;
  standing.detail = message.detail;
  standing.since_us = message.since_us;
  if (!(message.device == counters::DeviceIdentity{})) standing.device = message.device;
}

void RouterBoard::SetDisconnected(const base::RouterId& router, std::int64_t at_us) {
  base::MutexLock lock(mutex_);
  const auto entry = routers_.find(router);
  if (entry == routers_.end()) return;
  RouterStanding& standing = entry->second;
  standing.state = RouterState::kUnknown;
  standing.since_us = at_us;
  standing.detail =
      absl::StrCat("collector ", standing.collector.value(),
                   " is not connected: check that it runs and reaches this aggregator");
  standing.collector = base::CollectorId();
}

void RouterBoard::SetApplied(const base::RouterId& router, counters::Menu menu,
                             std::uint64_t sequence) {
  base::MutexLock lock(mutex_);
  const auto entry = routers_.find(router);
  if (entry == routers_.end()) return;
  entry->second.menus[menu] = {
      .state = RouterState::kReachable, .detail = "", .last_sequence = sequence};
}

void RouterBoard::SetRefused(const base::RouterId& router, counters::Menu menu,
                             const std::string& detail) {
  base::MutexLock lock(mutex_);
  const auto entry = routers_.find(router);
  if (entry == routers_.end()) return;
  entry->second.menus[menu].state = RouterState::kProtocolError;
  entry->second.menus[menu].detail = detail;
}

std::vector<RouterStanding> RouterBoard::All() const {
  base::MutexLock lock(mutex_);
  std::vector<RouterStanding> all;
  all.reserve(routers_.size());
  for (const auto& [id, standing] : routers_) all.push_back(standing);
  return all;
}

}  // namespace netsentinel::ingest
