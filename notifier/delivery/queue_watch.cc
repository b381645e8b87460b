#include "notifier/delivery/queue_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace netsentinel::delivery {
namespace {

// One mail may take this long before it is shown.
constexpr absl::Duration kSlow = absl::Minutes(1);
// Longer than any statement of ours takes on a disk that works.
constexpr absl::Duration kHangs = absl::Seconds(30);

}  // namespace

QueueWatch::QueueWatch(const WatchParts& parts, std::string loop, absl::Duration longest_silence)
    : parts_(parts), loop_(std::move(loop)), longest_silence_(longest_silence) {
  parts_.readiness.MakeAdvisory("delivery");
  parts_.readiness.MakeAdvisory("damage");
  metrics::Registry& metrics = parts_.metrics;
  pending_ =
      metrics.AddGauge("netsentinel_notifier_pending_alerts", "Alerts that are in no mail yet.");
  waiting_ =
      metrics.AddGauge("netsentinel_notifier_waiting_deliveries", "Mails that wait, by recipient.");
  parked_ = metrics.AddGauge("netsentinel_notifier_parked_deliveries",
                             "Mails that were given up, by recipient.");
  set_aside_ = metrics.AddGauge("netsentinel_notifier_set_aside",
                                "Stored rows and files that were damaged and set aside, 7 days.");
}

void QueueWatch::Look() {
  // First what needs nothing of the queue: it may hang with the worker in it.
  LookAtLoop();
  LookAtIntake();
  if (in_use_since_.has_value()) return;
  LookAtDamage();
  Count();
}

void QueueWatch::LookAtLoop() {
  absl::Duration silence = absl::ZeroDuration();
  for (const auto& [name, silent] : parts_.liveness.Loops()) {
    if (name == loop_) silence = absl::Trunc(silent, absl::Seconds(1));
  }
  if (silence > kSlow) {
    parts_.readiness.NotReady(
        "delivery", absl::StrCat("one mail has been under way for ", absl::FormatDuration(silence),
                                 ": the mail server or the disk is slow; the others wait"));
  } else {
    parts_.readiness.Ready("delivery");
  }
  if (silence > longest_silence_) {
    parts_.readiness.NotReady(
        "worker",
        absl::StrCat("the delivery loop has been stuck for ", absl::FormatDuration(silence),
                     ", no mail goes out; restart the notifier, nothing is lost"));
  } else {
    parts_.readiness.Ready("worker");
  }
}

void QueueWatch::LookAtIntake() {
  absl::Status intake = parts_.queue.CheckIntake(parts_.clock.WallNow());
  if (absl::IsAborted(intake)) {
    const absl::Duration now = parts_.clock.MonotonicNow();
    if (!in_use_since_.has_value()) in_use_since_ = now;
    if (now - *in_use_since_ < kHangs) return;
    intake = absl::UnavailableError(
        absl::StrCat("the delivery queue has not come free for ",
                     absl::FormatDuration(absl::Trunc(now - *in_use_since_, absl::Seconds(1))),
                     ": the disk hangs"));
  } else {
    in_use_since_.reset();
  }
  if (intake.ok()) {
    if (!shown_intake_.empty()) {
      parts_.logger.Info("queue.intake_works", "alerts are accepted again");
    }
    shown_intake_.clear();
    parts_.readiness.Ready("intake");
    return;
  }
  const std::string sentence =
      absl::StrCat("no alerts are accepted, the aggregator keeps them: ", intake.message(),
                   "; it continues by itself when there is room");
  parts_.readiness.NotReady("intake", sentence);
  if (shown_intake_.empty()) parts_.logger.Error("queue.intake_stopped", sentence);
  shown_intake_ = sentence;
}

void QueueWatch::LookAtDamage() {
  const absl::StatusOr<SetAside> damage =
      parts_.queue.DamageSince(parts_.clock.WallNow() - kShowSetAside);
  if (!damage.ok()) return;
  set_aside_.Set(static_cast<double>(damage->count));
  if (damage->count == 0) {
    parts_.readiness.Ready("damage");
    return;
  }
  parts_.readiness.NotReady(
      "damage",
      absl::StrCat("the delivery queue's file was damaged, ", damage->count,
                   damage->count == 1 ? " time" : " times", ", last at ",
                   absl::FormatTime("%Y-%m-%d %H:%M UTC", damage->at, absl::UTCTimeZone()), ": ",
                   damage->reason,
                   "; the other rows are delivered. Check the disk; this is shown for 7 days"));
}

void QueueWatch::Count() {
  const absl::StatusOr<QueueCounts> counts = parts_.queue.Counts();
  if (!counts.ok()) return;
  pending_.Set(static_cast<double>(counts->pending_alerts));
  waiting_.Set(static_cast<double>(counts->waiting));
  parked_.Set(static_cast<double>(counts->parked));
}

}  // namespace netsentinel::delivery
