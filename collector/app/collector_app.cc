#include "collector/app/collector_app.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "collector/app/delivery.h"
#include "collector/app/grpc_collector_service.h"
#include "collector/app/session_limit.h"
#include "collector/poll/aggregator_clock.h"
#include "collector/poll/poll_group.h"
#include "collector/poll/session_budget.h"
#include "common/base/status_macros.h"
#include "common/io/descriptors.h"
#include "common/io/host.h"
#include "common/io/system_clock.h"
#include "common/io/usable_folder.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "common/rpc/peer_identity.h"
#include "common/rpc/tls_files.h"
#include "common/shell/health_follower.h"
#include "common/shell/private_state.h"
#include "common/shell/reload.h"
#include "common/shell/version.h"

namespace netsentinel::app {
namespace {

namespace asio = boost::asio;

// More routers than that are counted and not named in one line.
constexpr std::size_t kNamesMax = 20;
constexpr absl::Duration kServerGrace = absl::Milliseconds(500);
// Polls under way may end by themselves so long, then they are cut off; together with delivery's
// own end this stays below shell::kDrainLimit.
constexpr absl::Duration kPollsEndWithin = absl::Seconds(4);
constexpr absl::Duration kPollsCutWithin = absl::Seconds(1);
constexpr absl::Duration kLoopSilenceMax = absl::Minutes(2);
constexpr std::size_t kWorkers = 2;
constexpr absl::Duration kReconnectMax = absl::Seconds(5);
// A welcome of 20,000 routers with the boundaries of 45 days at six cuts a day.
constexpr int kWelcomeBytesMax = 64 << 20;

// Counts what the poller does, and hands it on.
class PollReporter final : public poll::PollSink {
 public:
  PollReporter(metrics::Registry& metrics, log::Logger& logger, Delivery& delivery)
      : metrics_(metrics),
        logger_(logger),
        delivery_(delivery),
        polls_(metrics.AddCounter("netsentinel_collector_readings_total",
                                  "Complete readings of a queue menu.")),
        boundary_polls_(metrics.AddCounter("netsentinel_collector_boundary_readings_total",
                                           "Readings that stand for a boundary instant.")),
        queues_(metrics.AddCounter("netsentinel_collector_queue_readings_total",
                                   "Queues in complete readings.")),
        pauses_(metrics.AddCounter("netsentinel_collector_host_pauses_total",
                                   "Times this host stood still without its clock noticing.")),
        seconds_(metrics.AddHistogram("netsentinel_collector_poll_seconds",
                                      "How long a router took to answer for one menu.",
                                      metrics::LatencySeconds())) {}

  void OnReading(poll::Reading reading) override {
    polls_.Increment();
    if (reading.at_boundary) boundary_polls_.Increment();
    queues_.Increment(static_cast<double>(reading.queues));
    seconds_.Observe(absl::ToDoubleSeconds(reading.took));
    delivery_.Take(std::move(reading));
  }
  void OnState(const poll::RouterStateReport& report) override {
    const absl::string_view menu =
        report.menu.has_value() ? counters::MenuName(*report.menu) : "all";
    if (report.state == poll::RouterState::kReachable ||
        report.state == poll::RouterState::kStarting) {
      const bool reachable = report.state == poll::RouterState::kReachable;
      logger_.Info(reachable ? "router.reachable" : "router.starting", "state of a router",
                   {{"router", report.router}, {"menu", menu}});
      if (reachable && !report.detail.empty()) {
        logger_.Warn("router.remark", report.detail, {{"router", report.router}, {"menu", menu}});
      }
    } else {
      logger_.Warn("router.trouble", report.detail,
                   {{"router", report.router},
                    {"menu", menu},
                    {"state", poll::RouterStateName(report.state)}});
    }
    delivery_.ReportState(report);
  }
  void OnFailure(const base::RouterId& router, poll::RouterState state) override {
    metrics_
        .AddCounter(
            "netsentinel_collector_poll_failures_total",
            "Connections and polls that failed, by what was wrong.",
            {{"router", router.value()}, {"state", std::string(poll::RouterStateName(state))}})
        .Increment();
    delivery_.ReportFailure(router);
  }
  void OnPause(const poll::PauseNote& note) override {
    if (note.kind == poll::PauseNote::Kind::kHostPaused) {
      pauses_.Increment();
      logger_.Warn("host.paused", note.text, {{"seconds", note.ahead_us / 1'000'000}});
      return;
    }
    logger_.Warn(note.kind == poll::PauseNote::Kind::kRouterAhead ? "router.uptime_jumped"
                                                                  : "router.uptime_unexplained",
                 note.text, {{"router", note.router}, {"seconds", note.ahead_us / 1'000'000}});
  }

