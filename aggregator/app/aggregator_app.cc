#include "aggregator/app/aggregator_app.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "aggregator/app/lease_watch.h"
#include "aggregator/app/open_store.h"
#include "aggregator/app/policy_text.h"
#include "aggregator/app/reload_log.h"
#include "aggregator/ingest/grpc_ingest_service.h"
#include "aggregator/outbox/dispatcher.h"
#include "aggregator/outbox/grpc_alert_client.h"
#include "aggregator/query/grpc_admin_service.h"
#include "aggregator/query/grpc_audit_service.h"
#include "aggregator/query/grpc_usage_service.h"
#include "common/base/status_macros.h"
#include "common/io/host.h"
#include "common/io/system_clock.h"
#include "common/io/uuid.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "common/rpc/tls_files.h"
#include "common/shell/health_follower.h"
#include "common/shell/private_state.h"
#include "common/shell/reload.h"

namespace netsentinel::app {
namespace {

constexpr absl::Duration kServerGrace = absl::Seconds(2);
constexpr absl::Duration kStandbyRetry = absl::Seconds(1);
constexpr std::size_t kPurgeSlice = 5'000;
constexpr base::BackoffPolicy kStoreBackoff = {.initial = absl::Milliseconds(200),
                                               .maximum = absl::Seconds(5)};
// The engine says at least three times a lease how it is, if only that the store does not answer;
// a call to the store ends after 30 s, and is made three times. A round of the outbox is shorter.
constexpr absl::Duration kLoopSilence = absl::Minutes(5);

// Waits, but not past a stop.
void WaitFor(const std::stop_token& stop, absl::Duration duration) {
  base::Mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock<std::mutex> lock(mutex.native());
  changed.wait_for(lock, stop, absl::ToChronoMilliseconds(duration), [] { return false; });
}

// The connections to the store, one a thread.
struct Stores {
  std::unique_ptr<store::Store> engine, flush, outbox, query, history, admin, keeper;
};

absl::StatusOr<Stores> Connect(store::StoreFactory& factory) {
  Stores stores;
  for (std::unique_ptr<store::Store>* slot :
       {&stores.engine, &stores.flush, &stores.outbox, &stores.query, &stores.history,
        &stores.admin, &stores.keeper}) {
    NS_ASSIGN_OR_RETURN(*slot, factory.Connect());
  }
  return stores;
}

// Everything there is, in the order of dependence. The listener is there before the store, which
// may take any time to come up.
class Aggregator {
 public:
  Aggregator(const AggregatorSettings& settings, shell::Context& context, std::string host_boot_id)
      : settings_(settings),
        context_(context),
        clock_(context.clock, std::move(host_boot_id)),
        instance_(absl::StrCat("aggregator-", io::FormatUuid(io::NewUuid(context.random)))),
        authority_(context.clock, context.logger, context.metrics),
        engine_pulse_(context.liveness.AddPulse("engine", kLoopSilence)),
        outbox_pulse_(context.liveness.AddPulse("outbox", kLoopSilence)),
        lease_watch_(context.readiness, context.clock, settings.store_lease_ttl),
        reader_(book_, query_store_, history_store_, catalog_, clock_, {}, &readings_),
        usage_service_(reader_, board_, authority_, [this] { return Serving(); }),
        admin_service_(
            {.store = admin_store_,
             .catalog = catalog_,
             .clock = clock_,
             .random = context.random,
             .authority = authority_,
             .fence = [this] { return CurrentFence(); },
             .overrides_changed =
                 [this] { WithEngine([](auto& engine) { engine.RefreshOverrides(); }); }}),
        audit_service_({.store = admin_store_,
                        .authority = authority_,
                        .fence = [this] { return CurrentFence(); }}),
        ingest_service_(events_,
                        [this](grpc::CallbackServerContext& call) { return Admit(call); }) {
    catalog_.Set(settings.catalog);
    outbox_pulse_.Stop();
    context_.readiness.NotReady("store", "not opened yet");
    context_.readiness.NotReady("active", "waits for the store");
    // Breaches wait in the outbox while the notifier is away: no reason to stop taking snapshots.
    context_.readiness.MakeAdvisory("notifier");
    // Snapshots are taken and committed while usage rows cannot be written.
    context_.readiness.MakeAdvisory("flush");
    // Snapshots are taken, only what needs to know the day waits.
    context_.readiness.MakeAdvisory("clock");
    context_.certificates.Add(settings.security);
    if (settings.notifier.has_value()) context_.certificates.Add(settings.notifier->security);
  }

