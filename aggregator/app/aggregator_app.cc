#include "aggregator/app/aggregator_app.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "aggregator/app/open_store.h"
#include "aggregator/app/policy_text.h"
#include "aggregator/ingest/grpc_ingest_service.h"
#include "aggregator/outbox/dispatcher.h"
#include "aggregator/outbox/grpc_alert_client.h"
#include "aggregator/query/grpc_admin_service.h"
#include "aggregator/query/grpc_usage_service.h"
#include "common/base/status_macros.h"
#include "common/io/uuid.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"

namespace netsentinel::app {
namespace {

constexpr absl::Duration kServerGrace = absl::Seconds(2);
constexpr absl::Duration kStandbyRetry = absl::Seconds(1);
constexpr std::size_t kPurgeSlice = 5'000;

// Waits, but not past a stop.
void WaitFor(const std::stop_token& stop, absl::Duration duration) {
  base::Mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock<std::mutex> lock(mutex.native());
  changed.wait_for(lock, stop, absl::ToChronoMilliseconds(duration), [] { return false; });
}

// The connections to the store, one a thread.
struct Stores {
  std::unique_ptr<store::Store> engine, flush, outbox, query, admin, keeper;
};

absl::StatusOr<Stores> Connect(store::StoreFactory& factory) {
  Stores stores;
  for (std::unique_ptr<store::Store>* slot : {&stores.engine, &stores.flush, &stores.outbox,
                                              &stores.query, &stores.admin, &stores.keeper}) {
    NS_ASSIGN_OR_RETURN(*slot, factory.Connect());
  }
  return stores;
}

// Opens the store, however long it takes to come up.
absl::StatusOr<std::unique_ptr<store::StoreFactory>> OpenWhenThere(
    const AggregatorSettings& settings, shell::Context& context) {
  base::Backoff backoff({.initial = absl::Milliseconds(200), .maximum = absl::Seconds(5)},
                        context.random);
  for (;;) {
    absl::StatusOr<std::unique_ptr<store::StoreFactory>> factory = OpenStore(settings);
    if (factory.ok() || !absl::IsUnavailable(factory.status())) return factory;
    context.readiness.NotReady("store", absl::StrCat(factory.status().message(), "; trying again"));
    context.logger.Warn("store.unreachable", "the store cannot be opened; trying again",
                        {{"status", factory.status()}});
    WaitFor(context.stop, backoff.NextDelay());
    if (context.stop.stop_requested())
      return absl::CancelledError("stopped while opening the store");
  }
}

// Everything between the store and the listeners, in the order of dependence.
class Aggregator {
 public:
  Aggregator(const AggregatorSettings& settings, shell::Context& context, Stores stores)
      : settings_(settings),
        context_(context),
        stores_(std::move(stores)),
        instance_(absl::StrCat("aggregator-", io::FormatUuid(io::NewUuid(context.random)))),
        authority_(settings.security.insecure),
        flush_worker_(*stores_.flush),
        reader_(book_, *stores_.query, catalog_, context.clock),
        usage_service_(reader_, board_, authority_),
        admin_service_({.store = *stores_.admin,
                        .catalog = catalog_,
                        .clock = context.clock,
                        .authority = authority_,
                        .fence = [this] { return CurrentFence(); },
                        .overrides_changed = [this] { engine_.RefreshOverrides(); }}),
        ingest_service_(events_, [this](grpc::CallbackServerContext& call) { return Admit(call); }),
        engine_(Parts(), EngineSettings(), settings.policy) {
    catalog_.Set(settings.catalog);
  }

  absl::Status Run() {
    NS_ASSIGN_OR_RETURN(
        const std::unique_ptr<rpc::Server> server,
        rpc::Server::Start(
            {.address = settings_.listen.grpc,
             .security = settings_.security,
             .max_connection_age = settings_.listen.max_connection_age},
            std::vector<grpc::Service*>{&ingest_service_, &usage_service_, &admin_service_},
            context_.clock, context_.logger));
    NS_RETURN_IF_ERROR(context_.started({{"grpc", server->port()}}));
    const std::stop_callback on_stop(context_.stop, [this] { engine_.Stop(); });
    const absl::StatusOr<store::Fence> fence = TakeLease();
    absl::Status result = fence.status();
    if (fence.ok()) result = Serve(*fence);
    server->SetServing(false);
    server->Shutdown(kServerGrace);
    return absl::IsCancelled(result) ? absl::OkStatus() : result;
  }