 private:
  metrics::Registry& metrics_;
  log::Logger& logger_;
  Delivery& delivery_;
  const metrics::Counter polls_;
  const metrics::Counter boundary_polls_;
  const metrics::Counter queues_;
  const metrics::Counter pauses_;
  const metrics::Histogram seconds_;
};

// Said once at start: these are choices that somebody should know of.
void WarnOfOpenTransports(const std::vector<RouterSettings>& routers, log::Logger& logger) {
  std::vector<absl::string_view> plain, anonymous;
  for (const RouterSettings& router : routers) {
    if (!router.endpoint.use_tls) plain.push_back(router.id.value());
    if (router.endpoint.use_tls && router.endpoint.tls.anonymous) {
      anonymous.push_back(router.id.value());
    }
  }
  const auto warn = [&logger](const char* event, const char* what,
                              std::vector<absl::string_view> names) {
    if (names.empty()) return;
    const std::size_t count = names.size();
    names.resize(std::min(count, kNamesMax));
    logger.Warn(event, what, {{"routers", absl::StrJoin(names, " ")}, {"count", count}});
  };
  warn("routers.plain_api",
       "the plain API sends the password and all counters in clear: use transport: api-ssl", plain);
  warn("routers.anonymous_tls",
       "anonymous TLS lets anybody in between pose as the router: give api-ssl a certificate, and "
       "its pin_sha256 or ca here",
       anonymous);
}

// What /metrics and /readyz show of the delivery; refreshed on its thread.
class DeliveryReporter {
 public:
  DeliveryReporter(shell::Context& context, const Delivery& delivery)
      : readiness_(context.readiness), delivery_(delivery) {
    metrics::Registry& metrics = context.metrics;
    rows_ = metrics.AddGauge("netsentinel_spool_rows", "Snapshots in the spool, kept ones too.");
    waiting_ = metrics.AddGauge("netsentinel_spool_waiting_rows",
                                "Snapshots that wait for an acknowledgement.");
    bytes_ = metrics.AddGauge("netsentinel_spool_bytes", "Payload bytes in the spool.");
    damaged_ = metrics.AddGauge("netsentinel_spool_damaged_rows",
                                "Rows that failed their checksum, since the spool was created.");
    pending_ = metrics.AddGauge("netsentinel_spool_pending_bytes",
                                "Readings in memory because the spool cannot be written.");
    lost_ = metrics.AddCounter("netsentinel_spool_lost_readings_total",
                               "Readings that memory could neither keep nor merge.");
    failing_ = metrics.AddGauge("netsentinel_spool_failing", "1 while it cannot be written.");
    connected_ = metrics.AddGauge("netsentinel_uplink_connected", "1 while snapshots are taken.");
    in_flight_ = metrics.AddGauge("netsentinel_uplink_unacknowledged_bytes",
                                  "Bytes sent and not acknowledged.");
    connects_ = metrics.AddCounter("netsentinel_uplink_connects_total", "Streams begun.");
    frames_ = metrics.AddCounter("netsentinel_uplink_frames_total", "Frames sent.");
    sent_ = metrics.AddCounter("netsentinel_uplink_bytes_total", "Bytes of frames sent.");
    acknowledged_ = metrics.AddCounter("netsentinel_uplink_acknowledged_snapshots_total",
                                       "Snapshots acknowledged.");
    superseded_ = metrics.AddCounter("netsentinel_uplink_superseded_snapshots_total",
                                     "Snapshots acknowledged that counted nothing.");
    refusals_ = metrics.AddCounter("netsentinel_uplink_refusals_total", "Snapshots refused.");
  }

