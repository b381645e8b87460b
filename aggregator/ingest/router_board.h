#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "aggregator/ingest/messages.h"
#include "common/base/mutex.h"

namespace netsentinel::ingest {

// What collectors last said of one router.
struct RouterStanding {
  base::RouterId router;
  base::CollectorId collector;  // that holds the lease; empty when none does
  std::uint64_t lease_epoch = 0;
  RouterState state = RouterState::kUnknown;
  std::string detail;
  std::int64_t since_us = 0;
  counters::DeviceIdentity device;
  struct MenuStanding {
    RouterState state = RouterState::kUnknown;
    std::string detail;
    std::uint64_t last_sequence = 0;
  };
  std::map<counters::Menu, MenuStanding> menus;
};

// The routers' states for whoever asks. Written by the engine, thread-safe. Holds nothing of
// routers the policy does not name.
class RouterBoard {
 public:
  // Routers named here are shown from now on, others are forgotten.
  void SetRouters(const std::vector<base::RouterId>& routers);
  void SetLease(const base::RouterId& router, const base::CollectorId& collector,
                std::uint64_t epoch);
  void SetState(const RouterStateMessage& message);
  // The router's collector has gone: its last state stays, with the words.
  void SetDisconnected(const base::RouterId& router, std::int64_t at_us);
  void SetApplied(const base::RouterId& router, counters::Menu menu, std::uint64_t sequence);
  // A refusal is shown until a snapshot is applied or another state comes.
  void SetRefused(const base::RouterId& router, counters::Menu menu, const std::string& detail);

  std::vector<RouterStanding> All() const;

 private:
  mutable base::Mutex mutex_;
  std::map<base::RouterId, RouterStanding> routers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::ingest
