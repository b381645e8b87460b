#include "notifier/delivery/sqlite_delivery_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/io/sha256.h"
#include "notifier/delivery/alert_codec.h"

namespace netsentinel::delivery {
namespace {

constexpr std::int64_t kSchemaVersion = 2;
// Statuses are those of enum Status: 1 waiting, 2 delivered, 3 parked.
constexpr absl::string_view kSchema1 = R"(
CREATE TABLE letters(
  id TEXT PRIMARY KEY, site TEXT NOT NULL, is_alert INTEGER NOT NULL, subject TEXT NOT NULL,
  text TEXT NOT NULL, html TEXT NOT NULL, csv_name TEXT NOT NULL, csv BLOB NOT NULL,
  date_us INTEGER NOT NULL, made_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX letters_of_site ON letters(site, made_us) WHERE is_alert = 1;
CREATE TABLE deliveries(
  row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, letter TEXT NOT NULL, channel TEXT NOT NULL,
  recipient TEXT NOT NULL, status INTEGER NOT NULL, attempts INTEGER NOT NULL,
  claimed INTEGER NOT NULL, next_us INTEGER NOT NULL, made_us INTEGER NOT NULL,
  done_us INTEGER NOT NULL, detail TEXT NOT NULL);
CREATE INDEX deliveries_due ON deliveries(channel, next_us) WHERE status = 1;
CREATE INDEX deliveries_of_letter ON deliveries(letter, status);
CREATE TABLE breaches(
  id TEXT PRIMARY KEY, site TEXT NOT NULL, alert BLOB NOT NULL, crossed_us INTEGER NOT NULL,
  accepted_us INTEGER NOT NULL, letter TEXT) WITHOUT ROWID;
CREATE INDEX breaches_pending ON breaches(site, crossed_us) WHERE letter IS NULL;
CREATE TABLE windows(site TEXT PRIMARY KEY, end_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE runs(
  report TEXT NOT NULL, site TEXT NOT NULL, date TEXT NOT NULL,
  PRIMARY KEY(report, site)) WITHOUT ROWID;
)";
// The lower priority goes first: 0 alerts, 1 reports. `first_try_us` is 0 while no attempt has
// reached a transaction.
constexpr absl::string_view kSchema2 = R"(
ALTER TABLE deliveries ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
ALTER TABLE deliveries ADD COLUMN first_try_us INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET priority = 0
  WHERE letter IN (SELECT id FROM letters WHERE is_alert = 1);
UPDATE deliveries SET first_try_us = made_us WHERE attempts > 0;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries(channel, priority, next_us) WHERE status = 1;
)";

std::int64_t Us(absl::Time time) { return absl::ToUnixMicros(time); }

std::string DeliveryId(const NewLetter& letter, const std::string& recipient) {
  return io::Sha256Hex(absl::StrCat(letter.letter.id, "\n", letter.channel, "\n", recipient))
      .substr(0, 32);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteDeliveryQueue>> SqliteDeliveryQueue::Open(
    const std::string& path, const RetryPolicy& policy, absl::Time now, const QueueLimits& limits) {
  NS_ASSIGN_OR_RETURN(
      std::unique_ptr<sqlite::Database> database,
      sqlite::Database::Open(path, {.synchronous = sqlite::Synchronous::kFull, .exclusive = true}));
  std::unique_ptr<SqliteDeliveryQueue> queue(
      new SqliteDeliveryQueue(std::move(database), policy, limits));
  {
    base::MutexLock lock(queue->mutex_);
    NS_RETURN_IF_ERROR(queue->Prepare());
  }
  NS_RETURN_IF_ERROR(queue->ReleaseClaims(now));
  return queue;
}

absl::Status SqliteDeliveryQueue::Prepare() {
  NS_ASSIGN_OR_RETURN(const std::int64_t version, database_->QueryInt("PRAGMA user_version"));
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(database_->path(), ": its schema is version ",
                                                      version, ", this notifier knows up to ",
                                                      kSchemaVersion, ": upgrade the notifier"));
  }
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  if (version < 1) NS_RETURN_IF_ERROR(database_->Execute(kSchema1));
  if (version < 2) NS_RETURN_IF_ERROR(database_->Execute(kSchema2));
  NS_RETURN_IF_ERROR(database_->Execute(absl::StrCat("PRAGMA user_version = ", kSchemaVersion)));
  return transaction.Commit();
}

absl::Status SqliteDeliveryQueue::ReleaseClaims(absl::Time now) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(sqlite::Statement cut_off,
                      database_->Prepare("SELECT row, attempts FROM deliveries "
                                         "WHERE status = 1 AND claimed = 1"));
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement release,
      database_->Prepare("UPDATE deliveries SET claimed = 0, next_us = ? WHERE row = ?"));
  std::vector<std::pair<std::int64_t, int>> rows;
  while (true) {
    NS_ASSIGN_OR_RETURN(const bool row, cut_off.Step());
    if (!row) break;
    rows.emplace_back(cut_off.Int(0), static_cast<int>(cut_off.Int(1)));
  }
  for (const auto& [row, attempts] : rows) {
    release.BindInt(1, Us(now + PlanAfterCrash(attempts, policy_)));
    release.BindInt(2, row);
    NS_RETURN_IF_ERROR(release.Run());
  }
  return transaction.Commit();
}