  void Refresh() {
    const DeliveryStatus status = delivery_.status();
    rows_.Set(static_cast<double>(status.spool_stats.rows));
    waiting_.Set(static_cast<double>(status.spool_stats.waiting_rows));
    bytes_.Set(static_cast<double>(status.spool_stats.bytes));
    damaged_.Set(static_cast<double>(status.spool_stats.damaged_rows));
    pending_.Set(static_cast<double>(status.pending_bytes));
    failing_.Set(status.spool.ok() ? 0 : 1);
    connected_.Set(status.connected ? 1 : 0);
    in_flight_.Set(static_cast<double>(status.uplink.in_flight_bytes));
    Grow(lost_, last_lost_, status.lost_readings);
    last_lost_ = status.lost_readings;
    Grow(connects_, last_.connects, status.uplink.connects);
    Grow(frames_, last_.frames_sent, status.uplink.frames_sent);
    Grow(sent_, last_.bytes_sent, status.uplink.bytes_sent);
    Grow(acknowledged_, last_.snapshots_acknowledged, status.uplink.snapshots_acknowledged);
    Grow(superseded_, last_.superseded, status.uplink.superseded);
    Grow(refusals_, last_.refusals, status.uplink.refusals);
    last_ = status.uplink;
    if (status.connected) {
      readiness_.Ready("aggregator");
    } else {
      readiness_.NotReady("aggregator", absl::StrCat(status.trouble, "; trying again"));
    }
    if (status.spool.ok()) {
      readiness_.Ready("spool");
    } else {
      readiness_.NotReady("spool", absl::StrCat(status.spool.message(), "; trying again"));
    }
  }

 private:
  static void Grow(const metrics::Counter& counter, std::uint64_t before, std::uint64_t now) {
    counter.Increment(static_cast<double>(now - before));
  }

  http::Readiness& readiness_;
  const Delivery& delivery_;
  uplink::UplinkStats last_;
  std::uint64_t last_lost_ = 0;
  metrics::Gauge rows_, waiting_, bytes_, damaged_, pending_, failing_, connected_, in_flight_;
  metrics::Counter lost_, connects_, frames_, sent_, acknowledged_, superseded_, refusals_;
};

uplink::AggregatorNames NamesOf(const config::Peer& aggregator) {
  if (aggregator.security.insecure) return {.target = aggregator.target};
  return {.target = aggregator.target,
          .authority_file = aggregator.security.tls.ca,
          .certificate_file = aggregator.security.tls.cert};
}

// All parts of a running collector, in the order of dependence.
class Collector {
 public:
  Collector(const CollectorSettings& settings, shell::Context& context, std::string host_boot_id,
            std::shared_ptr<grpc::Channel> channel)
      : settings_(settings),
        context_(context),
        host_boot_id_(std::move(host_boot_id)),
        descriptors_(static_cast<std::size_t>(io::DescriptorLimit())),
        budget_(context.clock, RouterSessionsMax(descriptors_)),
        aggregator_clock_(context.clock),
        delivery_({.folder = settings.state_dir, .bytes_max = settings.spool_limit},
                  {.collector = settings.id,
                   .software_version = std::string(shell::Version()),
                   .host_boot_id = host_boot_id_,
                   .aggregator = NamesOf(settings.aggregator)},
                  {.channel = std::move(channel),
                   .clock = context.clock,
                   .random = context.random,
                   .logger = context.logger,
                   .aggregator_clock = aggregator_clock_},
                  ToPoller()),
        delivery_reporter_(context, delivery_),
        poll_reporter_(context.metrics, context.logger, delivery_),
        polls_({.executor = io_.get_executor(),
                .clock = context.clock,
                .aggregator_clock = aggregator_clock_,
                .random = context.random,
                .sink = poll_reporter_,
                .budget = &budget_,
                .workers = workers_.get_executor()}),
        authority_(context.clock, context.logger, context.metrics),
        service_([this] { return delivery_.status(); }, authority_),
        work_(asio::make_work_guard(io_)),
        beat_(io_) {}

  absl::Status Run() {
    // Polling into the spool is this process's work, and goes on without an aggregator.
    context_.readiness.MakeAdvisory("aggregator");
    context_.readiness.MakeAdvisory("sessions");
    context_.readiness.NotReady("aggregator", "not connected yet");
    context_.certificates.Add(settings_.aggregator.security);
    context_.certificates.Add(settings_.security);
    delivery_.OnTick([this, &pulse = context_.liveness.AddPulse("delivery", kLoopSilenceMax)] {
      delivery_reporter_.Refresh();
      pulse.Beat();
    });
    NS_RETURN_IF_ERROR(delivery_.Start());
    NS_ASSIGN_OR_RETURN(
        const std::unique_ptr<rpc::Server> server,
        rpc::Server::Start(ServerOptions(), authority_, std::vector<grpc::Service*>{&service_},
                           {context_.clock, context_.random, context_.logger, context_.metrics,
                            context_.readiness, context_.liveness}));
    const shell::HealthFollower health(context_.readiness, *server);
    WarnOfOpenTransports(settings_.routers, context_.logger);
    TakeRouters(settings_);
    Beat(context_.liveness.AddPulse("poll", kLoopSilenceMax));
    std::thread poll_thread([this] { io_.run(); });
    const absl::Status started = context_.started({{"grpc", server->port()}});
    if (started.ok()) WaitForStop();
    StopPolls();
    poll_thread.join();
    // A long reading may still be encoded; its poller waits for that in vain, and outlives it.
    workers_.join();
    delivery_.Stop();
    server->Shutdown(kServerGrace);
    return started;
  }

