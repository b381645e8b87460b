#include "notifier/delivery/delivery_worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::delivery {
namespace {

// The loop turns at least this often, so that a step of the wall clock is noticed.
constexpr absl::Duration kLongestSleep = absl::Seconds(10);
constexpr absl::Duration kAfterQueueFailure = absl::Seconds(5);
constexpr absl::Duration kPurgeEvery = absl::Hours(6);
// After this long without a delivery the channel is asked whether one could be made.
constexpr absl::Duration kProbeAfter = absl::Minutes(5);
// While nobody's mails pass: so many attempts, then a rest.
constexpr int kAttemptsBetweenRests = 10;
constexpr absl::Duration kRestWhileNobodyPasses = absl::Minutes(1);
// Whose mails passed within it is known again after a restart.
constexpr absl::Duration kRemembered = absl::Hours(24);

bool ChannelFailed(channel::Outcome outcome) {
  return outcome == channel::Outcome::kChannelDown || outcome == channel::Outcome::kMisconfigured;
}

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

metrics::Counter DamagedCounter(metrics::Registry& metrics) {
  return metrics.AddCounter(
      "netsentinel_notifier_damaged_total",
      "Times that a stored alert, mail or file was found damaged and was set aside.");
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
  damaged_ = DamagedCounter(parts_.metrics);
}

void DeliveryWorker::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    parts_.pulse.Beat();
    const absl::Duration wait = RunOnce(stop);
    parts_.wakeup.Wait(std::clamp(wait, absl::ZeroDuration(), kLongestSleep), stop);
  }
  // Else the next process sends again what this one has sent.
  if (const absl::Status written = WriteResult(); !written.ok()) {
    parts_.logger.Error("delivery.result_lost",
                        "what came of the last mail could not be stored; it is sent again",
                        {{"error", written}});
  }
  parts_.pulse.Stop();
}

void DeliveryWorker::Unblock() {
  unblock_ = true;
  parts_.wakeup.Wake();
}

