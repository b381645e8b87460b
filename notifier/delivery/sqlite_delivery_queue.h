#pragma once

#include <atomic>
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

struct BreachRow;

struct QueueLimits {
  // Alerts that may wait for a mail before Accept refuses more.
  std::int64_t pending_alerts = 100'000;
  // Deliveries that may wait before AddLetter refuses more.
  std::int64_t waiting_deliveries = 100'000;
  // Pages that the file may have; 0: as many as the disk takes. For tests of a full disk.
  std::int64_t file_pages = 0;
};
// Ids of alerts and deliveries that are done are kept this long.
inline constexpr absl::Duration kKeepDone = absl::Hours(40 * 24);
// What was set aside is shown this long.
inline constexpr absl::Duration kShowSetAside = absl::Hours(7 * 24);

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
  // How much of the time since then mails of others passed: from one that was taken to the next,
  // at most a day each.
  absl::Duration passing = absl::ZeroDuration();
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
  // Why stored ones beside them cannot be read though they are undamaged; they stay where they are.
  absl::Status unreadable;
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

// What was damaged and set aside within kShowSetAside.
struct SetAside {
  std::int64_t count = 0;
  // The latest.
  std::string reason = {};
  absl::Time at = absl::InfinitePast();
};

// How one recipient's mails fare, as the file has it.
struct RecipientState {
  std::string recipient;
  // The last that was taken; InfinitePast when none was within the time asked about.
  absl::Time passed_at = absl::InfinitePast();
  // A mail that waits after attempts: since when and why.
  absl::Time put_off_since = absl::InfinitePast();
  // The last that was given up within the time asked about.
  absl::Time given_up_at = absl::InfinitePast();
  // Of the one that waits or was given up.
  std::string detail = {};
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
  // Tells so many alerts that it may wait for what is new: goes behind other alerts, and does not
  // count as the site's last mail.
  bool bulk = false;
  // The first of a site after a quiet time: goes before all others, also those of busier sites.
  bool first = false;
  // With breach_ids: when the site's window ends.
  absl::Time window_end = absl::InfinitePast();
  std::optional<ReportRun> run = std::nullopt;
};

// What the notifier owes, in one SQLite file (synchronous FULL): what a call has returned OK for
// survives a crash. Rows carry checksums: one that does not fit is set aside and never sent, and
// the rest goes on; an alert's mail that nobody has yet is formed anew. Thread-safe. Errors are
// those of sqlite::Database.
class SqliteDeliveryQueue {
 public:
  // Opens or creates the file. kUnavailable at once when another process has it open. Attempts that
  // the end of an earlier process cut off become due again, see PlanAfterCrash. A file with damaged
  // pages is repaired as Repair() does.
  static absl::StatusOr<std::unique_ptr<SqliteDeliveryQueue>> Open(const std::string& path,
                                                                   const RetryPolicy& policy,
                                                                   absl::Time now,
                                                                   const QueueLimits& limits = {});
  ~SqliteDeliveryQueue();

  // Stores alerts; one whose id is known is left as it is. All or none. kResourceExhausted when
  // as many wait as may.
  absl::Status Accept(absl::Span<const report::Alert> alerts, absl::Time now);
  // Grows with every change that may ask for a letter.
  std::uint64_t alert_changes() const { return alert_changes_; }

  // Whether alerts could be accepted now, found out by writing: as many bytes as the last failure
  // had, or a page every 30 s. kResourceExhausted when the disk is full or as many alerts wait as
  // may; kAborted, without waiting, when the queue is in use at this moment.
  absl::Status CheckIntake(absl::Time now);

  // Sites with alerts that wait for a mail or with an open window.
  absl::StatusOr<std::vector<std::string>> Groups();
  absl::StatusOr<GroupState> Group(const std::string& site_id);
  // Alerts of the site that are in no mail, at most `limit` and 8 MiB of those that can be read.
  absl::StatusOr<PendingAlerts> Pending(const std::string& site_id, std::size_t limit,
                                        absl::Time now);
  absl::Status CloseWindow(const std::string& site_id);

  // Stores a letter and one delivery a recipient, due at once; the ids of the deliveries. A letter
  // that is known is left as it is. kResourceExhausted when as many wait as may.
  absl::StatusOr<std::vector<std::string>> AddLetter(const NewLetter& letter, absl::Time now);