  absl::Status Run() {
    NS_ASSIGN_OR_RETURN(
        const std::unique_ptr<rpc::Server> server,
        rpc::Server::Start(ServerOptions(), authority_,
                           std::vector<grpc::Service*>{&ingest_service_, &usage_service_,
                                                       &admin_service_, &audit_service_},
                           {context_.clock, context_.random, context_.logger, context_.metrics,
                            context_.readiness, context_.liveness}));
    const shell::HealthFollower health(context_.readiness, *server);
    NS_RETURN_IF_ERROR(context_.started({{"grpc", server->port()}}));
    const std::stop_callback on_stop(context_.stop,
                                     [this] { WithEngine([](auto& engine) { engine.Stop(); }); });
    absl::Status result = WheneverThere([this] { return OpenStores(); });
    if (result.ok()) {
      MakeEngine();
      result = WheneverThere([this] { return BeActive(); });
    }
    server->Shutdown(kServerGrace);
    return absl::IsCancelled(result) ? absl::OkStatus() : result;
  }

  // Any thread.
  void NoteReload(const absl::Status& outcome) { reload_log_.Note(outcome); }
  // Any thread.
  void TakePolicy(const AggregatorSettings& settings) {
    catalog_.Set(settings.catalog);
    base::MutexLock lock(engine_mutex_);
    changed_policy_ = settings.policy;
    if (running_engine_ != nullptr) running_engine_->SetPolicy(settings.policy);
  }

 private:
  // Tries until it is done, or fails in a way that waiting does not mend; kCancelled after a stop.
  absl::Status WheneverThere(const std::function<absl::Status()>& attempt) {
    base::Backoff backoff(kStoreBackoff, context_.random);
    for (;;) {
      const absl::Status status = attempt();
      engine_pulse_.Beat();
      if (!absl::IsUnavailable(status) && !absl::IsUnknown(status)) return status;
      context_.readiness.NotReady("store", absl::StrCat(status.message(), "; trying again"));
      context_.logger.Warn("store.unreachable", "the store cannot be used; trying again",
                           {{"status", status}});
      WaitFor(context_.stop, backoff.NextDelay());
      if (context_.stop.stop_requested()) {
        return absl::CancelledError("stopped while the store was away");
      }
    }
  }

  absl::Status OpenStores() {
    // Bringing the schema up to date may take long.
    engine_pulse_.Stop();
    if (settings_.store.engine == store::StoreLocation::Engine::kSqlite) {
      shell::CloseDatabaseToOthers(settings_.store.path, context_.logger);
    }
    NS_ASSIGN_OR_RETURN(const std::unique_ptr<store::StoreFactory> factory,
                        OpenStore(settings_, context_.logger));
    NS_ASSIGN_OR_RETURN(stores_, Connect(*factory));
    query_store_.Fill(std::move(stores_.query));
    history_store_.Fill(std::move(stores_.history));
    admin_store_.Fill(std::move(stores_.admin));
    return absl::OkStatus();
  }

  void MakeEngine() {
    flush_worker_.emplace(*stores_.flush);
    engine_.emplace(Parts(), EngineSettings(), settings_.policy);
    base::MutexLock lock(engine_mutex_);
    running_engine_ = &*engine_;
    if (changed_policy_.has_value()) engine_->SetPolicy(*changed_policy_);
    // A stop before this line found nothing to stop.
    if (context_.stop.stop_requested()) engine_->Stop();
  }

  void WithEngine(const std::function<void(ingest::Engine&)>& call) {
    base::MutexLock lock(engine_mutex_);
    if (running_engine_ != nullptr) call(*running_engine_);
  }

  // Once through: lease, policy, engine.
  absl::Status BeActive() {
    NS_ASSIGN_OR_RETURN(const store::Fence fence, TakeLease());
    return Serve(fence);
  }

  ingest::EngineParts Parts() {
    return {.book = book_,
            .store = *stores_.engine,
            .flush_worker = *flush_worker_,
            .events = events_,
            .board = board_,
            .readings = readings_,
            .clock = clock_,
            .random = context_.random,
            .logger = context_.logger,
            .signals = Signals()};
  }