absl::Status SqliteDeliveryQueue::Accept(absl::Span<const report::Alert> alerts, absl::Time now) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(const std::int64_t pending,
                      database_->QueryInt("SELECT count(*) FROM breaches WHERE letter IS NULL"));
  if (pending + static_cast<std::int64_t>(alerts.size()) > limits_.pending_alerts) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "as many alerts wait for a mail as may (", limits_.pending_alerts, "), no more are taken"));
  }
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database_->Prepare("INSERT INTO breaches(id, site, alert, crossed_us, accepted_us) "
                         "VALUES(?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING"));
  for (const report::Alert& alert : alerts) {
    insert.BindText(1, alert.breach_id);
    insert.BindText(2, alert.site_id);
    insert.BindBlob(3, EncodeAlert(alert));
    insert.BindInt(4, Us(alert.crossed_at));
    insert.BindInt(5, Us(now));
    NS_RETURN_IF_ERROR(insert.Run());
  }
  return transaction.Commit();
}

absl::StatusOr<std::vector<std::string>> SqliteDeliveryQueue::Groups() {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Statement select,
                      database_->Prepare("SELECT DISTINCT site FROM breaches WHERE letter IS NULL "
                                         "UNION SELECT site FROM windows ORDER BY 1"));
  std::vector<std::string> sites;
  while (true) {
    NS_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return sites;
    sites.push_back(select.Text(0));
  }
}

absl::StatusOr<GroupState> SqliteDeliveryQueue::Group(const std::string& site_id) {
  base::MutexLock lock(mutex_);
  GroupState state;
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement pending,
      database_->Prepare("SELECT count(*) FROM breaches WHERE letter IS NULL AND site = ?"));
  pending.BindText(1, site_id);
  NS_ASSIGN_OR_RETURN(bool row, pending.Step());
  if (row) state.pending = static_cast<std::size_t>(pending.Uint(0));
  NS_ASSIGN_OR_RETURN(sqlite::Statement window,
                      database_->Prepare("SELECT end_us FROM windows WHERE site = ?"));
  window.BindText(1, site_id);
  NS_ASSIGN_OR_RETURN(row, window.Step());
  if (row) {
    state.in_window = true;
    state.window_end = absl::FromUnixMicros(window.Int(0));
  }
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement last,
      database_->Prepare("SELECT l.made_us, EXISTS(SELECT 1 FROM deliveries d "
                         "WHERE d.letter = l.id AND d.status <> 1) FROM letters l "
                         "WHERE l.is_alert = 1 AND l.site = ? ORDER BY l.made_us DESC LIMIT 1"));
  last.BindText(1, site_id);
  NS_ASSIGN_OR_RETURN(row, last.Step());
  if (row) {
    state.last_made = absl::FromUnixMicros(last.Int(0));
    state.last_unsent = last.Int(1) == 0;
  }
  return state;
}