  // The next delivery of `channel` that is due, those of alerts first and reports last, counted as
  // an attempt before it is made; nothing when none is.
  absl::StatusOr<std::optional<Task>> Claim(const std::string& channel, absl::Time now);
  absl::Status Finish(const TaskResult& result);
  // Makes every claimed delivery due again, see PlanAfterCrash. For a caller that has none.
  absl::Status ReleaseClaims(absl::Time now);
  // The alerts of mails of the last five days that nobody got, and of which no delivery to one of
  // `recipients` waits, are in no mail again; those mails are gone. At most kToldAnewAtOnce mails a
  // call, the oldest first.
  static constexpr std::size_t kToldAnewAtOnce = 1'000;
  absl::Status TellAnew(const std::vector<std::string>& recipients, absl::Time now);
  // Makes every delivery of `channel` that waits for its next attempt due now.
  absl::Status Hasten(const std::string& channel, absl::Time now);
  // When the next delivery is due; InfiniteFuture when none waits.
  absl::StatusOr<absl::Time> NextDueTime(const std::string& channel);

  // Date of the last run of a report for a site that was queued or needs none.
  absl::StatusOr<std::optional<std::string>> LastRun(const std::string& report,
                                                     const std::string& site_id);
  absl::Status SetLastRun(const ReportRun& run);

  // Waiting ones first, then the newest; at most `limit`.
  absl::StatusOr<std::vector<DeliveryRecord>> List(std::size_t limit);
  absl::StatusOr<QueueCounts> Counts();
  absl::StatusOr<SetAside> DamageSince(absl::Time since);
  // How the mails of each recipient fared since then, as far as it matters now.
  absl::StatusOr<std::vector<RecipientState>> Recipients(const std::string& channel,
                                                         absl::Time since);
  // Forgets what has been done for longer than kKeepDone.
  absl::Status Purge(absl::Time now);

  // A page of the file could not be read: Repair() is asked for.
  bool damaged() const { return damaged_; }
  // Moves the file aside (path.damaged-SECONDS; the newest three are kept) and goes on with a new
  // one that has every row that can still be read.
  absl::Status Repair(absl::Time now);
  // What was found damaged since the last call, in words; at most 100.
  std::vector<std::string> TakeIncidents();

 private:
  SqliteDeliveryQueue(std::string path, RetryPolicy policy, QueueLimits limits)
      : path_(std::move(path)), policy_(policy), limits_(limits) {}
  // Opening, in sqlite_queue_open.cc.
  absl::Status LockOut();
  absl::Status OpenFile(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status OpenSound(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Connect() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::int64_t> Version() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Rebuild(std::int64_t version, bool keep_old, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status BeginAnew(const absl::Status& why, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // An error while there is no file, after a repair that failed.
  absl::Status Usable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckRoom(std::int64_t more) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ReleaseLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::vector<std::string>> GroupsLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<GroupState> GroupLocked(const std::string& site_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SetAlertsAside(const std::vector<BreachRow>& rows, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AcceptLocked(absl::Span<const report::Alert> alerts, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<PendingAlerts> PendingLocked(const std::string& site_id, std::size_t limit,
                                              absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::vector<std::string>> AddLetterLocked(const NewLetter& letter, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::optional<Task>> ClaimLocked(const std::string& channel, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::optional<channel::Letter>> SoundLetter(const std::string& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TellAnewLocked(const std::vector<std::string>& recipients, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The alerts of a mail are in no mail again.
  absl::Status TakeApart(const std::string& letter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ParkDamaged(const std::string& id, std::int64_t row, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SetLetterAside(const std::string& id, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FinishLocked(const TaskResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AdvancePassing(const TaskResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteRun(const ReportRun& run) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TestWrite(std::uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status IntakeLocked(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(std::string incident) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Remembers what a failure says about the file; gives it back.
  absl::Status Note(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  template <typename T>
  absl::StatusOr<T> Note(absl::StatusOr<T> result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!result.ok()) Note(result.status()).IgnoreError();
    return result;
  }

  const std::string path_;
  const RetryPolicy policy_;
  const QueueLimits limits_;
  // Holds the lock that keeps other processes out.
  int lock_ = -1;
  std::atomic<bool> damaged_ = false;
  std::atomic<std::uint64_t> alert_changes_ = 0;
  base::Mutex mutex_;
  std::unique_ptr<sqlite::Database> database_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> incidents_ ABSL_GUARDED_BY(mutex_);
  // The last write that failed and was not followed by one that did not.
  absl::Status write_failure_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t failed_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time written_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace netsentinel::delivery