  ingest::EngineSignals Signals() {
    auto& metrics = context_.metrics;
    const auto snapshots = metrics.AddCounter("netsentinel_ingest_snapshots_total",
                                              "Snapshots committed and acknowledged.");
    const auto readings = metrics.AddCounter("netsentinel_ingest_queue_readings_total",
                                             "Queue readings in committed snapshots.");
    const auto refused =
        metrics.AddCounter("netsentinel_ingest_refusals_total", "Snapshots that were refused.");
    const auto rows =
        metrics.AddCounter("netsentinel_store_usage_rows_total", "Usage rows written by flushes.");
    return {.breaches_stored =
                [this] {
                  if (dispatcher_ != nullptr) dispatcher_->Wake();
                },
            .readiness =
                [this](const absl::Status& status) {
                  engine_pulse_.Beat();
                  lease_watch_.Heard();
                  if (status.ok()) {
                    fence_.store(granted_.epoch);
                    context_.readiness.Ready("store");
                  } else {
                    context_.readiness.NotReady("store", status.message());
                  }
                },
            .committed =
                [snapshots, readings](std::size_t count, std::size_t rows_read, absl::Duration) {
                  snapshots.Increment(static_cast<double>(count));
                  readings.Increment(static_cast<double>(rows_read));
                },
            .flushed = [rows](std::size_t count,
                              absl::Duration) { rows.Increment(static_cast<double>(count)); },
            .flushing =
                [this](const absl::Status& status) {
                  if (status.ok()) {
                    context_.readiness.Ready("flush");
                  } else {
                    context_.readiness.NotReady("flush",
                                                absl::StrCat(status.message(), "; trying again"));
                  }
                },
            .refused = [refused](ingest::RefusalReason) { refused.Increment(); },
            .clock =
                [this](const absl::Status& status) {
                  if (status.ok()) {
                    context_.readiness.Ready("clock");
                  } else {
                    context_.readiness.NotReady("clock", status.message());
                  }
                }};
  }

  outbox::DispatcherSettings Outbox() const {
    outbox::DispatcherSettings settings;
    settings.owner = instance_;
    // A stop waits for a call under way, and has shell::kDrainLimit for everything.
    settings.deadline = absl::Seconds(5);
    settings.claim_for = absl::Seconds(10);
    return settings;
  }

  ingest::EngineSettings EngineSettings() const {
    return {.instance = instance_,
            .router_lease_ttl = settings_.router_lease_ttl,
            .store_lease_ttl = settings_.store_lease_ttl,
            .flush_interval = settings_.flush_interval,
            .database_elsewhere = StoreIsElsewhere(settings_.store)};
  }

  // Waits as a standby until the store's lease is ours.
  absl::StatusOr<store::Fence> TakeLease() {
    std::string told;
    while (!context_.stop.stop_requested()) {
      engine_pulse_.Beat();
      const absl::StatusOr<store::LeaseInfo> lease =
          stores_.engine->AcquireLease(instance_, settings_.store_lease_ttl);
      if (lease.ok()) {
        context_.logger.Info("store.lease_taken", "this aggregator is the active one",
                             {{"instance", instance_}, {"fence", lease->fence.epoch}});
        return lease->fence;
      }
      if (!absl::IsUnavailable(lease.status()) && !absl::IsFailedPrecondition(lease.status()) &&
          !absl::IsUnknown(lease.status())) {
        return lease.status();
      }
      context_.readiness.NotReady("active", lease.status().message());
      if (absl::IsFailedPrecondition(lease.status())) {
        // Once for each holder, without the time that is left of its lease.
        const std::string held(
            lease.status().message().substr(0, lease.status().message().find(" for another ")));
        if (held != std::exchange(told, held)) {
          context_.logger.Info("store.standby", absl::StrCat("standing by: ", held),
                               {{"instance", instance_}});
        }
      }
      WaitFor(context_.stop, kStandbyRetry);
    }
    return absl::CancelledError("stopped while standing by");
  }

  absl::Status Serve(store::Fence fence) {
    granted_ = fence;
    context_.readiness.Ready("active");
    NS_ASSIGN_OR_RETURN(ingest::EnginePolicy stored, StoredPolicy(fence));
    std::unique_ptr<outbox::AlertSink> sink;
    std::optional<std::jthread> outbox_thread;
    if (settings_.notifier.has_value()) {
      rpc::ChannelOptions options;
      options.peer = *settings_.notifier;
      NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                          rpc::MakeChannel(options, context_.clock));
      sink = std::make_unique<outbox::GrpcAlertClient>(channel);
      dispatcher_ = std::make_unique<outbox::Dispatcher>(
          *stores_.outbox, *sink, context_.random, Outbox(),
          [this](const absl::Status& status, std::uint64_t) { ReportOutbox(status); });
      dispatcher_->SetFence(fence);
      outbox_pulse_.Beat();
      outbox_thread.emplace([this] {
        dispatcher_->Run();
        outbox_pulse_.Stop();
      });
    }
    std::jthread keeper([this, fence](const std::stop_token& stop) { Keep(stop, fence); });
    lease_watch_.Heard();
    const absl::Status result = engine_->Run(fence, std::move(stored));
    lease_watch_.Rest();
    fence_.store(0);
    keeper.request_stop();
    keeper.join();
    if (dispatcher_ != nullptr) {
      dispatcher_->Stop();
      outbox_thread->join();
    }
    if (result.ok()) stores_.engine->ReleaseLease(instance_, fence).IgnoreError();
    return result;
  }

