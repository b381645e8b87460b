#include "tools/simulator/router_host.h"

#include <algorithm>
#include <utility>

#include "tools/simulator/connection.h"

namespace netsentinel::simulator {

absl::StatusOr<ActionResult> RouterHost::Apply(absl::string_view verb, const Arguments& arguments) {
  const std::int64_t now_us = shared_.time.NowUs();
  const std::uint64_t uptime_s = router_.engine().UptimeSeconds(now_us);
  // Moves are aggregated, looking changes nothing: neither is an event.
  const bool logged = verb != "move" && verb != "show";
  if (logged) {
    router_.engine().AdvanceTo(now_us);
    LogMoved();
  }
  absl::StatusOr<ActionResult> result = ApplyAction(router_, verb, arguments, now_us);
  if (!result.ok()) return result;
  if (logged) {
    shared_.truth.Event(router_.id(), shared_.time.Now(), uptime_s, verb, arguments);
  }
  if (result->cut_connections) CutConnections();
  return result;
}

void RouterHost::LogClientEvent(const std::string& event) {
  LogMoved();
  Arguments arguments;
  arguments.Set("command", event);
  shared_.truth.Event(router_.id(), shared_.time.Now(),
                      router_.engine().UptimeSeconds(shared_.time.NowUs()), "client", arguments);
}

void RouterHost::LogMoved() {
  shared_.truth.Moved(router_.id(), shared_.time.Now(), router_.engine().TakeMoved());
}

void RouterHost::LogSnapshot(const SnapshotRecord& record) {
  shared_.truth.Snapshot(record);
  std::erase_if(waiters_, [](const auto& waiter) { return waiter.expired(); });
  if (!record.complete || record.served.count_only) return;
  for (const auto& weak : waiters_) {
    const std::shared_ptr<SnapshotWaiter> waiter = weak.lock();
    if (waiter != nullptr && waiter->menu == record.served.menu &&
        record.begin.boot_us >= waiter->since_boot_us) {
      ++waiter->seen;
    }
  }
}

std::shared_ptr<SnapshotWaiter> RouterHost::Wait(const std::string& menu) {
  auto waiter = std::make_shared<SnapshotWaiter>();
  waiter->menu = menu;
  waiter->since_boot_us = shared_.time.Now().boot_us;
  waiters_.push_back(waiter);
  return waiter;
}

bool RouterHost::Admit() const {
  return connections_.size() < router_.spec().max_sessions &&
         !router_.engine().Away(shared_.time.NowUs());
}

void RouterHost::Enter(std::shared_ptr<Connection> connection) {
  connections_.push_back(std::move(connection));
}

void RouterHost::Leave(const Connection* connection) {
  std::erase_if(connections_, [connection](const auto& each) { return each.get() == connection; });
}

void RouterHost::CutConnections() {
  // Close lets the coroutines of a connection end, which call Leave later.
  for (const auto& connection : connections_) connection->Close();
}

}  // namespace netsentinel::simulator
