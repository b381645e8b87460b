#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include <boost/asio/any_io_executor.hpp>

#include "collector/poll/router_poller.h"

namespace netsentinel::poll {

// How to read one router. Two that are equal in `fingerprint` need no new session.
struct RouterSetup {
  RouterPollerOptions options;
  std::function<absl::StatusOr<routeros::RouterEndpoint>()> endpoint;
  // Text of everything that was configured for the router.
  std::string fingerprint;
};

// All routers of a collector, each with a loop of its own: one that hangs delays no other. One
// thread, the executor's.
class PollGroup {
 public:
  struct Parts {
    boost::asio::any_io_executor executor;
    const base::Clock& clock;
    const AggregatorClock& aggregator_clock;
    base::RandomSource& random;
    PollSink& sink;
    // As RouterPoller::Parts; must outlive the group.
    SessionBudget* budget = nullptr;
    std::optional<boost::asio::any_io_executor> workers = {};
    // How a router's sessions are made; tests have their own.
    std::function<SessionFactory(const RouterSetup&)> sessions = {};
  };

  explicit PollGroup(Parts parts)
      : parts_(std::move(parts)),
        host_pauses_([this](const PauseNote& note) { parts_.sink.OnPause(note); }) {}

  // Starts new routers, stops those that are gone, and both for those that changed. Of a router
  // that waits for a session `waiting_words` are said.
  void SetRouters(std::vector<RouterSetup> routers, const std::string& waiting_words = "");
  // Kept for routers that are not configured yet.
  void SetPlan(const base::RouterId& router, std::vector<std::int64_t> boundaries_us,
               absl::Duration interval);
  void SetMayPoll(const base::RouterId& router, bool may_poll);
  void RaiseFloor(const base::RouterId& router, std::int64_t attribution_us);
  void Stop();
  void Abort();
  // After Stop: no poll is under way any more.
  bool done();

 private:
  struct Knowledge {
    std::vector<std::int64_t> boundaries_us;
    absl::Duration interval;
    bool may_poll = true;
    std::int64_t floor_us = 0;
  };
  struct Entry {
    std::string fingerprint;
    std::unique_ptr<RouterPoller> poller;
  };

  void StartRouter(RouterSetup setup);
  void Retire(Entry entry);
  void Sweep();

  const Parts parts_;
  HostPauses host_pauses_;
  std::map<base::RouterId, Knowledge> knowledge_;
  std::map<base::RouterId, Entry> routers_;
  std::string waiting_words_;
  // Stopped ones that finish their last poll.
  std::vector<std::unique_ptr<RouterPoller>> retired_;
};

}  // namespace netsentinel::poll
