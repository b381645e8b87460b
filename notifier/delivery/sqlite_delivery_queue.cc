#include "notifier/delivery/sqlite_delivery_queue.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/io/sha256.h"
#include "notifier/delivery/alert_codec.h"
#include "notifier/delivery/sqlite_queue_rows.h"

namespace netsentinel::delivery {
namespace {

// While all is well, so often the disk is asked by a write.
constexpr absl::Duration kTestWriteEvery = absl::Seconds(30);
constexpr std::uint64_t kTestWriteBytes = 4096;
constexpr std::uint64_t kMaxTestWriteBytes = 4 << 20;
constexpr std::size_t kMaxPendingBytes = 8 << 20;
constexpr std::size_t kMaxIncidents = 100;

std::string DeliveryId(const NewLetter& letter, const std::string& recipient) {
  return io::Sha256Hex(absl::StrCat(letter.letter.id, "\n", letter.channel, "\n", recipient))
      .substr(0, 32);
}

}  // namespace

absl::Status SqliteDeliveryQueue::Usable() const {
  if (database_ != nullptr) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("delivery queue ", path_, ": it is damaged and could not be repaired yet"));
}

absl::Status SqliteDeliveryQueue::Note(absl::Status status) {
  if (absl::IsDataLoss(status)) damaged_ = true;
  return status;
}

void SqliteDeliveryQueue::Tell(std::string incident) {
  if (incidents_.size() < kMaxIncidents) incidents_.push_back(std::move(incident));
}

std::vector<std::string> SqliteDeliveryQueue::TakeIncidents() {
  base::MutexLock lock(mutex_);
  return std::exchange(incidents_, {});
}

absl::Status SqliteDeliveryQueue::Accept(absl::Span<const report::Alert> alerts, absl::Time now) {
  base::MutexLock lock(mutex_);
  const absl::Status accepted = Note(AcceptLocked(alerts, now));
  if (accepted.ok()) {
    if (!alerts.empty()) ++alert_changes_;
    write_failure_ = absl::OkStatus();
    written_at_ = now;
    return accepted;
  }
  write_failure_ = accepted;
  failed_bytes_ = kTestWriteBytes;
  for (const report::Alert& alert : alerts) failed_bytes_ += 512 + alert.name.size();
  failed_bytes_ = std::min(failed_bytes_, kMaxTestWriteBytes);
  return accepted;
}

absl::Status SqliteDeliveryQueue::CheckRoom(std::int64_t more) {
  NS_ASSIGN_OR_RETURN(const std::int64_t pending,
                      database_->QueryInt("SELECT count(*) FROM breaches WHERE letter IS NULL"));
  if (pending + more <= limits_.pending_alerts) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("as many alerts wait for a mail as may (",
                                                   limits_.pending_alerts, "), no more are taken"));
}

absl::Status SqliteDeliveryQueue::AcceptLocked(absl::Span<const report::Alert> alerts,
                                               absl::Time now) {
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_RETURN_IF_ERROR(CheckRoom(static_cast<std::int64_t>(alerts.size())));
  for (const report::Alert& alert : alerts) {
    NS_RETURN_IF_ERROR(InsertBreach(*database_, {.id = alert.breach_id,
                                                 .site = alert.site_id,
                                                 .alert = EncodeAlert(alert),
                                                 .crossed_us = Us(alert.crossed_at),
                                                 .accepted_us = Us(now),
                                                 .letter = std::nullopt}));
  }
  return transaction.Commit();
}

absl::Status SqliteDeliveryQueue::CheckIntake(absl::Time now)
    // A lock that may not be had is beyond what the analysis follows.
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const std::unique_lock<std::mutex> lock(mutex_.native(), std::try_to_lock);
  if (!lock.owns_lock()) return absl::AbortedError("the delivery queue is in use");
  return Note(IntakeLocked(now));
}

