#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "collector/poll/aggregator_clock.h"
#include "collector/poll/host_pause.h"
#include "collector/poll/router_session.h"
#include "collector/poll/router_state.h"
#include "collector/poll/schedule.h"
#include "collector/poll/session_budget.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

namespace netsentinel::poll {

// One complete reading of one menu, encoded by counters::EncodeSelfContained.
struct Reading {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::int64_t attribution_us = 0;
  bool at_boundary = false;
  std::string payload;
  // For metrics.
  std::size_t queues = 0;
  absl::Duration took;
};

// Where readings and states go; called on the poller's thread, must not block.
class PollSink {
 public:
  virtual ~PollSink() = default;
  virtual void OnReading(Reading reading) = 0;
  virtual void OnState(const RouterStateReport& report) = 0;
  // A poll or connection that failed.
  virtual void OnFailure(const base::RouterId& router, RouterState state) = 0;
  // An uptime ran ahead: what it was taken for.
  virtual void OnPause(const PauseNote& note) = 0;
};

struct RouterPollerOptions {
  base::RouterId router;
  std::vector<counters::Menu> menus;
  absl::Duration interval = absl::Seconds(30);
  // Names the boot of this host (io::HostBootId).
  std::string host_boot_id;
  absl::Duration connect_deadline = absl::Seconds(30);
  routeros::Patience patience = {};
  absl::Duration device_refresh = absl::Hours(6);
  base::BackoffPolicy unreachable = {.initial = absl::Milliseconds(500),
                                     .maximum = absl::Seconds(60)};
  // A refused login, certificate or policy mends no faster than a person does, and routers put who
  // knocks too often on a list: this long at least, up to the maximum.
  absl::Duration refused_pause = absl::Seconds(5);
  base::BackoffPolicy refused = {.initial = absl::Seconds(5), .maximum = absl::Minutes(5)};
};

// Reads one router on its cadence and at its boundaries, over one session that it keeps. What goes
// wrong is reported and tried again after a jittered pause; one menu that fails leaves the other
// alone. The router is reachable when a menu of it was read: a login alone betters no state, and a
// poll that brought no reading worsens it. All members on one thread, the executor's.
class RouterPoller {
 public:
  struct Parts {
    boost::asio::any_io_executor executor;
    SessionFactory sessions;
    const base::Clock& clock;
    const AggregatorClock& aggregator_clock;
    base::RandomSource& random;
    PollSink& sink;
    // Of all routers that this host reads.
    HostPauses& host_pauses;
    // Null: as many sessions as there are routers. Must outlive the poller.
    SessionBudget* budget = nullptr;
    // Where long readings are encoded; without one, on the executor.
    std::optional<boost::asio::any_io_executor> workers = {};
  };

  RouterPoller(RouterPollerOptions options, Parts parts);
  RouterPoller(const RouterPoller&) = delete;
  RouterPoller& operator=(const RouterPoller&) = delete;
  // Must have ended (done()), or its executor must run nothing any more.
  ~RouterPoller();

  void Start();
  // Ends after the poll under way; then done().
  void Stop();
  // Also cuts off the poll under way.
  void Abort();
  bool done() const { return done_; }

  // Ascending instants of the aggregator's clock; an interval of 0 leaves the configured one.
  void SetPlan(std::vector<std::int64_t> boundaries_us, absl::Duration interval);
  // What is said of the router while it waits for others to give a session up.
  void SetWaitingWords(std::string words) { waiting_words_ = std::move(words); }
  // False: the session is closed and nothing is read until it is true again.
  void SetMayPoll(bool may_poll);
  // No reading may count for an earlier instant: the newest of an earlier run.
  void RaiseFloor(std::int64_t attribution_us);

 private:
  struct MenuReader {
    counters::Menu menu;
    std::unique_ptr<counters::DescriptorTable> table;
    std::unique_ptr<routeros::QueueMenuReader> reader;
    // The boundary at hand, once it was read at it.
    std::int64_t served_boundary_us = 0;
  };

  boost::asio::awaitable<void> Run();
  // Waits for a change of what is to be done, at most so long.
  boost::asio::awaitable<void> Sleep(absl::Duration duration);
  // True when the router may have a session now; otherwise it has waited a while for one.
  boost::asio::awaitable<bool> AwaitTurn();
  boost::asio::awaitable<bool> Connect();
  boost::asio::awaitable<void> RefreshDevice();
  boost::asio::awaitable<void> PollOnce(const NextPoll& poll);
  // False when the session is lost.
  // True when every menu was read at it, or it was tried twice over a living session.
  bool Served(std::int64_t boundary_us);
  boost::asio::awaitable<bool> PollMenu(MenuReader& menu, const NextPoll& poll);
  // Waits, at most until the next poll is due, for what other routers tell.
  boost::asio::awaitable<PauseJudgement> JudgePause(const UptimeReading& reading);
  boost::asio::awaitable<void> Deliver(MenuReader& menu, routeros::QueueReply reply,
                                       counters::SnapshotHeader header);
  void TakeDevice(routeros::DeviceReport report);
  void LeaveBudget();
  NextPoll Next();
  void MakeReader(MenuReader& menu);
  void DropSession();
  absl::Duration PauseAfter(const absl::Status& failure);
  void Failed(std::optional<counters::Menu> menu, const absl::Status& status);
  void Report(std::optional<counters::Menu> menu, RouterState state, const std::string& detail);
  std::int64_t NowUs() const { return absl::ToUnixMicros(aggregator_clock_.Now().time); }
  void Wake();

  const RouterPollerOptions options_;
  const SessionFactory sessions_;
  const base::Clock& clock_;
  const AggregatorClock& aggregator_clock_;
  PollSink& sink_;
  HostPauses& host_pauses_;
  const boost::asio::any_io_executor executor_;
  SessionBudget* const budget_;
  const std::optional<boost::asio::any_io_executor> workers_;
  boost::asio::steady_timer timer_;
  RouterStateTracker states_;
  base::Backoff unreachable_;
  base::Backoff refused_;
  std::vector<MenuReader> menus_;

  std::unique_ptr<RouterSession> session_;
  std::uint64_t session_id_ = 0;
  counters::DeviceIdentity device_;
  absl::Duration device_read_at_;
  std::string device_remark_;
  std::string waiting_words_ = "waits for a session that another router has";
  // What the last poll of a menu failed with, and whether any menu was read in this poll.
  absl::Status last_failure_;
  bool any_read_ = false;

  std::vector<std::int64_t> boundaries_us_;
  absl::Duration interval_;
  std::int64_t phase_us_ = 0;
  std::int64_t last_poll_us_ = 0;
  std::int64_t served_boundary_us_ = 0;
  std::int64_t tried_boundary_us_ = 0;
  absl::Duration last_took_;
  std::int64_t floor_us_ = 0;
  bool may_poll_ = true;
  bool stopping_ = false;
  bool done_ = true;
};

}  // namespace netsentinel::poll