  void TakePolicy(const AggregatorSettings& settings) {
    catalog_.Set(settings.catalog);
    engine_.SetPolicy(settings.policy);
  }

 private:
  ingest::EngineParts Parts() {
    return {.book = book_,
            .store = *stores_.engine,
            .flush_worker = flush_worker_,
            .events = events_,
            .board = board_,
            .clock = context_.clock,
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
                  if (status.ok()) {
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
            .refused = [refused](ingest::RefusalReason) { refused.Increment(); }};
  }

  ingest::EngineSettings EngineSettings() const {
    return {.instance = instance_,
            .router_lease_ttl = settings_.router_lease_ttl,
            .store_lease_ttl = settings_.store_lease_ttl,
            .flush_interval = settings_.flush_interval};
  }

  // Waits as a standby until the store's lease is ours.
  absl::StatusOr<store::Fence> TakeLease() {
    while (!context_.stop.stop_requested()) {
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
      WaitFor(context_.stop, kStandbyRetry);
    }
    return absl::CancelledError("stopped while standing by");
  }

  absl::Status Serve(store::Fence fence) {
    fence_.store(fence.epoch);
    context_.readiness.Ready("active");
    NS_ASSIGN_OR_RETURN(std::optional<ingest::EnginePolicy> stored, StoredPolicy(fence));
    std::unique_ptr<outbox::AlertSink> sink;
    std::optional<std::jthread> outbox_thread;
    if (settings_.notifier.has_value()) {
      rpc::ChannelOptions options;
      options.peer = *settings_.notifier;
      NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                          rpc::MakeChannel(options, context_.clock));
      sink = std::make_unique<outbox::GrpcAlertClient>(channel);
      dispatcher_ = std::make_unique<outbox::Dispatcher>(
          *stores_.outbox, *sink, context_.random, outbox::DispatcherSettings{.owner = instance_},
          [this](const absl::Status& status, std::uint64_t) { ReportOutbox(status); });
      dispatcher_->SetFence(fence);
      outbox_thread.emplace([this] { dispatcher_->Run(); });
    }
    std::jthread keeper([this, fence](const std::stop_token& stop) { Keep(stop, fence); });
    const absl::Status result = engine_.Run(fence, std::move(stored));
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

  // The policy that the store's state was written under, where it is another than the configured
  // one. Without one that can be read the configured one is imported and stands for it.
  absl::StatusOr<std::optional<ingest::EnginePolicy>> StoredPolicy(store::Fence fence) {
    NS_ASSIGN_OR_RETURN(const store::PolicyRevision latest, stores_.admin->LatestPolicy());
    if (latest.revision > 0) {
      if (latest.content == settings_.policy.text) return std::nullopt;
      absl::StatusOr<ingest::EnginePolicy> stored = ParsePolicyText(latest.content);
      if (stored.ok()) return *std::move(stored);
      context_.logger.Warn("policy.unread",
                           "the stored policy revision cannot be read: what waits in the journal is"
                           " counted under the configuration",
                           {{"revision", latest.revision}, {"status", stored.status()}});
    }
    NS_ASSIGN_OR_RETURN(const store::PolicyRevision imported,
                        stores_.admin->ImportPolicy(fence, settings_.policy.text,
                                                    absl::ToUnixMicros(context_.clock.WallNow())));
    context_.logger.Info("policy.imported", "the configuration is a new policy revision",
                         {{"revision", imported.revision}});
    // Events tell, they do not count.
    stores_.admin
        ->AppendEvents(fence,
                       {{imported.imported_at_us, base::RouterId(), counters::Menu::kSimple, "",
                         "policy_imported",
                         absl::StrCat("the configuration is policy revision ", imported.revision)}})
        .IgnoreError();
    return std::nullopt;
  }

  void ReportOutbox(const absl::Status& status) {
    if (status.ok()) {
      context_.readiness.Ready("notifier");
      return;
    }
    context_.readiness.NotReady("notifier", absl::StrCat(status.message(), "; trying again"));
    context_.logger.Warn("outbox.waiting", "breaches could not be handed over; trying again",
                         {{"status", status}});
  }

  // Calls until nothing more goes.
  template <typename Slice>
  void Purge(const std::stop_token& stop, Slice slice) {
    for (std::size_t gone = 1; gone > 0 && !stop.stop_requested();) {
      const absl::StatusOr<std::size_t> purged = slice();
      if (!purged.ok()) {
        context_.logger.Warn("store.purge_failed", "old rows could not be deleted; trying later",
                             {{"status", purged.status()}});
      }
      gone = purged.value_or(0);
    }
  }

  // Deletes what has passed its retention, slowly.
  void Keep(const std::stop_token& stop, store::Fence fence) {
    while (!stop.stop_requested()) {
      const absl::CivilDay before =
          absl::ToCivilDay(context_.clock.WallNow(), absl::UTCTimeZone()) -
          settings_.daily_retention_days;
      const std::int64_t history_us = absl::ToUnixMicros(
          context_.clock.WallNow() - absl::Hours(24) * settings_.history_retention_days);
      Purge(stop, [&] { return stores_.keeper->PurgeDaily(fence, before, kPurgeSlice); });
      Purge(stop, [&] { return stores_.keeper->PurgeHistory(fence, history_us, kPurgeSlice); });
      WaitFor(stop, absl::Hours(1));
    }
  }

  std::optional<store::Fence> CurrentFence() const {
    const std::uint64_t epoch = fence_.load();
    if (epoch == 0) return std::nullopt;
    return store::Fence{.epoch = epoch};
  }

  absl::StatusOr<base::CollectorId> Admit(grpc::CallbackServerContext& call) const {
    if (!CurrentFence().has_value()) {
      return absl::UnavailableError("this aggregator stands by; connect to the active one");
    }
    NS_ASSIGN_OR_RETURN(const rpc::PeerIdentity peer,
                        authority_.RequireRole(call, {rpc::Role::kCollector}));
    return base::CollectorId(peer.id);
  }

  const AggregatorSettings& settings_;
  shell::Context& context_;
  Stores stores_;
  const std::string instance_;
  rpc::PeerAuthority authority_;
  std::atomic<std::uint64_t> fence_{0};
  ingest::SharedBook book_;
  ingest::EventQueue events_;
  ingest::RouterBoard board_;
  ingest::FlushWorker flush_worker_;
  query::CatalogHolder catalog_;
  query::UsageReader reader_;
  query::GrpcUsageService usage_service_;
  query::GrpcAdminService admin_service_;
  ingest::GrpcIngestService ingest_service_;
  std::unique_ptr<outbox::Dispatcher> dispatcher_;
  ingest::Engine engine_;
};

}  // namespace

absl::Status AggregatorApp::Check(const AggregatorSettings& settings) {
  if (settings.store_password.given()) {
    NS_RETURN_IF_ERROR(config::ReadSecret(settings.store_password).status());
  }
  accounting::Book book;
  return book.SetPolicy(settings.policy.accounting, /*now_us=*/0);
}

absl::Status AggregatorApp::Run(const AggregatorSettings& settings, shell::Context& context) {
  absl::StatusOr<std::unique_ptr<store::StoreFactory>> factory = OpenWhenThere(settings, context);
  if (absl::IsCancelled(factory.status())) return absl::OkStatus();
  NS_RETURN_IF_ERROR(factory.status());
  NS_ASSIGN_OR_RETURN(Stores stores, Connect(**factory));
  Aggregator aggregator(settings, context, std::move(stores));
  {
    base::MutexLock lock(mutex_);
    running_store_url_ = settings.store_url;
    take_policy_ = [&aggregator](const AggregatorSettings& fresh) { aggregator.TakePolicy(fresh); };
  }
  const absl::Status status = aggregator.Run();
  base::MutexLock lock(mutex_);
  take_policy_ = nullptr;
  return status;
}

absl::Status AggregatorApp::Reload(const AggregatorSettings& settings, shell::Context& context) {
  base::MutexLock lock(mutex_);
  if (take_policy_ == nullptr) return absl::UnavailableError("nothing is running yet");
  if (settings.store_url != running_store_url_) {
    return absl::FailedPreconditionError("store.url cannot change while running: restart");
  }
  take_policy_(settings);
  context.logger.Info("policy.changed", "the changed configuration is handed to the engine", {});
  return absl::OkStatus();
}

}  // namespace netsentinel::app
