#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/http/health.h"
#include "common/log/logger.h"
#include "common/metrics/registry.h"
#include "notifier/channel/channel.h"
#include "notifier/delivery/alert_desk.h"
#include "notifier/delivery/passage.h"
#include "notifier/delivery/retry_plan.h"
#include "notifier/delivery/sqlite_delivery_queue.h"

namespace netsentinel::delivery {

// Wakes a loop that waits. Thread-safe.
class Wakeup {
 public:
  void Wake();
  // Until Wake() (also one before this call), a stop or `timeout`.
  void Wait(absl::Duration timeout, const std::stop_token& stop);

 private:
  base::Mutex mutex_;
  std::condition_variable_any changed_;
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;
};

// How often something stored was found damaged.
metrics::Counter DamagedCounter(metrics::Registry& metrics);

// What the worker uses; all of it outlives the worker.
struct WorkerParts {
  const base::Clock& clock;
  SqliteDeliveryQueue& queue;
  channel::Channel& channel;
  AlertDesk& desk;
  Wakeup& wakeup;
  log::Logger& logger;
  metrics::Registry& metrics;
  http::Readiness& readiness;
  http::Liveness::Pulse& pulse;
};

// Sends what is due: each delivery one transaction, one after the other, and while there is none
// asks every few minutes whether one could be sent. While nobody's mail passes, it rests between a
// few attempts and gives nothing up. A queue with damaged pages is repaired and the work goes on.
// Readiness conditions, each also in the log: the channel's name when nothing can be sent by it or
// mails to somebody do not pass, "alerts" when some cannot become mails, "queue" when the queue
// fails. Its methods belong to one thread but for Unblock().
class DeliveryWorker {
 public:
  DeliveryWorker(const WorkerParts& parts, const RetryPolicy& policy);

  // Ends a rest of the channel and makes what waits due, since its settings have changed. Any
  // thread.
  void Unblock();

  // Until the stop is requested; the transaction under way is finished.
  void Run(const std::stop_token& stop);

  // Forms letters and sends what is due until nothing is or the stop is requested; how long to wait
  // then.
  absl::Duration RunOnce(const std::stop_token& stop);

 private:
  absl::StatusOr<absl::Duration> Work(const std::stop_token& stop);
  // Forms letters when there may be any to form.
  void FormLetters(absl::Time now, bool anyway);
  absl::Status RepairIfDamaged();
  void ReportIncidents();
  // The queue was used: what it tells is shown at once, however much waits.
  void ShowQueueWorks();
  void RestorePassage();
  // What came of an attempt, for the channel's condition; how long the channel rests since nobody's
  // mails pass.
  absl::Duration NotePassage(const Task& task, const channel::SendResult& result);
  void ShowChannel();
  absl::Status Deliver(const Task& task, const std::stop_token& stop);
  // How long until the next probe; makes it when it is time.
  absl::Duration ProbeSometimes(const std::stop_token& stop);
  // Keeps count of failures of the channel, shows its state, and starts the rest that the failures
  // so far ask for.
  NextStep Judge(const channel::SendResult& result, AttemptHistory history,
                 absl::string_view waiting);
  void ShowForming(const absl::Status& failure);
  void Report(const Task& task, const channel::SendResult& result, const NextStep& next);
  // Writes the result that the queue has not taken yet, if there is one.
  absl::Status WriteResult();
  void PurgeSometimes(absl::Time now);

  WorkerParts parts_;
  const RetryPolicy policy_;
  const std::string channel_name_;
  std::atomic<bool> unblock_ = false;
  int channel_failures_ = 0;
  bool queue_failing_ = false;
  // A stop was requested when the last attempt or probe ended.
  bool stopping_ = false;
  absl::Status forming_failure_;
  std::string shown_forming_failure_;
  std::optional<TaskResult> result_;
  Passage passage_;
  bool passage_restored_ = false;
  // Mails in a row that were put off.
  int put_off_in_a_row_ = 0;
  std::uint64_t formed_changes_ = 0;
  absl::Time form_at_ = absl::InfinitePast();
  // On the monotonic clock.
  absl::Duration rest_until_ = absl::ZeroDuration();
  absl::Duration purge_at_ = absl::ZeroDuration();
  absl::Duration probe_at_ = absl::ZeroDuration();
  metrics::Counter delivered_;
  metrics::Counter retried_;
  metrics::Counter parked_;
  metrics::Counter damaged_;
};

}  // namespace netsentinel::delivery
