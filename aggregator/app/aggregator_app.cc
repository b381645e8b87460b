#include "aggregator/app/aggregator_app.h"

#include <string>
#include <utility>

#include "aggregator/app/aggregator.h"
#include "common/base/status_macros.h"
#include "common/io/host.h"
#include "common/io/system_clock.h"
#include "common/rpc/tls_files.h"
#include "common/shell/reload.h"

namespace netsentinel::app {

absl::Status AggregatorApp::Check(const AggregatorSettings& settings) {
  const absl::Time now = io::SystemClock().WallNow();
  NS_RETURN_IF_ERROR(
      rpc::CheckSecurityAs(settings.security, rpc::Role::kAggregator, "tls", now).status());
  if (settings.notifier.has_value()) {
    NS_RETURN_IF_ERROR(rpc::CheckSecurityAs(settings.notifier->security, rpc::Role::kAggregator,
                                            "notifier.tls", now)
                           .status());
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
  shell::KeyChanges changes = {
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
      {"retention.history", settings.retention.history_days != running_.retention.history_days}};
  shell::AddListen(running_.listen, settings.listen, changes);
  const absl::Status changeable = shell::OnlyWithRestart(changes);
  note_reload_(changeable);
  NS_RETURN_IF_ERROR(changeable);
  take_policy_(settings);
  context.logger.Info("policy.changed", "the changed configuration is handed to the engine", {});
  return absl::OkStatus();
}

}  // namespace netsentinel::app