absl::StatusOr<PendingAlerts> SqliteDeliveryQueue::Pending(const std::string& site_id,
                                                           std::size_t limit) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Statement select,
                      database_->Prepare("SELECT id, alert FROM breaches WHERE letter IS NULL AND "
                                         "site = ? ORDER BY crossed_us, id"));
  select.BindText(1, site_id);
  PendingAlerts pending;
  while (pending.alerts.size() < limit) {
    NS_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) break;
    absl::StatusOr<report::Alert> alert = DecodeAlert(select.Blob(1));
    if (alert.ok()) {
      pending.alerts.push_back(*std::move(alert));
    } else {
      pending.damaged.Update(
          absl::Status(alert.status().code(),
                       absl::StrCat("breach ", select.Text(0), ": ", alert.status().message())));
    }
  }
  return pending;
}

absl::Status SqliteDeliveryQueue::CloseWindow(const std::string& site_id) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Statement close,
                      database_->Prepare("DELETE FROM windows WHERE site = ?"));
  close.BindText(1, site_id);
  return close.Run();
}

absl::Status SqliteDeliveryQueue::InsertDeliveries(const NewLetter& letter, absl::Time now,
                                                   std::vector<std::string>& ids) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database_->Prepare("INSERT INTO deliveries(id, letter, channel, recipient, status, attempts, "
                         "claimed, next_us, made_us, done_us, detail, priority) "
                         "VALUES(?, ?, ?, ?, 1, 0, 0, ?, ?, 0, '', ?) ON CONFLICT(id) DO NOTHING"));
  for (const std::string& recipient : letter.recipients) {
    ids.push_back(DeliveryId(letter, recipient));
    insert.BindText(1, ids.back());
    insert.BindText(2, letter.letter.id);
    insert.BindText(3, letter.channel);
    insert.BindText(4, recipient);
    insert.BindInt(5, Us(now));
    insert.BindInt(6, Us(now));
    insert.BindInt(7, letter.breach_ids.empty() ? 1 : 0);
    NS_RETURN_IF_ERROR(insert.Run());
  }
  return absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::WriteRun(const ReportRun& run) {
  NS_ASSIGN_OR_RETURN(sqlite::Statement write,
                      database_->Prepare("INSERT INTO runs(report, site, date) VALUES(?, ?, ?) "
                                         "ON CONFLICT(report, site) DO UPDATE SET "
                                         "date = excluded.date"));
  write.BindText(1, run.report);
  write.BindText(2, run.site_id);
  write.BindText(3, run.date);
  return write.Run();
}