absl::Duration DeliveryWorker::RunOnce(const std::stop_token& stop) {
  absl::StatusOr<absl::Duration> wait = Work(stop);
  if (parts_.queue.damaged()) {
    const absl::Status repaired = RepairIfDamaged();
    wait = repaired.ok() ? Work(stop) : absl::StatusOr<absl::Duration>(repaired);
  }
  if (wait.ok()) {
    ShowQueueWorks();
    return *wait;
  }
  ReportIncidents();
  ShowForming(forming_failure_);
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

void DeliveryWorker::ShowQueueWorks() {
  ReportIncidents();
  ShowForming(forming_failure_);
  if (queue_failing_) parts_.logger.Info("delivery.queue_works", "the delivery queue works again");
  queue_failing_ = false;
  parts_.readiness.Ready("queue");
}

absl::Status DeliveryWorker::RepairIfDamaged() {
  const absl::Time now = parts_.clock.WallNow();
  absl::Status repaired = parts_.queue.Repair(now);
  // What was claimed is known to be unfinished, unless its result waits to be written.
  if (repaired.ok() && !result_.has_value()) repaired = parts_.queue.ReleaseClaims(now);
  return repaired;
}

void DeliveryWorker::ReportIncidents() {
  for (const std::string& incident : parts_.queue.TakeIncidents()) {
    damaged_.Increment();
    parts_.logger.Error("delivery.damaged", incident);
  }
}

void DeliveryWorker::RestorePassage() {
  if (passage_restored_) return;
  const absl::Time now = parts_.clock.WallNow();
  const absl::StatusOr<std::vector<RecipientState>> states =
      parts_.queue.Recipients(channel_name_, now - kRemembered);
  if (!states.ok()) return;
  for (const RecipientState& state : *states) {
    passage_.Restore(state.recipient,
                     {.passed_at = state.passed_at,
                      .put_off_since = state.put_off_since,
                      .given_up_at = state.given_up_at,
                      .detail = state.detail},
                     now);
  }
  passage_restored_ = true;
}

void DeliveryWorker::FormLetters(absl::Time now, bool anyway) {
  const std::uint64_t changes = parts_.queue.alert_changes();
  if (!anyway && now < form_at_ && changes == formed_changes_ && forming_failure_.ok()) return;
  const Forming forming = parts_.desk.FormLetters(now);
  forming_failure_ = forming.failure;
  formed_changes_ = changes;
  form_at_ = forming.look_again;
}

absl::StatusOr<absl::Duration> DeliveryWorker::Work(const std::stop_token& stop) {
  PurgeSometimes(parts_.clock.WallNow());
  NS_RETURN_IF_ERROR(WriteResult());
  // A claim whose outcome is not known; nothing is claimed here now.
  if (queue_failing_) NS_RETURN_IF_ERROR(parts_.queue.ReleaseClaims(parts_.clock.WallNow()));
  if (!passage_restored_) NS_RETURN_IF_ERROR(parts_.desk.TellAnew(parts_.clock.WallNow()));
  RestorePassage();
  for (bool first = true;; first = false) {
    const absl::Time now = parts_.clock.WallNow();
    if (unblock_.exchange(false)) {
      rest_until_ = absl::ZeroDuration();
      probe_at_ = absl::ZeroDuration();
      passage_ = Passage();
      put_off_in_a_row_ = 0;
      NS_RETURN_IF_ERROR(parts_.desk.TellAnew(now));
      NS_RETURN_IF_ERROR(parts_.queue.Hasten(channel_name_, now));
    }
    FormLetters(now, first);
    if (stop.stop_requested()) return absl::ZeroDuration();
    const absl::Duration rest = rest_until_ - parts_.clock.MonotonicNow();
    if (rest > absl::ZeroDuration()) return std::min(rest, form_at_ - now);
    NS_ASSIGN_OR_RETURN(const std::optional<Task> task, parts_.queue.Claim(channel_name_, now));
    // What waits may take hours: the queue is in order now.
    ShowQueueWorks();
    if (!task.has_value()) {
      // A damaged mail may have become alerts again.
      if (parts_.queue.alert_changes() != formed_changes_) continue;
      parts_.channel.Rest();
      NS_ASSIGN_OR_RETURN(const absl::Time next, parts_.queue.NextDueTime(channel_name_));
      return std::min(std::min(next, form_at_) - now, ProbeSometimes(stop));
    }
    NS_RETURN_IF_ERROR(Deliver(*task, stop));
    parts_.pulse.Beat();
  }
}

absl::Status DeliveryWorker::Deliver(const Task& task, const std::stop_token& stop) {
  const channel::SendResult result = parts_.channel.Send(task.letter, task.recipient);
  stopping_ = stop.stop_requested();
  const absl::Time now = parts_.clock.WallNow();
  const absl::Duration rest = NotePassage(task, result);
  const NextStep next = Judge(result,
                              {.attempts = task.attempts,
                               .passing = task.passing,
                               .others_pass = passage_.OthersPass(task.recipient, now)},
                              task.letter.subject);
  if (next.step == Step::kPark) {
    passage_.GaveUp(task.recipient, result.detail, now);
    ShowChannel();
  }
  if (rest > absl::ZeroDuration()) {
    rest_until_ = std::max(rest_until_, parts_.clock.MonotonicNow() + rest);
  }
  Report(task, result, next);
  result_ = TaskResult{.row = task.row, .next = next, .detail = result.detail, .at = now};
  return WriteResult();
}

absl::Duration DeliveryWorker::NotePassage(const Task& task, const channel::SendResult& result) {
  if (ChannelFailed(result.outcome)) return absl::ZeroDuration();
  const absl::Time now = parts_.clock.WallNow();
  if (result.outcome == channel::Outcome::kDelivered) {
    passage_.Passed(task.recipient, now);
    put_off_in_a_row_ = 0;
    return absl::ZeroDuration();
  }
  // The first "later" of a server that greylists is nothing to show.
  const bool shown = result.outcome != channel::Outcome::kRetry || task.attempts > 1;
  passage_.PutOff(task.recipient, result.detail, shown, now);
  ++put_off_in_a_row_;
  const bool rests = put_off_in_a_row_ % kAttemptsBetweenRests == 0 && passage_.NobodyPasses(now);
  return rests ? kRestWhileNobodyPasses : absl::ZeroDuration();
}

absl::Status DeliveryWorker::WriteResult() {
  if (!result_.has_value()) return absl::OkStatus();
  NS_RETURN_IF_ERROR(parts_.queue.Finish(*result_));
  result_.reset();
  return absl::OkStatus();
}

absl::Duration DeliveryWorker::ProbeSometimes(const std::stop_token& stop) {
  const absl::Duration left = probe_at_ - parts_.clock.MonotonicNow();
  if (left > absl::ZeroDuration()) return left;
  const channel::SendResult result = parts_.channel.Probe();
  stopping_ = stop.stop_requested();
  Judge(result, {}, "");
  return std::max(rest_until_, probe_at_) - parts_.clock.MonotonicNow();
}

NextStep DeliveryWorker::Judge(const channel::SendResult& result, AttemptHistory history,
                               absl::string_view waiting) {
  const bool failed = ChannelFailed(result.outcome);
  channel_failures_ = failed ? channel_failures_ + 1 : 0;
  history.channel_failures = channel_failures_;
  const NextStep next = PlanNext(result.outcome, history, policy_);
  const absl::Duration now = parts_.clock.MonotonicNow();
  if (!failed) {
    probe_at_ = now + kProbeAfter;
    ShowChannel();
    return next;
  }
  // The next turn after the rest delivers or probes.
  rest_until_ = now + next.channel_rest;
  probe_at_ = rest_until_;
  const bool misconfigured = result.outcome == channel::Outcome::kMisconfigured;
  parts_.readiness.NotReady(
      channel_name_,
      absl::StrCat(result.detail, "; trying again in ", absl::FormatDuration(next.channel_rest),
                   misconfigured ? ", or at once after SIGHUP" : ""));
  // What a stop has cut off tells nothing of the server.
  if (!stopping_ && (misconfigured || channel_failures_ == 1)) {
    parts_.logger.Error(
        misconfigured ? "delivery.channel_misconfigured" : "delivery.channel_down",
        "no mail can be sent now; what waits stays in the queue",
        {{"channel", channel_name_}, {"detail", result.detail}, {"waiting", waiting}});
  }
  return next;
}

void DeliveryWorker::ShowChannel() {
  const std::string sentence = passage_.Sentence(parts_.clock.WallNow());
  if (sentence.empty()) {
    parts_.readiness.Ready(channel_name_);
  } else {
    parts_.readiness.NotReady(channel_name_, sentence);
  }
}

void DeliveryWorker::ShowForming(const absl::Status& failure) {
  if (failure.ok()) {
    parts_.readiness.Ready("alerts");
    shown_forming_failure_.clear();
    return;
  }
  const std::string sentence =
      absl::StrCat("some alerts cannot become mails yet, they wait: ", failure.message());
  parts_.readiness.NotReady("alerts", sentence);
  if (sentence != shown_forming_failure_) parts_.logger.Error("delivery.forming_failed", sentence);
  shown_forming_failure_ = sentence;
}

void DeliveryWorker::Report(const Task& task, const channel::SendResult& result,
                            const NextStep& next) {
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
      if (!ChannelFailed(result.outcome)) {
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
      parts_.logger.Error(
          "delivery.parked",
          "a mail was given up; if its address is wrong, correct it and reload: an alert that "
          "nobody got is sent again then",
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