  rpc::ServerOptions ServerOptions() const {
    rpc::ServerOptions options = rpc::FromListen(settings_.listen, settings_.security);
    options.admits = {rpc::Role::kViewer, rpc::Role::kOperator, rpc::Role::kAdmin};
    return options;
  }

  // Thread-safe.
  void TakeRouters(const CollectorSettings& settings) {
    std::vector<poll::RouterSetup> setups;
    std::vector<base::RouterId> ids;
    for (const RouterSettings& router : settings.routers) {
      setups.push_back(SetupOf(router, host_boot_id_));
      ids.push_back(router.id);
    }
    const std::string words = SayHowManyFit(ids.size());
    delivery_.SetRouters(std::move(ids));
    asio::post(io_, [this, setups = std::move(setups), words]() mutable {
      if (!stopping_) polls_.SetRouters(std::move(setups), words);
    });
  }

 private:
  // What is said of a router that waits for a session, and now when one of so many will.
  std::string SayHowManyFit(std::size_t routers) {
    const std::string words = WaitingWords(routers, descriptors_);
    if (routers <= budget_.sessions()) {
      context_.readiness.Ready("sessions");
      return words;
    }
    const std::string all = absl::StrCat("routers take turns; each ", words);
    context_.readiness.NotReady("sessions", all);
    context_.logger.Warn("routers.take_turns", all,
                         {{"routers", routers}, {"sessions", budget_.sessions()}});
    return words;
  }

  DeliveryCallbacks ToPoller() {
    return {.plan =
                [this](const spool::RouterPlan& plan) {
                  asio::post(io_, [this, plan] {
                    polls_.SetPlan(plan.router, plan.boundary_us,
                                   absl::Milliseconds(plan.poll_interval_ms));
                  });
                },
            .lease =
                [this](const base::RouterId& router, bool may_poll) {
                  asio::post(io_,
                             [this, router, may_poll] { polls_.SetMayPoll(router, may_poll); });
                },
            .floor =
                [this](const base::RouterId& router, std::int64_t attribution_us) {
                  asio::post(io_, [this, router, attribution_us] {
                    polls_.RaiseFloor(router, attribution_us);
                  });
                }};
  }

  void Beat(http::Liveness::Pulse& pulse) {
    pulse.Beat();
    beat_.expires_after(std::chrono::seconds(1));
    beat_.async_wait([this, &pulse](const boost::system::error_code& cancelled) {
      if (!cancelled) Beat(pulse);
    });
  }

  void WaitForStop() {
    base::Mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock<std::mutex> lock(mutex.native());
    changed.wait(lock, context_.stop, [] { return false; });
  }

  void StopPolls() {
    asio::post(io_, [this] {
      stopping_ = true;
      polls_.Stop();
      AwaitPolls(context_.clock.MonotonicNow() + kPollsEndWithin, /*cut=*/true);
    });
  }

  void AwaitPolls(absl::Duration until, bool cut) {
    const bool late = context_.clock.MonotonicNow() >= until;
    if (late && cut) {
      polls_.Abort();
      return AwaitPolls(context_.clock.MonotonicNow() + kPollsCutWithin, /*cut=*/false);
    }
    if (polls_.done() || late) {
      work_.reset();
      io_.stop();
      return;
    }
    beat_.expires_after(std::chrono::milliseconds(20));
    beat_.async_wait(
        [this, until, cut](const boost::system::error_code&) { AwaitPolls(until, cut); });
  }

  const CollectorSettings& settings_;
  shell::Context& context_;
  const std::string host_boot_id_;
  // Polls run here, on one thread.
  asio::io_context io_;
  // Long readings are made here, where they delay no other router.
  asio::thread_pool workers_{kWorkers};
  bool stopping_ = false;
  const std::size_t descriptors_;
  poll::SessionBudget budget_;
  poll::AggregatorClock aggregator_clock_;
  Delivery delivery_;
  DeliveryReporter delivery_reporter_;
  PollReporter poll_reporter_;
  poll::PollGroup polls_;
  rpc::PeerAuthority authority_;
  GrpcCollectorService service_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer beat_;
};

}  // namespace

namespace {

// The files, and that the certificate is this collector's: the aggregator refuses any other.
absl::Status CheckUplinkCertificate(const CollectorSettings& settings, absl::Time now) {
  const config::Security& security = settings.aggregator.security;
  NS_ASSIGN_OR_RETURN(const std::optional<rpc::PeerIdentity> peer,
                      rpc::CheckSecurityAs(security, rpc::Role::kCollector, "aggregator.tls", now,
                                           settings.id.value()));
  if (!peer.has_value()) return absl::OkStatus();
  if (peer->id != settings.id.value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the certificate aggregator.tls.cert ", security.tls.cert, " is for collector \"", peer->id,
        "\", but collector.id is \"", settings.id.value(), "\": make them the same"));
  }
  return absl::OkStatus();
}

