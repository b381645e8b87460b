#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/simulator/actions.h"
#include "tools/simulator/router.h"
#include "tools/simulator/simulated_time.h"
#include "tools/simulator/truth_log.h"

namespace netsentinel::simulator {

class Connection;

// Counts the complete snapshots of a menu that began after the waiter came.
struct SnapshotWaiter {
  std::string menu;
  std::int64_t since_boot_us = 0;
  std::uint64_t seen = 0;
};

// What all connections and routers of the process share. Owned by the simulator; one thread.
struct Shared {
  const SimulatedTime& time;
  TruthLog& truth;
  std::uint64_t next_session = 1;
};

// One router as the network sees it. One thread.
class RouterHost {
 public:
  RouterHost(Router router, Shared& shared) : router_(std::move(router)), shared_(shared) {}
  RouterHost(const RouterHost&) = delete;
  RouterHost& operator=(const RouterHost&) = delete;

  Router& router() { return router_; }
  Shared& shared() { return shared_; }

  // Applies an action, logs it with the bytes that moved before it, and cuts connections where the
  // action says so.
  absl::StatusOr<ActionResult> Apply(absl::string_view verb, const Arguments& arguments);
  // A change that a client made.
  void LogClientEvent(const std::string& event);
  // Writes what moved since the last call.
  void LogMoved();
  void LogSnapshot(const SnapshotRecord& record);

  // False when the router takes no more sessions.
  bool Admit() const;
  void Enter(std::shared_ptr<Connection> connection);
  void Leave(const Connection* connection);
  void CutConnections();
  std::size_t connection_count() const { return connections_.size(); }

  std::shared_ptr<SnapshotWaiter> Wait(const std::string& menu);

  // Where it listens; 0 where it does not.
  std::uint16_t api_port = 0;
  std::uint16_t api_ssl_port = 0;

 private:
  Router router_;
  Shared& shared_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::vector<std::weak_ptr<SnapshotWaiter>> waiters_;
};

}  // namespace netsentinel::simulator