absl::StatusOr<std::vector<std::string>> SqliteDeliveryQueue::AddLetter(const NewLetter& letter,
                                                                        absl::Time now) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(const std::int64_t waiting,
                      database_->QueryInt("SELECT count(*) FROM deliveries WHERE status = 1"));
  if (waiting + static_cast<std::int64_t>(letter.recipients.size()) > limits_.waiting_deliveries) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "as many deliveries wait as may (", limits_.waiting_deliveries, "), no more are taken"));
  }
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database_->Prepare("INSERT INTO letters(id, site, is_alert, subject, text, html, csv_name, "
                         "csv, date_us, made_us) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                         "ON CONFLICT(id) DO NOTHING"));
  insert.BindText(1, letter.letter.id);
  insert.BindText(2, letter.site_id);
  insert.BindInt(3, letter.breach_ids.empty() ? 0 : 1);
  insert.BindText(4, letter.letter.subject);
  insert.BindText(5, letter.letter.text);
  insert.BindText(6, letter.letter.html);
  insert.BindText(7, letter.letter.csv_name);
  insert.BindBlob(8, letter.letter.csv);
  insert.BindInt(9, Us(letter.letter.date));
  insert.BindInt(10, Us(now));
  NS_RETURN_IF_ERROR(insert.Run());
  std::vector<std::string> ids;
  NS_RETURN_IF_ERROR(InsertDeliveries(letter, now, ids));
  NS_ASSIGN_OR_RETURN(sqlite::Statement told,
                      database_->Prepare("UPDATE breaches SET letter = ? WHERE id = ?"));
  for (const std::string& breach : letter.breach_ids) {
    told.BindText(1, letter.letter.id);
    told.BindText(2, breach);
    NS_RETURN_IF_ERROR(told.Run());
  }
  if (!letter.breach_ids.empty()) {
    NS_ASSIGN_OR_RETURN(
        sqlite::Statement window,
        database_->Prepare("INSERT INTO windows(site, end_us) VALUES(?, ?) ON "
                           "CONFLICT(site) DO UPDATE SET end_us = excluded.end_us"));
    window.BindText(1, letter.site_id);
    window.BindInt(2, Us(letter.window_end));
    NS_RETURN_IF_ERROR(window.Run());
  }
  if (letter.run.has_value()) NS_RETURN_IF_ERROR(WriteRun(*letter.run));
  NS_RETURN_IF_ERROR(transaction.Commit());
  return ids;
}

absl::StatusOr<std::optional<Task>> SqliteDeliveryQueue::Claim(const std::string& channel,
                                                               absl::Time now) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare(
          "SELECT d.row, d.id, d.recipient, d.attempts, d.first_try_us, l.id, l.subject, l.text, "
          "l.html, l.csv_name, l.csv, l.date_us FROM deliveries d JOIN letters l ON l.id = "
          "d.letter WHERE d.row = (SELECT row FROM deliveries WHERE status = 1 AND claimed = 0 AND "
          "channel = ? AND (next_us <= ? OR next_us > ?) ORDER BY priority, next_us, row LIMIT "
          "1)"));
  select.BindText(1, channel);
  select.BindInt(2, Us(now));
  // Further away than any plan reaches: set before the clock stepped back.
  select.BindInt(3, Us(now + policy_.maximum + policy_.slow));
  NS_ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found) return std::optional<Task>();
  Task task{.row = select.Int(0),
            .delivery_id = select.Text(1),
            .letter = {.id = select.Text(5),
                       .date = absl::FromUnixMicros(select.Int(11)),
                       .subject = select.Text(6),
                       .text = select.Text(7),
                       .html = select.Text(8),
                       .csv_name = select.Text(9),
                       .csv = select.Blob(10)},
            .recipient = select.Text(2),
            .attempts = static_cast<int>(select.Int(3)) + 1};
  if (select.Int(4) != 0) task.first_try = absl::FromUnixMicros(select.Int(4));
  select.Reset();
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement claim,
      database_->Prepare("UPDATE deliveries SET claimed = 1, attempts = ? WHERE row = ?"));
  claim.BindInt(1, task.attempts);
  claim.BindInt(2, task.row);
  NS_RETURN_IF_ERROR(claim.Run());
  return std::optional<Task>(std::move(task));
}

absl::Status SqliteDeliveryQueue::Finish(const TaskResult& result) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement update,
      database_->Prepare(
          "UPDATE deliveries SET claimed = 0, status = ?, next_us = ?, done_us = ?, detail = ?, "
          "attempts = attempts - ?, first_try_us = iif(first_try_us = 0, ?, first_try_us) "
          "WHERE row = ?"));
  const bool again = result.next.step == Step::kTryAgain;
  const Status status = again                             ? Status::kWaiting
                        : result.next.step == Step::kDone ? Status::kDelivered
                                                          : Status::kParked;
  update.BindInt(1, static_cast<std::int64_t>(status));
  update.BindInt(2, Us(result.at + result.next.delay));
  update.BindInt(3, again ? 0 : Us(result.at));
  update.BindText(4, result.detail);
  update.BindInt(5, result.next.counts ? 0 : 1);
  update.BindInt(6, result.next.counts ? Us(result.at) : 0);
  update.BindInt(7, result.row);
  return update.Run();
}