absl::Status SqliteDeliveryQueue::IntakeLocked(absl::Time now) {
  NS_RETURN_IF_ERROR(Usable());
  NS_RETURN_IF_ERROR(CheckRoom(1));
  const bool failing = !write_failure_.ok();
  if (!failing && absl::AbsDuration(now - written_at_) < kTestWriteEvery) return absl::OkStatus();
  NS_RETURN_IF_ERROR(TestWrite(failing ? failed_bytes_ : kTestWriteBytes));
  write_failure_ = absl::OkStatus();
  written_at_ = now;
  return absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::TestWrite(std::uint64_t bytes) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement write,
      database_->Prepare("INSERT OR REPLACE INTO write_test(one, filler) VALUES(1, zeroblob(?))"));
  write.BindUint(1, bytes);
  NS_RETURN_IF_ERROR(write.Run());
  if (bytes <= kTestWriteBytes) return absl::OkStatus();
  return database_->Execute("UPDATE write_test SET filler = x''");
}

absl::StatusOr<std::vector<std::string>> SqliteDeliveryQueue::Groups() {
  base::MutexLock lock(mutex_);
  return Note(GroupsLocked());
}

absl::StatusOr<std::vector<std::string>> SqliteDeliveryQueue::GroupsLocked() {
  NS_RETURN_IF_ERROR(Usable());
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
  return Note(GroupLocked(site_id));
}

absl::StatusOr<GroupState> SqliteDeliveryQueue::GroupLocked(const std::string& site_id) {
  NS_RETURN_IF_ERROR(Usable());
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
      database_->Prepare(
          "SELECT l.made_us, EXISTS(SELECT 1 FROM deliveries d "
          "WHERE d.letter = l.id AND d.status <> 1) FROM letters l "
          "WHERE l.is_alert = 1 AND l.bulk = 0 AND l.site = ? ORDER BY l.made_us DESC LIMIT 1"));
  last.BindText(1, site_id);
  NS_ASSIGN_OR_RETURN(row, last.Step());
  if (row) {
    state.last_made = absl::FromUnixMicros(last.Int(0));
    state.last_unsent = last.Int(1) == 0;
  }
  return state;
}

absl::StatusOr<PendingAlerts> SqliteDeliveryQueue::Pending(const std::string& site_id,
                                                           std::size_t limit, absl::Time now) {
  base::MutexLock lock(mutex_);
  return Note(PendingLocked(site_id, limit, now));
}

absl::StatusOr<PendingAlerts> SqliteDeliveryQueue::PendingLocked(const std::string& site_id,
                                                                 std::size_t limit,
                                                                 absl::Time now) {
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare(absl::StrCat("SELECT ", BreachColumns(kSchemaVersion),
                                      " FROM breaches WHERE letter IS NULL AND site = ? "
                                      "ORDER BY crossed_us, row")));
  select.BindText(1, site_id);
  PendingAlerts pending;
  std::vector<BreachRow> damaged;
  std::size_t bytes = 0;
  while (pending.alerts.size() < limit && bytes < kMaxPendingBytes) {
    NS_ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found) break;
    BreachRow row = ReadBreach(select, kSchemaVersion);
    bytes += row.alert.size();
    if (!row.sound) {
      damaged.push_back(std::move(row));
      continue;
    }
    absl::StatusOr<report::Alert> alert = DecodeAlert(row.alert);
    if (alert.ok()) {
      pending.alerts.push_back(*std::move(alert));
    } else {
      pending.unreadable.Update(
          absl::Status(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("breach ", row.id, ": ", alert.status().message())));
    }
  }
  select.Reset();
  if (!damaged.empty()) NS_RETURN_IF_ERROR(SetAlertsAside(damaged, now));
  return pending;
}

