#include "notifier/audit/audit_sender.h"

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::audit {
namespace {

constexpr std::size_t kAtATime = 100;
constexpr absl::Duration kLookEvery = absl::Minutes(1);
constexpr char kCondition[] = "audit";

}  // namespace

AuditSender::AuditSender(AuditSenderParts parts, base::BackoffPolicy backoff)
    : parts_(parts), backoff_(backoff, parts.random) {}

void AuditSender::Wake() {
  base::MutexLock lock(mutex_);
  awake_ = true;
  changed_.notify_all();
}

void AuditSender::Wait(absl::Duration duration, const std::stop_token& stop) {
  base::MutexLock lock(mutex_);
  changed_.wait_for(lock.native(), stop,
                    absl::ToChronoMilliseconds(absl::Ceil(duration, absl::Milliseconds(1))),
                    [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return awake_; });
  awake_ = false;
}

void AuditSender::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    parts_.pulse.Beat();
    const absl::Status status = SendAll(stop);
    absl::Duration pause = kLookEvery;
    if (status.ok()) {
      if (failing_) parts_.logger.Info("audit.handed_over", "no audit entry waits any more", {});
      failing_ = false;
      backoff_.Reset();
      parts_.readiness.Ready(kCondition);
    } else {
      pause = backoff_.NextDelay();
      const absl::StatusOr<AuditCounts> counts = parts_.queue.Counts();
      const std::int64_t waiting = counts.ok() ? counts->waiting : 0;
      parts_.readiness.NotReady(
          kCondition, absl::StrCat(waiting, " entries wait for the aggregator: ", status.message(),
                                   "; trying again"));
      if (!failing_) {
        parts_.logger.Warn("audit.waiting", "audit entries could not be handed over; trying again",
                           {{"waiting", waiting}, {"status", status}});
      }
      failing_ = true;
    }
    Wait(pause, stop);
  }
  parts_.pulse.Stop();
}

absl::Status AuditSender::SendAll(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    parts_.pulse.Beat();
    NS_ASSIGN_OR_RETURN(const std::vector<AuditEntry> entries, parts_.queue.Waiting(kAtATime));
    if (entries.empty()) return absl::OkStatus();
    const absl::Status status = parts_.sink.Record(entries);
    if (absl::IsInvalidArgument(status)) {
      NS_RETURN_IF_ERROR(SendOneByOne(entries));
      continue;
    }
    NS_RETURN_IF_ERROR(status);
    NS_RETURN_IF_ERROR(parts_.queue.HandedOver(entries));
  }
  return absl::OkStatus();
}

// One of them will never be taken: the others must not wait behind it.
absl::Status AuditSender::SendOneByOne(const std::vector<AuditEntry>& entries) {
  for (const AuditEntry& entry : entries) {
    const absl::Status status = parts_.sink.Record({entry});
    if (status.ok()) {
      NS_RETURN_IF_ERROR(parts_.queue.HandedOver({entry}));
      continue;
    }
    if (!absl::IsInvalidArgument(status)) return status;
    NS_RETURN_IF_ERROR(parts_.queue.SetAside(entry.entry_id, status.message()));
    parts_.logger.Error("audit.refused",
                        "the aggregator takes an audit entry never: it is kept in audit.db",
                        {{"entry_id", entry.entry_id},
                         {"action", entry.action},
                         {"name", entry.name},
                         {"subject", entry.subject},
                         {"status", status}});
  }
  return absl::OkStatus();
}

}  // namespace netsentinel::audit