// The ids in `some` that are not in `others`, for the log: the first ones when there are many.
std::string IdsWithout(const std::vector<RouterSettings>& some,
                       const std::vector<RouterSettings>& others) {
  constexpr std::size_t kNamed = 50;
  std::set<base::RouterId> known;
  for (const RouterSettings& router : others) known.insert(router.id);
  std::vector<absl::string_view> ids;
  std::size_t more = 0;
  for (const RouterSettings& router : some) {
    if (known.contains(router.id)) continue;
    if (ids.size() < kNamed) {
      ids.push_back(router.id.value());
    } else {
      ++more;
    }
  }
  if (ids.empty()) return "none";
  return absl::StrCat(absl::StrJoin(ids, ", "),
                      more == 0 ? "" : absl::StrCat(" and ", more, " more"));
}

}  // namespace

absl::Status CollectorApp::Check(const CollectorSettings& settings) {
  const absl::Time now = io::SystemClock().WallNow();
  NS_RETURN_IF_ERROR(CheckUplinkCertificate(settings, now));
  NS_RETURN_IF_ERROR(
      rpc::CheckSecurityAs(settings.security, rpc::Role::kCollector, "tls", now).status());
  for (const RouterSettings& router : settings.routers) {
    absl::Status status = config::ReadSecret(router.password).status();
    if (status.ok() && !router.endpoint.tls.ca_file.empty()) {
      status = rpc::CheckAuthorityFile(router.endpoint.tls.ca_file);
    }
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("router ", router.id.value(), ": ", status.message()));
    }
  }
  if (const absl::Status folder = io::CheckUsableFolder(settings.state_dir); !folder.ok()) {
    return absl::Status(folder.code(), absl::StrCat("collector.state_dir: ", folder.message()));
  }
  return absl::OkStatus();
}

absl::Status CollectorApp::Run(const CollectorSettings& settings, shell::Context& context) {
  NS_RETURN_IF_ERROR(shell::MakeStateFolder(settings.state_dir, context.logger));
  NS_ASSIGN_OR_RETURN(std::string host_boot_id, io::HostBootId());
  rpc::ChannelOptions options;
  options.peer = settings.aggregator;
  options.max_reconnect_backoff = kReconnectMax;
  options.max_receive_bytes = kWelcomeBytesMax;
  NS_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                      rpc::MakeChannel(options, context.clock));
  Collector collector(settings, context, std::move(host_boot_id), std::move(channel));
  {
    base::MutexLock lock(mutex_);
    running_ = settings;
    take_routers_ = [&collector](const CollectorSettings& fresh) { collector.TakeRouters(fresh); };
  }
  const absl::Status status = collector.Run();
  base::MutexLock lock(mutex_);
  take_routers_ = nullptr;
  return status;
}

absl::Status CollectorApp::Reload(const CollectorSettings& settings, shell::Context& context) {
  base::MutexLock lock(mutex_);
  if (!take_routers_) return absl::UnavailableError("the collector is stopping");
  shell::KeyChanges changes = {
      {"collector.id", settings.id != running_.id},
      {"collector.state_dir", settings.state_dir != running_.state_dir},
      {"collector.spool_limit", settings.spool_limit != running_.spool_limit},
      {"tls", settings.security != running_.security}};
  shell::AddPeer("aggregator", running_.aggregator, settings.aggregator, changes);
  shell::AddListen(running_.listen, settings.listen, changes);
  NS_RETURN_IF_ERROR(shell::OnlyWithRestart(changes));
  take_routers_(settings);
  const std::string added = IdsWithout(settings.routers, running_.routers);
  const std::string removed = IdsWithout(running_.routers, settings.routers);
  running_.routers = settings.routers;
  context.logger.Info(
      "collector.reloaded", "the list of routers was taken over",
      {{"routers", settings.routers.size()}, {"added", added}, {"removed", removed}});
  return absl::OkStatus();
}

}  // namespace netsentinel::app