absl::Status SqliteDeliveryQueue::SetAlertsAside(const std::vector<BreachRow>& rows,
                                                 absl::Time now) {
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(sqlite::Statement remove,
                      database_->Prepare("DELETE FROM breaches WHERE row = ?"));
  for (const BreachRow& row : rows) {
    NS_RETURN_IF_ERROR(
        InsertSetAside(*database_, "alert", row.id,
                       absl::StrCat("breach ", row.id, " is damaged: its checksum does not fit"),
                       Us(now), row.alert));
    remove.BindInt(1, row.row);
    NS_RETURN_IF_ERROR(remove.Run());
  }
  NS_RETURN_IF_ERROR(transaction.Commit());
  for (const BreachRow& row : rows) {
    Tell(absl::StrCat("a stored alert is damaged and becomes no mail: breach ",
                      base::DisplayName(row.id), " of site ", base::DisplayName(row.site)));
  }
  return absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::CloseWindow(const std::string& site_id) {
  base::MutexLock lock(mutex_);
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(sqlite::Statement close,
                      database_->Prepare("DELETE FROM windows WHERE site = ?"));
  close.BindText(1, site_id);
  return close.Run();
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
  return Note(AddLetterLocked(letter, now));
}

absl::StatusOr<std::vector<std::string>> SqliteDeliveryQueue::AddLetterLocked(
    const NewLetter& letter, absl::Time now) {
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(const std::int64_t waiting,
                      database_->QueryInt("SELECT count(*) FROM deliveries WHERE status = 1"));
  if (waiting + static_cast<std::int64_t>(letter.recipients.size()) > limits_.waiting_deliveries) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "as many deliveries wait as may (", limits_.waiting_deliveries, "), no more are taken"));
  }
  const bool is_alert = !letter.breach_ids.empty();
  NS_RETURN_IF_ERROR(InsertLetter(*database_, {.letter = letter.letter,
                                               .site = letter.site_id,
                                               .is_alert = is_alert,
                                               .bulk = letter.bulk,
                                               .made_us = Us(now)}));
  std::vector<std::string> ids;
  for (const std::string& recipient : letter.recipients) {
    ids.push_back(DeliveryId(letter, recipient));
    NS_RETURN_IF_ERROR(InsertDelivery(*database_, {.id = ids.back(),
                                                   .letter = letter.letter.id,
                                                   .channel = letter.channel,
                                                   .recipient = recipient,
                                                   .next_us = Us(now),
                                                   .made_us = Us(now),
                                                   .priority = !is_alert      ? 2
                                                               : letter.bulk  ? 1
                                                               : letter.first ? -1
                                                                              : 0}));
  }
  NS_ASSIGN_OR_RETURN(sqlite::Statement told,
                      database_->Prepare("UPDATE breaches SET letter = ? WHERE id = ?"));
  for (const std::string& breach : letter.breach_ids) {
    told.BindText(1, letter.letter.id);
    told.BindText(2, breach);
    NS_RETURN_IF_ERROR(told.Run());
  }
  if (is_alert) {
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

absl::StatusOr<absl::Time> SqliteDeliveryQueue::NextDueTime(const std::string& channel) {
  base::MutexLock lock(mutex_);
  NS_RETURN_IF_ERROR(Usable());
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
  NS_RETURN_IF_ERROR(Usable());
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
  NS_RETURN_IF_ERROR(Usable());
  return WriteRun(run);
}

absl::StatusOr<std::vector<DeliveryRecord>> SqliteDeliveryQueue::List(std::size_t limit) {
  base::MutexLock lock(mutex_);
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare(
          "SELECT d.id, d.channel, d.recipient, l.subject, d.status, d.attempts, "
          "d.next_us, d.detail FROM deliveries d LEFT JOIN letters l ON l.id = d.letter "
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

absl::StatusOr<QueueCounts> SqliteDeliveryQueue::Counts()
    // As CheckIntake.
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const std::unique_lock<std::mutex> lock(mutex_.native(), std::try_to_lock);
  if (!lock.owns_lock()) return absl::AbortedError("the delivery queue is in use");
  NS_RETURN_IF_ERROR(Usable());
  QueueCounts counts;
  NS_ASSIGN_OR_RETURN(counts.pending_alerts,
                      database_->QueryInt("SELECT count(*) FROM breaches WHERE letter IS NULL"));
  NS_ASSIGN_OR_RETURN(counts.waiting,
                      database_->QueryInt("SELECT count(*) FROM deliveries WHERE status = 1"));
  NS_ASSIGN_OR_RETURN(counts.parked,
                      database_->QueryInt("SELECT count(*) FROM deliveries WHERE status = 3"));
  return counts;
}

absl::StatusOr<SetAside> SqliteDeliveryQueue::DamageSince(absl::Time since)
    // As CheckIntake.
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const std::unique_lock<std::mutex> lock(mutex_.native(), std::try_to_lock);
  if (!lock.owns_lock()) return absl::AbortedError("the delivery queue is in use");
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare("SELECT count(*) OVER (), reason, at_us FROM set_aside WHERE at_us >= ? "
                         "ORDER BY row DESC LIMIT 1"));
  select.BindInt(1, Us(since));
  NS_ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found) return SetAside();
  return SetAside{
      .count = select.Int(0), .reason = select.Text(1), .at = absl::FromUnixMicros(select.Int(2))};
}

