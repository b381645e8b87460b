#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "aggregator/app/lease_watch.h"
#include "aggregator/app/settings.h"
#include "aggregator/ingest/engine.h"
#include "aggregator/ingest/grpc_ingest_service.h"
#include "aggregator/outbox/dispatcher.h"
#include "aggregator/query/grpc_admin_service.h"
#include "aggregator/query/grpc_audit_service.h"
#include "aggregator/query/grpc_usage_service.h"
#include "aggregator/store/migration.h"
#include "common/base/mutex.h"
#include "common/rpc/grpc_server.h"
#include "common/shell/shell.h"
namespace netsentinel::app {

// The connections to the store, one a thread.
struct Stores {
  std::unique_ptr<store::Store> engine, flush, outbox, query, history, admin, keeper;
};

// The aggregator's parts, in the order of dependence, and its run. The listener is there before the
// store, which may take any time to come up.
class Aggregator final {
 public:
  Aggregator(const AggregatorSettings& settings, shell::Context& context, std::string host_boot_id);
  Aggregator(const Aggregator&) = delete;
  Aggregator& operator=(const Aggregator&) = delete;

  // Serves until a stop, or until waiting does not mend what is wrong.
  absl::Status Run();

  // A policy that the configuration has now. Any thread.
  void TakePolicy(const AggregatorSettings& settings);

 private:
  // Tries until it is done, or fails in a way that waiting does not mend; kCancelled after a stop.
  absl::Status WheneverThere(const std::function<absl::Status()>& attempt);
  absl::Status OpenStores();
  // Says where a change of the schema is, and ends it with a stop.
  store::MigrationHooks SchemaHooks();
  void MakeEngine();
  void WithEngine(const std::function<void(ingest::Engine&)>& call);
  ingest::EngineParts Parts();
  ingest::EngineSignals Signals();
  ingest::EngineSettings EngineSettings() const;
  rpc::ServerOptions ServerOptions() const;
  std::optional<store::Fence> CurrentFence() const;
  // Whether the Book holds what was counted: not before the engine has read it back.
  absl::Status Serving() const;
  absl::StatusOr<base::CollectorId> Admit(grpc::CallbackServerContext& call) const;

  // aggregator_active.cc
  // Once through: lease, policy, engine.
  absl::Status BeActive();
  // Waits as a standby until the store's lease is ours.
  absl::StatusOr<store::Fence> TakeLease();
  absl::Status Serve(store::Fence fence);
  // The policy that the store's state was written under. Without one that can be read the
  // configured one is imported and stands for it.
  absl::StatusOr<ingest::EnginePolicy> StoredPolicy(store::Fence fence);
  outbox::DispatcherSettings Outbox() const;
  void ReportOutbox(const absl::Status& status);
  // Deletes what has passed its retention, slowly.
  void Keep(const std::stop_token& stop, store::Fence fence);

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
};

}  // namespace netsentinel::app
