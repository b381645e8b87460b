#include "notifier/delivery/delivery_worker.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::delivery {
namespace {

// The loop turns at least this often, so that a step of the wall clock is noticed.
constexpr absl::Duration kLongestWait = absl::Seconds(10);
constexpr absl::Duration kAfterQueueFailure = absl::Seconds(5);
constexpr absl::Duration kPurgeEvery = absl::Hours(6);

}  // namespace

void Wakeup::Wake() {
  base::MutexLock lock(mutex_);
  awake_ = true;
  changed_.notify_all();
}

void Wakeup::Wait(absl::Duration timeout, const std::stop_token& stop) {
  base::MutexLock lock(mutex_);
  changed_.wait_for(lock.native(), stop,
                    absl::ToChronoMilliseconds(absl::Ceil(timeout, absl::Milliseconds(1))),
                    [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return awake_; });
  awake_ = false;
}

DeliveryWorker::DeliveryWorker(const WorkerParts& parts, const RetryPolicy& policy)
    : parts_(parts), policy_(policy), channel_name_(parts.channel.name()) {
  const auto counter = [&](const char* result) {
    return parts_.metrics.AddCounter("netsentinel_notifier_attempts_total",
                                     "Attempts to deliver, by what came of them.",
                                     {{"channel", channel_name_}, {"result", result}});
  };
  delivered_ = counter("delivered");
  retried_ = counter("retry");
  parked_ = counter("parked");
}

void DeliveryWorker::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    parts_.pulse.Beat();
    const absl::Duration wait = RunOnce(stop);
    parts_.wakeup.Wait(std::clamp(wait, absl::ZeroDuration(), kLongestWait), stop);
  }
  parts_.pulse.Stop();
}

void DeliveryWorker::Unblock() {
  unblock_ = true;
  parts_.wakeup.Wake();
}

absl::Duration DeliveryWorker::RunOnce(const std::stop_token& stop) {
  absl::StatusOr<absl::Duration> wait = Work(stop);
  if (wait.ok()) {
    if (queue_failing_)
      parts_.logger.Info("delivery.queue_works", "the delivery queue works again");
    queue_failing_ = false;
    parts_.readiness.Ready("queue");
    return *wait;
  }
  if (!queue_failing_) {
    parts_.logger.Error("delivery.queue_failed",
                        "the delivery queue cannot be used; trying again every 5 s, nothing that "
                        "was accepted is lost",
                        {{"error", wait.status()}});
  }
  queue_failing_ = true;
  parts_.readiness.NotReady("queue", wait.status().message());
  return kAfterQueueFailure;
}

absl::StatusOr<absl::Duration> DeliveryWorker::Work(const std::stop_token& stop) {
  PurgeSometimes(parts_.clock.WallNow());
  while (true) {
    const absl::Time now = parts_.clock.WallNow();
    NS_ASSIGN_OR_RETURN(const absl::Time look_again, parts_.desk.FormLetters(now));
    if (unblock_.exchange(false)) rest_until_ = absl::ZeroDuration();
    const absl::Duration rest = rest_until_ - parts_.clock.MonotonicNow();
    if (stop.stop_requested()) return absl::ZeroDuration();
    if (rest > absl::ZeroDuration()) return std::min(rest, look_again - now);
    NS_ASSIGN_OR_RETURN(const std::optional<Task> task, parts_.queue.Claim(channel_name_, now));
    if (!task.has_value()) {
      parts_.channel.Rest();
      NS_ASSIGN_OR_RETURN(const absl::Time next, parts_.queue.NextDueTime(channel_name_));
      return std::min(next, look_again) - now;
    }
    NS_RETURN_IF_ERROR(Deliver(*task));
    parts_.pulse.Beat();
  }
}

absl::Status DeliveryWorker::Deliver(const Task& task) {
  const channel::SendResult result = parts_.channel.Send(task.letter, task.recipient);
  const bool channel_failed = result.outcome == channel::Outcome::kChannelDown ||
                              result.outcome == channel::Outcome::kMisconfigured;
  channel_failures_ = channel_failed ? channel_failures_ + 1 : 0;
  const absl::Time now = parts_.clock.WallNow();
  const NextStep next = PlanNext(result.outcome,
                                 {.attempts = task.attempts,
                                  .age = std::max(absl::ZeroDuration(), now - task.made),
                                  .channel_failures = channel_failures_},
                                 policy_);
  if (channel_failed) rest_until_ = parts_.clock.MonotonicNow() + next.channel_rest;
  Report(task, result, next);
  return parts_.queue.Finish(task, next, result.detail, now);
}

void DeliveryWorker::Report(const Task& task, const channel::SendResult& result,
                            const NextStep& next) {
  if (next.channel_rest > absl::ZeroDuration()) {
    const bool misconfigured = result.outcome == channel::Outcome::kMisconfigured;
    parts_.readiness.NotReady(
        channel_name_,
        absl::StrCat(result.detail, "; trying again in ", absl::FormatDuration(next.channel_rest),
                     misconfigured ? ", or after a restart" : ""));
    if (misconfigured || channel_failures_ == 1) {
      parts_.logger.Error(
          misconfigured ? "delivery.channel_misconfigured" : "delivery.channel_down",
          "no mail can be sent now; what waits stays in the queue",
          {{"channel", channel_name_},
           {"detail", result.detail},
           {"waiting", task.letter.subject}});
    }
  } else {
    parts_.readiness.Ready(channel_name_);
  }
  switch (next.step) {
    case Step::kDone:
      delivered_.Increment();
      parts_.logger.Info("delivery.delivered", "a mail was accepted",
                         {{"delivery", task.delivery_id},
                          {"recipient", task.recipient},
                          {"subject", task.letter.subject},
                          {"attempts", task.attempts}});
      break;
    case Step::kTryAgain:
      retried_.Increment();
      if (next.channel_rest == absl::ZeroDuration()) {
        parts_.logger.Warn("delivery.retry", "a mail was not accepted and is sent again later",
                           {{"delivery", task.delivery_id},
                            {"recipient", task.recipient},
                            {"detail", result.detail},
                            {"attempts", task.attempts},
                            {"next_in", next.delay}});
      }
      break;
    case Step::kPark:
      parked_.Increment();
      parts_.logger.Error("delivery.parked",
                          "a mail was given up; see its detail, and ListDeliveries for all",
                          {{"delivery", task.delivery_id},
                           {"recipient", task.recipient},
                           {"subject", task.letter.subject},
                           {"detail", result.detail}});
      break;
  }
}

void DeliveryWorker::PurgeSometimes(absl::Time now) {
  const absl::Duration monotonic = parts_.clock.MonotonicNow();
  if (monotonic < purge_at_) return;
  purge_at_ = monotonic + kPurgeEvery;
  if (const absl::Status purged = parts_.queue.Purge(now); !purged.ok()) {
    parts_.logger.Warn("delivery.purge_failed", "old deliveries could not be removed",
                       {{"error", purged}});
  }
}

}  // namespace netsentinel::delivery