absl::StatusOr<absl::Time> SqliteDeliveryQueue::NextDueTime(const std::string& channel) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Statement select,
                      database_->Prepare("SELECT min(next_us) FROM deliveries WHERE status = 1 AND "
                                         "claimed = 0 AND channel = ?"));
  select.BindText(1, channel);
  NS_ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row || select.IsNull(0)) return absl::InfiniteFuture();
  return absl::FromUnixMicros(select.Int(0));
}

absl::StatusOr<std::optional<std::string>> SqliteDeliveryQueue::LastRun(
    const std::string& report, const std::string& site_id) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Statement select,
                      database_->Prepare("SELECT date FROM runs WHERE report = ? AND site = ?"));
  select.BindText(1, report);
  select.BindText(2, site_id);
  NS_ASSIGN_OR_RETURN(const bool row, select.Step());
  if (!row) return std::optional<std::string>();
  return std::optional<std::string>(select.Text(0));
}

absl::Status SqliteDeliveryQueue::SetLastRun(const ReportRun& run) {
  base::MutexLock lock(mutex_);
  return WriteRun(run);
}

absl::StatusOr<std::vector<DeliveryRecord>> SqliteDeliveryQueue::List(std::size_t limit) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare("SELECT d.id, d.channel, d.recipient, l.subject, d.status, d.attempts, "
                         "d.next_us, d.detail FROM deliveries d JOIN letters l ON l.id = d.letter "
                         "ORDER BY d.status <> 1, d.row DESC LIMIT ?"));
  select.BindUint(1, limit);
  std::vector<DeliveryRecord> records;
  while (true) {
    NS_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return records;
    records.push_back({.delivery_id = select.Text(0),
                       .channel = select.Text(1),
                       .recipient = select.Text(2),
                       .subject = select.Text(3),
                       .status = static_cast<Status>(select.Int(4)),
                       .attempts = static_cast<std::uint32_t>(select.Uint(5)),
                       .next_attempt = absl::FromUnixMicros(select.Int(6)),
                       .detail = select.Text(7)});
  }
}

absl::StatusOr<QueueCounts> SqliteDeliveryQueue::Counts() {
  base::MutexLock lock(mutex_);
  QueueCounts counts;
  NS_ASSIGN_OR_RETURN(counts.pending_alerts,
                      database_->QueryInt("SELECT count(*) FROM breaches WHERE letter IS NULL"));
  NS_ASSIGN_OR_RETURN(counts.waiting,
                      database_->QueryInt("SELECT count(*) FROM deliveries WHERE status = 1"));
  NS_ASSIGN_OR_RETURN(counts.parked,
                      database_->QueryInt("SELECT count(*) FROM deliveries WHERE status = 3"));
  return counts;
}

absl::Status SqliteDeliveryQueue::Purge(absl::Time now) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  const std::int64_t before = Us(now - kKeepDone);
  NS_RETURN_IF_ERROR(database_->Execute(absl::StrCat(
      "DELETE FROM deliveries WHERE status <> 1 AND done_us < ", before, ";",
      "DELETE FROM letters WHERE made_us < ", before,
      " AND NOT EXISTS(SELECT 1 FROM deliveries WHERE letter = letters.id);",
      "DELETE FROM breaches WHERE accepted_us < ", before,
      " AND letter IS NOT NULL AND NOT EXISTS(SELECT 1 FROM letters WHERE id = breaches.letter);",
      // The attachment of a mail that everybody has is only weight.
      "UPDATE letters SET csv = x'', csv_name = '' WHERE csv_name <> '' AND made_us < ",
      Us(now - absl::Hours(72)),
      " AND NOT EXISTS(SELECT 1 FROM deliveries WHERE letter = letters.id AND status <> 2);")));
  return transaction.Commit();
}

}  // namespace netsentinel::delivery
