#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/app/aggregator.h"
#include "aggregator/app/policy_text.h"
#include "aggregator/app/wait_for.h"
#include "aggregator/outbox/grpc_alert_client.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_channel.h"

// From the lease until it ends: what only the active aggregator does.
namespace netsentinel::app {
namespace {

constexpr absl::Duration kStandbyRetry = absl::Seconds(1);
constexpr std::size_t kPurgeSlice = 5'000;

}  // namespace

absl::Status Aggregator::BeActive() {
  NS_ASSIGN_OR_RETURN(const store::Fence fence, TakeLease());
  return Serve(fence);
}

outbox::DispatcherSettings Aggregator::Outbox() const {
  outbox::DispatcherSettings settings;
  settings.owner = instance_;
  // A stop waits for a call under way, and has shell::kDrainLimit for everything.
  settings.deadline = absl::Seconds(5);
  settings.claim_for = absl::Seconds(10);
  return settings;
}

absl::StatusOr<store::Fence> Aggregator::TakeLease() {
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

absl::Status Aggregator::Serve(store::Fence fence) {
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
    sink = std::make_unique<outbox::GrpcAlertClient>(channel,
                                                     rpc::NamesOf("notifier", *settings_.notifier));
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

absl::StatusOr<ingest::EnginePolicy> Aggregator::StoredPolicy(store::Fence fence) {
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

void Aggregator::ReportOutbox(const absl::Status& status) {
  outbox_pulse_.Beat();
  if (status.ok()) {
    context_.readiness.Ready("notifier");
    return;
  }
  context_.readiness.NotReady("notifier", absl::StrCat(status.message(), "; trying again"));
  context_.logger.Warn("outbox.waiting", "breaches could not be handed over; trying again",
                       {{"status", status}});
}

void Aggregator::Keep(const std::stop_token& stop, store::Fence fence) {
  while (!stop.stop_requested()) {
    const bool agreed = clock_.agreed();
    if (agreed) {
      PurgeOnce({*stores_.keeper, fence, kPurgeSlice}, settings_.retention, clock_.WallNow(), stop,
                context_.logger);
    }
    WaitFor(stop, agreed ? absl::Hours(1) : absl::Minutes(1));
  }
}

}  // namespace netsentinel::app
