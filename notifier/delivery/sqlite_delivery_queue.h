#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "common/base/mutex.h"
#include "common/sqlite/database.h"
#include "notifier/channel/channel.h"
#include "notifier/delivery/grouping.h"
#include "notifier/delivery/retry_plan.h"
#include "notifier/report/model.h"

namespace netsentinel::delivery {

struct QueueLimits {
  // Alerts that may wait for a mail before Accept refuses more.
  std::int64_t pending_alerts = 100'000;
  // Deliveries that may wait before AddLetter refuses more.
  std::int64_t waiting_deliveries = 100'000;
};
// Ids of alerts and deliveries that are done are kept this long.
inline constexpr absl::Duration kKeepDone = absl::Hours(40 * 24);

enum class Status { kWaiting = 1, kDelivered = 2, kParked = 3 };

// A delivery that has been claimed: one letter for one recipient.
struct Task {
  std::int64_t row = 0;
  std::string delivery_id;
  channel::Letter letter;
  std::string recipient;
  // Those that reached a transaction, and this one.
  int attempts = 0;
  // When the first of them ended; nothing when none did.
  std::optional<absl::Time> first_try = std::nullopt;
};

// What came of a task.
struct TaskResult {
  std::int64_t row = 0;
  NextStep next;
  std::string detail;
  absl::Time at;
};

struct PendingAlerts {
  // Oldest first.
  std::vector<report::Alert> alerts;
  // Why stored ones beside them cannot be read; they stay where they are.
  absl::Status damaged;
};

// A delivery as an operator sees it.
struct DeliveryRecord {
  std::string delivery_id;
  std::string channel;
  std::string recipient;
  std::string subject;
  Status status = Status::kWaiting;
  std::uint32_t attempts = 0;
  absl::Time next_attempt;
  std::string detail;
};

struct QueueCounts {
  std::int64_t pending_alerts = 0;
  std::int64_t waiting = 0;
  std::int64_t parked = 0;
};

// The run of a scheduled report that a letter is: its mark is set in the same transaction.
struct ReportRun {
  std::string report;
  std::string site_id;
  // ISO date of the run.
  std::string date;
};

struct NewLetter {
  channel::Letter letter;
  std::string site_id;
  std::string channel;
  std::vector<std::string> recipients;
  // The alerts that it tells; empty for a report.
  std::vector<std::string> breach_ids = {};
  // With breach_ids: when the site's window ends.
  absl::Time window_end = absl::InfinitePast();
  std::optional<ReportRun> run = std::nullopt;
};

// What the notifier owes, in one SQLite file (synchronous FULL): what a call has returned OK for
// survives a crash. Thread-safe. Errors are those of sqlite::Database.
class SqliteDeliveryQueue {
 public:
  // Opens or creates the file, which no other process may have open. Attempts that the end of an
  // earlier process cut off become due again, see PlanAfterCrash.
  static absl::StatusOr<std::unique_ptr<SqliteDeliveryQueue>> Open(const std::string& path,
                                                                   const RetryPolicy& policy,
                                                                   absl::Time now,
                                                                   const QueueLimits& limits = {});

  // Stores alerts; one whose id is known is left as it is. All or none. kResourceExhausted when
  // as many wait as may.
  absl::Status Accept(absl::Span<const report::Alert> alerts, absl::Time now);

  // Sites with alerts that wait for a mail or with an open window.
  absl::StatusOr<std::vector<std::string>> Groups();
  absl::StatusOr<GroupState> Group(const std::string& site_id);
  // Alerts of the site that are in no mail, at most `limit` of those that can be read.
  absl::StatusOr<PendingAlerts> Pending(const std::string& site_id, std::size_t limit);
  absl::Status CloseWindow(const std::string& site_id);

  // Stores a letter and one delivery a recipient, due at once; the ids of the deliveries. A letter
  // that is known is left as it is. kResourceExhausted when as many wait as may.
  absl::StatusOr<std::vector<std::string>> AddLetter(const NewLetter& letter, absl::Time now);

  // The next delivery of `channel` that is due, those of alerts first, counted as an attempt before
  // it is made; nothing when none is.
  absl::StatusOr<std::optional<Task>> Claim(const std::string& channel, absl::Time now);
  absl::Status Finish(const TaskResult& result);
  // Makes every claimed delivery due again, see PlanAfterCrash. For a caller that has none.
  absl::Status ReleaseClaims(absl::Time now);
  // When the next delivery is due; InfiniteFuture when none waits.
  absl::StatusOr<absl::Time> NextDueTime(const std::string& channel);

  // Date of the last run of a report for a site that was queued or needs none.
  absl::StatusOr<std::optional<std::string>> LastRun(const std::string& report,
                                                     const std::string& site_id);
  absl::Status SetLastRun(const ReportRun& run);

  // Waiting ones first, then the newest; at most `limit`.
  absl::StatusOr<std::vector<DeliveryRecord>> List(std::size_t limit);
  absl::StatusOr<QueueCounts> Counts();
  // Forgets what has been done for longer than kKeepDone.
  absl::Status Purge(absl::Time now);

 private:
  SqliteDeliveryQueue(std::unique_ptr<sqlite::Database> database, RetryPolicy policy,
                      QueueLimits limits)
      : database_(std::move(database)), policy_(policy), limits_(limits) {}
  absl::Status Prepare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status InsertDeliveries(const NewLetter& letter, absl::Time now,
                                std::vector<std::string>& ids)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteRun(const ReportRun& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Mutex mutex_;
  std::unique_ptr<sqlite::Database> database_ ABSL_GUARDED_BY(mutex_);
  const RetryPolicy policy_;
  const QueueLimits limits_;
};

}  // namespace netsentinel::delivery