  // The policy that the store's state was written under. Without one that can be read the
  // configured one is imported and stands for it.
  absl::StatusOr<ingest::EnginePolicy> StoredPolicy(store::Fence fence) {
    NS_ASSIGN_OR_RETURN(const store::PolicyRevision latest, stores_.engine->LatestPolicy());
    if (latest.revision > 0) {
      if (latest.content == settings_.policy.text) return settings_.policy;
      absl::StatusOr<ingest::EnginePolicy> stored = ParsePolicyText(latest.content);
      if (stored.ok()) return stored;
      context_.logger.Warn("policy.unread",
                           "the stored policy revision cannot be read: what waits in the journal is"
                           " counted under the configuration",
                           {{"revision", latest.revision}, {"status", stored.status()}});
    }
    NS_ASSIGN_OR_RETURN(const store::PolicyRevision imported,
                        stores_.engine->ImportPolicy(fence, settings_.policy.text,
                                                     absl::ToUnixMicros(clock_.WallNow())));
    context_.logger.Info("policy.imported", "the configuration is a new policy revision",
                         {{"revision", imported.revision}});
    // Events tell, they do not count.
    stores_.engine
        ->AppendEvents(fence,
                       {{imported.imported_at_us, base::RouterId(), counters::Menu::kSimple, "",
                         "policy_imported",
                         absl::StrCat("the configuration is policy revision ", imported.revision)}})
        .IgnoreError();
    return settings_.policy;
  }

  void ReportOutbox(const absl::Status& status) {
    outbox_pulse_.Beat();
    if (status.ok()) {
      context_.readiness.Ready("notifier");
      return;
    }
    context_.readiness.NotReady("notifier", absl::StrCat(status.message(), "; trying again"));
    context_.logger.Warn("outbox.waiting", "breaches could not be handed over; trying again",
                         {{"status", status}});
  }

  // Deletes what has passed its retention, slowly.
  void Keep(const std::stop_token& stop, store::Fence fence) {
    while (!stop.stop_requested()) {
      const bool agreed = clock_.agreed();
      if (agreed) {
        PurgeOnce({*stores_.keeper, fence, kPurgeSlice}, settings_.retention, clock_.WallNow(),
                  stop, context_.logger);
      }
      WaitFor(stop, agreed ? absl::Hours(1) : absl::Minutes(1));
    }
  }

  std::optional<store::Fence> CurrentFence() const {
    const std::uint64_t epoch = fence_.load();
    if (epoch == 0) return std::nullopt;
    return store::Fence{.epoch = epoch};
  }

  rpc::ServerOptions ServerOptions() const {
    rpc::ServerOptions options = rpc::FromListen(settings_.listen, settings_.security);
    options.admits = {rpc::Role::kCollector, rpc::Role::kNotifier, rpc::Role::kViewer,
                      rpc::Role::kOperator, rpc::Role::kAdmin};
    return options;
  }

  // Whether the Book holds what was counted: not before the engine has read it back.
  absl::Status Serving() const {
    if (CurrentFence().has_value()) return absl::OkStatus();
    return absl::UnavailableError(
        "this aggregator has no figures: it is a standby, waits for its store, or still reads its"
        " journal back; ask the active one, or wait (/readyz says which)");
  }

  absl::StatusOr<base::CollectorId> Admit(grpc::CallbackServerContext& call) const {
    if (!CurrentFence().has_value()) {
      return absl::UnavailableError(
          "this aggregator is a standby or waits for its store; connect to the active one");
    }
    NS_ASSIGN_OR_RETURN(const rpc::PeerIdentity peer,
                        authority_.RequireRole(call, {rpc::Role::kCollector}));
    return base::CollectorId(peer.id);
  }

