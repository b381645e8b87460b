#include "notifier/audit/sqlite_audit_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::audit {
namespace {

constexpr std::int64_t kSchemaVersion = 1;
// state: 0 begun, 1 its outcome is there, 2 refused by the aggregator.
constexpr absl::string_view kSchema = R"(
CREATE TABLE entries(
  row INTEGER PRIMARY KEY AUTOINCREMENT, entry_id TEXT NOT NULL UNIQUE, state INTEGER NOT NULL,
  at_us INTEGER NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL, serial TEXT NOT NULL,
  fingerprint TEXT NOT NULL, address TEXT NOT NULL, on_behalf_of TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
  reason TEXT NOT NULL, refused_why TEXT NOT NULL) STRICT;
)";
constexpr absl::string_view kNobodyKnows =
    "not known: the notifier ended, or its disk failed, before the outcome was written";

AuditEntry ReadEntry(const sqlite::Statement& rows) {
  AuditEntry entry;
  entry.entry_id = rows.Text(0);
  entry.at = absl::FromUnixMicros(rows.Int(1));
  int column = 2;
  for (std::string* text : {&entry.role, &entry.name, &entry.serial, &entry.fingerprint,
                            &entry.address, &entry.on_behalf_of, &entry.action, &entry.subject,
                            &entry.before, &entry.after, &entry.reason}) {
    *text = rows.Text(column++);
  }
  return entry;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteAuditQueue>> SqliteAuditQueue::Open(const std::string& path,
                                                                         std::int64_t limit) {
  NS_ASSIGN_OR_RETURN(
      std::unique_ptr<sqlite::Database> database,
      sqlite::Database::Open(path, {.synchronous = sqlite::Synchronous::kFull, .exclusive = true}));
  std::unique_ptr<SqliteAuditQueue> queue(new SqliteAuditQueue(std::move(database), limit));
  base::MutexLock lock(queue->mutex_);
  NS_RETURN_IF_ERROR(queue->Prepare());
  return queue;
}

absl::Status SqliteAuditQueue::Prepare() {
  NS_ASSIGN_OR_RETURN(const std::int64_t version, database_->QueryInt("PRAGMA user_version"));
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(database_->path(), ": its schema is version ",
                                                      version, ", this notifier knows up to ",
                                                      kSchemaVersion, ": upgrade the notifier"));
  }
  if (version == kSchemaVersion) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_RETURN_IF_ERROR(database_->Execute(kSchema));
  NS_RETURN_IF_ERROR(database_->Execute(absl::StrCat("PRAGMA user_version = ", kSchemaVersion)));
  return transaction.Commit();
}

absl::StatusOr<AuditCounts> SqliteAuditQueue::Count() {
  AuditCounts counts;
  NS_ASSIGN_OR_RETURN(counts.waiting,
                      database_->QueryInt("SELECT COUNT(*) FROM entries WHERE state < 2"));
  NS_ASSIGN_OR_RETURN(counts.refused,
                      database_->QueryInt("SELECT COUNT(*) FROM entries WHERE state = 2"));
  return counts;
}

absl::StatusOr<AuditCounts> SqliteAuditQueue::Counts() {
  base::MutexLock lock(mutex_);
  return Count();
}

absl::Status SqliteAuditQueue::Begin(const AuditEntry& entry) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(const AuditCounts counts, Count());
  if (counts.waiting >= limit_) {
    return absl::ResourceExhaustedError(
        absl::StrCat(counts.waiting,
                     " audit entries wait for the aggregator, as many as may: "
                     "nothing is changed until they are handed over; /readyz says "
                     "what they wait for"));
  }
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database_->Prepare("INSERT INTO entries(entry_id, state, at_us, role, name, serial,"
                         " fingerprint, address, on_behalf_of, action, subject, before, after,"
                         " reason, refused_why) VALUES (?,0,?,?,?,?,?,?,?,?,?,?,?,?,'')"));
  insert.BindText(1, entry.entry_id);
  insert.BindInt(2, absl::ToUnixMicros(entry.at));
  int index = 3;
  for (const std::string* text :
       {&entry.role, &entry.name, &entry.serial, &entry.fingerprint, &entry.address,
        &entry.on_behalf_of, &entry.action, &entry.subject, &entry.before}) {
    insert.BindText(index++, *text);
  }
  insert.BindText(index++, kNobodyKnows);
  insert.BindText(index, entry.reason);
  NS_RETURN_IF_ERROR(insert.Run());
  under_way_.insert(entry.entry_id);
  return absl::OkStatus();
}

absl::Status SqliteAuditQueue::Finish(const std::string& entry_id, const std::string& after) {
  base::MutexLock lock(mutex_);
  under_way_.erase(entry_id);
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement update,
      database_->Prepare("UPDATE entries SET state = 1, after = ? WHERE entry_id = ?"));
  update.BindText(1, after);
  update.BindText(2, entry_id);
  return update.Run();
}

absl::StatusOr<std::vector<AuditEntry>> SqliteAuditQueue::Waiting(std::size_t limit) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement rows,
      database_->Prepare("SELECT entry_id, at_us, role, name, serial, fingerprint, address,"
                         " on_behalf_of, action, subject, before, after, reason FROM entries"
                         " WHERE state < 2 ORDER BY row"));
  std::vector<AuditEntry> entries;
  while (entries.size() < limit) {
    NS_ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    AuditEntry entry = ReadEntry(rows);
    if (under_way_.count(entry.entry_id) == 0) entries.push_back(std::move(entry));
  }
  return entries;
}

absl::Status SqliteAuditQueue::HandedOver(const std::vector<AuditEntry>& entries) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(sqlite::Statement remove,
                      database_->Prepare("DELETE FROM entries WHERE entry_id = ?"));
  for (const AuditEntry& entry : entries) {
    remove.BindText(1, entry.entry_id);
    NS_RETURN_IF_ERROR(remove.Run());
  }
  return transaction.Commit();
}

absl::Status SqliteAuditQueue::SetAside(const std::string& entry_id, absl::string_view why) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement update,
      database_->Prepare("UPDATE entries SET state = 2, refused_why = ? WHERE entry_id = ?"));
  update.BindText(1, why);
  update.BindText(2, entry_id);
  return update.Run();
}

}  // namespace netsentinel::audit