absl::StatusOr<std::vector<RecipientState>> SqliteDeliveryQueue::Recipients(
    const std::string& channel, absl::Time since) {
  base::MutexLock lock(mutex_);
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare("SELECT recipient, max(iif(status = 2, done_us, 0)), "
                         "min(iif(status = 1, first_try_us, 9223372036854775807)), "
                         "max(iif(status <> 2, detail, '')), max(iif(status = 3, done_us, 0)) "
                         "FROM deliveries WHERE channel = ? AND ((status <> 1 AND done_us >= ?) OR "
                         "(status = 1 AND first_try_us <> 0)) "
                         "GROUP BY recipient LIMIT 10000"));
  select.BindText(1, channel);
  select.BindInt(2, Us(since));
  std::vector<RecipientState> states;
  while (true) {
    NS_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return states;
    RecipientState state{.recipient = select.Text(0), .detail = select.Text(3)};
    if (select.Int(1) != 0) state.passed_at = absl::FromUnixMicros(select.Int(1));
    if (select.Int(2) != INT64_MAX) state.put_off_since = absl::FromUnixMicros(select.Int(2));
    if (select.Int(4) != 0) state.given_up_at = absl::FromUnixMicros(select.Int(4));
    states.push_back(std::move(state));
  }
}

absl::Status SqliteDeliveryQueue::Purge(absl::Time now) {
  base::MutexLock lock(mutex_);
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  const std::int64_t before = Us(now - kKeepDone);
  NS_RETURN_IF_ERROR(database_->Execute(absl::StrCat(
      "DELETE FROM deliveries WHERE status <> 1 AND done_us < ", before, ";",
      "DELETE FROM letters WHERE made_us < ", before,
      " AND NOT EXISTS(SELECT 1 FROM deliveries WHERE letter = letters.id);",
      "DELETE FROM breaches WHERE accepted_us < ", before,
      " AND letter IS NOT NULL AND NOT EXISTS(SELECT 1 FROM letters WHERE id = breaches.letter);",
      "DELETE FROM set_aside WHERE at_us < ", before, ";",
      // The attachment of a mail that everybody has is only weight.
      "UPDATE letters SET csv = x'', csv_name = '', csv_checksum = ", EmptyAttachmentChecksum(),
      " WHERE csv_name <> '' AND made_us < ", Us(now - absl::Hours(72)),
      " AND NOT EXISTS(SELECT 1 FROM deliveries WHERE letter = letters.id AND status <> 2);")));
  return transaction.Commit();
}

}  // namespace netsentinel::delivery