  const AggregatorSettings& settings_;
  shell::Context& context_;
  // What time it is, for all that speaks of days; certificates and logs keep to the host's own.
  ingest::AgreedClock clock_;
  const std::string instance_;
  rpc::PeerAuthority authority_;
  http::Liveness::Pulse& engine_pulse_;
  http::Liveness::Pulse& outbox_pulse_;
  LeaseWatch lease_watch_;
  // What collectors and operators may act under; 0 unless the engine serves.
  std::atomic<std::uint64_t> fence_{0};
  store::Fence granted_;  // the engine's thread only
  ingest::SharedBook book_;
  ingest::EventQueue events_;
  ingest::RouterBoard board_;
  ingest::ReadingBoard readings_;
  query::CatalogHolder catalog_;
  query::StoreSlot query_store_, history_store_, admin_store_;
  query::UsageReader reader_;
  query::GrpcUsageService usage_service_;
  query::GrpcAdminService admin_service_;
  query::GrpcAuditService audit_service_;
  ingest::GrpcIngestService ingest_service_;
  // From here on once the store is open.
  Stores stores_;
  std::optional<ingest::FlushWorker> flush_worker_;
  std::unique_ptr<outbox::Dispatcher> dispatcher_;
  std::optional<ingest::Engine> engine_;
  base::Mutex engine_mutex_;
  ingest::Engine* running_engine_ ABSL_GUARDED_BY(engine_mutex_) = nullptr;
  std::optional<ingest::EnginePolicy> changed_policy_ ABSL_GUARDED_BY(engine_mutex_);
  ReloadLog reload_log_{admin_store_, [this] { return CurrentFence(); }, clock_, context_.random,
                        context_.logger};
};

}  // namespace

absl::Status AggregatorApp::Check(const AggregatorSettings& settings) {
  const absl::Time now = io::SystemClock().WallNow();
  NS_RETURN_IF_ERROR(rpc::CheckSecurity(settings.security, now));
  if (settings.notifier.has_value()) {
    NS_RETURN_IF_ERROR(rpc::CheckSecurity(settings.notifier->security, now));
  }
  if (settings.store_password.given()) {
    NS_RETURN_IF_ERROR(config::ReadSecret(settings.store_password).status());
  }
  if (!settings.store_ca.empty()) {
    NS_RETURN_IF_ERROR(rpc::CheckAuthorityFile(settings.store_ca));
  }
  accounting::Book book;
  return book.SetPolicy(settings.policy.accounting, /*now_us=*/0);
}

absl::Status AggregatorApp::Run(const AggregatorSettings& settings, shell::Context& context) {
  NS_ASSIGN_OR_RETURN(std::string host_boot_id, io::HostBootId());
  Aggregator aggregator(settings, context, std::move(host_boot_id));
  {
    base::MutexLock lock(mutex_);
    running_ = settings;
    take_policy_ = [&aggregator](const AggregatorSettings& fresh) { aggregator.TakePolicy(fresh); };
    note_reload_ = [&aggregator](const absl::Status& outcome) { aggregator.NoteReload(outcome); };
  }
  const absl::Status status = aggregator.Run();
  base::MutexLock lock(mutex_);
  take_policy_ = nullptr;
  note_reload_ = nullptr;
  return status;
}

absl::Status AggregatorApp::Reload(const AggregatorSettings& settings, shell::Context& context) {
  base::MutexLock lock(mutex_);
  if (take_policy_ == nullptr) return absl::UnavailableError("nothing is running yet");
  const absl::Status changeable = shell::OnlyWithRestart(
      {{"listen.grpc", settings.listen.grpc != running_.listen.grpc},
       {"listen.max_connection_age",
        settings.listen.max_connection_age != running_.listen.max_connection_age},
       {"tls", settings.security != running_.security},
       {"store.url", settings.store_url != running_.store_url},
       {"store.password", settings.store_password != running_.store_password},
       {"store.ca", settings.store_ca != running_.store_ca},
       {"store.flush_interval", settings.flush_interval != running_.flush_interval},
       {"store.lease_ttl", settings.store_lease_ttl != running_.store_lease_ttl},
       {"notifier", settings.notifier != running_.notifier},
       {"router_lease_ttl", settings.router_lease_ttl != running_.router_lease_ttl},
       {"retention.daily", settings.retention.daily_days != running_.retention.daily_days},
       {"retention.monthly",
        settings.retention.monthly_months != running_.retention.monthly_months ||
            settings.retention.monthly_days != running_.retention.monthly_days},
       {"retention.history", settings.retention.history_days != running_.retention.history_days}});
  note_reload_(changeable);
  NS_RETURN_IF_ERROR(changeable);
  take_policy_(settings);
  context.logger.Info("policy.changed", "the changed configuration is handed to the engine", {});
  return absl::OkStatus();
}

}  // namespace netsentinel::app
