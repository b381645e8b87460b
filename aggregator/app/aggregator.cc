#include "aggregator/app/aggregator.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "aggregator/app/open_store.h"
#include "aggregator/app/wait_for.h"
#include "common/base/status_macros.h"
#include "common/io/uuid.h"
#include "common/shell/health_follower.h"
#include "common/shell/private_state.h"
namespace netsentinel::app {
namespace {

constexpr absl::Duration kServerGrace = absl::Seconds(2);
constexpr absl::Duration kSchemaLogPause = absl::Seconds(10);
constexpr base::BackoffPolicy kStoreBackoff = {.initial = absl::Milliseconds(200),
                                               .maximum = absl::Seconds(5)};
// The engine says at least three times a lease how it is, if only that the store does not answer;
// a call to the store ends after 30 s, and is made three times. A round of the outbox is shorter.
constexpr absl::Duration kLoopSilence = absl::Minutes(5);

absl::StatusOr<Stores> Connect(store::StoreFactory& factory) {
  Stores stores;
  for (std::unique_ptr<store::Store>* slot :
       {&stores.engine, &stores.flush, &stores.outbox, &stores.query, &stores.history,
        &stores.admin, &stores.keeper}) {
    NS_ASSIGN_OR_RETURN(*slot, factory.Connect());
  }
  return stores;
}

}  // namespace

Aggregator::Aggregator(const AggregatorSettings& settings, shell::Context& context,
                       std::string host_boot_id)
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
      admin_service_({.store = admin_store_,
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
      ingest_service_(events_, [this](grpc::CallbackServerContext& call) { return Admit(call); }) {
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

absl::Status Aggregator::Run() {
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

void Aggregator::TakePolicy(const AggregatorSettings& settings) {
  catalog_.Set(settings.catalog);
  base::MutexLock lock(engine_mutex_);
  changed_policy_ = settings.policy;
  if (running_engine_ != nullptr) running_engine_->SetPolicy(settings.policy);
}

absl::Status Aggregator::WheneverThere(const std::function<absl::Status()>& attempt) {
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

absl::Status Aggregator::OpenStores() {
  // Bringing the schema up to date may take long.
  engine_pulse_.Stop();
  if (settings_.store.engine == store::StoreLocation::Engine::kSqlite) {
    shell::CloseDatabaseToOthers(settings_.store.path, context_.logger);
  }
  NS_ASSIGN_OR_RETURN(const std::unique_ptr<store::StoreFactory> factory,
                      OpenStore(settings_, SchemaHooks()));
  NS_ASSIGN_OR_RETURN(stores_, Connect(*factory));
  query_store_.Fill(std::move(stores_.query));
  history_store_.Fill(std::move(stores_.history));
  admin_store_.Fill(std::move(stores_.admin));
  return absl::OkStatus();
}

store::MigrationHooks Aggregator::SchemaHooks() {
  store::MigrationHooks hooks;
  hooks.holder = instance_;
  hooks.lease_ttl = settings_.store_lease_ttl;
  hooks.wait = [this](absl::Duration duration) {
    if (duration > absl::ZeroDuration()) WaitFor(context_.stop, duration);
    return !context_.stop.stop_requested();
  };
  hooks.tell = [this, waits = false,
                told = clock_.MonotonicNow()](const store::SchemaChange& change) mutable {
    using Kind = store::SchemaChange::Kind;
    context_.readiness.NotReady("store", change.text);
    const absl::Duration now = clock_.MonotonicNow();
    if (change.kind == Kind::kWaits && std::exchange(waits, true)) return;
    if (change.kind == Kind::kGoesOn && now - told < kSchemaLogPause) return;
    told = now;
    context_.logger.Info(change.kind == Kind::kWaits ? "store.schema_waits" : "store.schema",
                         change.text, {{"instance", instance_}});
  };
  return hooks;
}

void Aggregator::MakeEngine() {
  flush_worker_.emplace(*stores_.flush);
  engine_.emplace(Parts(), EngineSettings(), settings_.policy);
  base::MutexLock lock(engine_mutex_);
  running_engine_ = &*engine_;
  if (changed_policy_.has_value()) engine_->SetPolicy(*changed_policy_);
  // A stop before this line found nothing to stop.
  if (context_.stop.stop_requested()) engine_->Stop();
}

void Aggregator::WithEngine(const std::function<void(ingest::Engine&)>& call) {
  base::MutexLock lock(engine_mutex_);
  if (running_engine_ != nullptr) call(*running_engine_);
}

ingest::EngineParts Aggregator::Parts() {
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

ingest::EngineSignals Aggregator::Signals() {
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

ingest::EngineSettings Aggregator::EngineSettings() const {
  return {.instance = instance_,
          .router_lease_ttl = settings_.router_lease_ttl,
          .store_lease_ttl = settings_.store_lease_ttl,
          .flush_interval = settings_.flush_interval,
          .database_elsewhere = StoreIsElsewhere(settings_.store)};
}

std::optional<store::Fence> Aggregator::CurrentFence() const {
  const std::uint64_t epoch = fence_.load();
  if (epoch == 0) return std::nullopt;
  return store::Fence{.epoch = epoch};
}

rpc::ServerOptions Aggregator::ServerOptions() const {
  rpc::ServerOptions options = rpc::FromListen(settings_.listen, settings_.security);
  options.admits = {rpc::Role::kCollector, rpc::Role::kNotifier, rpc::Role::kViewer,
                    rpc::Role::kOperator, rpc::Role::kAdmin};
  return options;
}

absl::Status Aggregator::Serving() const {
  if (CurrentFence().has_value()) return absl::OkStatus();
  return absl::UnavailableError(
      "this aggregator has no figures: it is a standby, waits for its store, or still reads its"
      " journal back; ask the active one, or wait (/readyz says which)");
}

absl::StatusOr<base::CollectorId> Aggregator::Admit(grpc::CallbackServerContext& call) const {
  if (!CurrentFence().has_value()) {
    return absl::UnavailableError(
        "this aggregator is a standby or waits for its store; connect to the active one");
  }
  NS_ASSIGN_OR_RETURN(const rpc::PeerIdentity peer,
                      authority_.RequireRole(call, {rpc::Role::kCollector}));
  return base::CollectorId(peer.id);
}

}  // namespace netsentinel::app
