#include "notifier/audit/sqlite_audit_queue.h"

#include <map>
#include <type_traits>
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

// Further than this no release will have come.
constexpr std::int64_t kPlausibleVersion = 1'000;
constexpr absl::string_view kColumns =
    "entry_id, at_us, role, name, serial, fingerprint, address, on_behalf_of, action, subject,"
    " before, after, reason";

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

// An entry of a damaged file.
struct SavedEntry {
  AuditEntry entry;
  std::int64_t state = 0;
  std::string refused_why;
};

// By id, from both ends up to what cannot be read.
std::map<std::string, SavedEntry> ReadWhatCanBe(sqlite::Database& database) {
  std::map<std::string, SavedEntry> saved;
  for (const char* order : {"ASC", "DESC"}) {
    absl::StatusOr<sqlite::Statement> rows = database.Prepare(absl::StrCat(
        "SELECT ", kColumns, ", state, refused_why FROM entries ORDER BY row ", order));
    while (rows.ok()) {
      const absl::StatusOr<bool> row = rows->Step();
      if (!row.ok() || !*row) break;
      SavedEntry one{ReadEntry(*rows), rows->Int(13), rows->Text(14)};
      const bool sound = !one.entry.entry_id.empty() && one.state >= 0 && one.state <= 2;
      if (sound) saved.try_emplace(one.entry.entry_id, std::move(one));
    }
  }
  return saved;
}

}  // namespace

template <typename Use>
auto SqliteAuditQueue::Using(const Use& use) -> decltype(use()) {
  const auto status_of = [](const auto& result) {
    if constexpr (std::is_same_v<std::decay_t<decltype(result)>, absl::Status>) {
      return result;
    } else {
      return result.status();
    }
  };
  if (database_ == nullptr) {
    if (const absl::Status opened = OpenFile(); !opened.ok()) return opened;
  }
  auto result = use();
  const absl::Status status = status_of(result);
  if (!absl::IsDataLoss(status)) return result;
  if (const absl::Status anew = BeginAnew(status); !anew.ok()) return anew;
  return use();
}

absl::StatusOr<std::unique_ptr<SqliteAuditQueue>> SqliteAuditQueue::Open(const std::string& path,
                                                                         const base::Clock& clock,
                                                                         std::int64_t limit) {
  std::unique_ptr<SqliteAuditQueue> queue(new SqliteAuditQueue(path, clock, limit));
  base::MutexLock lock(queue->mutex_);
  NS_RETURN_IF_ERROR(queue->OpenFile());
  return queue;
}

absl::Status SqliteAuditQueue::OpenFile() {
  absl::StatusOr<std::unique_ptr<sqlite::Database>> opened =
      sqlite::Database::Open(path_, {.synchronous = sqlite::Synchronous::kFull, .exclusive = true});
  absl::Status status = opened.status();
  if (status.ok()) {
    database_ = *std::move(opened);
    status = Prepare();
  }
  if (absl::IsDataLoss(status)) return BeginAnew(status);
  if (!status.ok()) database_.reset();
  return status;
}

absl::Status SqliteAuditQueue::Prepare() {
  NS_ASSIGN_OR_RETURN(const std::int64_t version, database_->QueryInt("PRAGMA user_version"));
  // The number stands by itself in the file; what the table looks like is more than a number.
  NS_ASSIGN_OR_RETURN(const std::int64_t columns,
                      database_->QueryInt("SELECT count(*) FROM pragma_table_info('entries')"));
  if (version > kSchemaVersion && version < kPlausibleVersion) {
    return absl::FailedPreconditionError(absl::StrCat(database_->path(), ": its schema is version ",
                                                      version, ", this notifier knows up to ",
                                                      kSchemaVersion, ": upgrade the notifier"));
  }
  if (columns == 0 && version != 0) {
    return absl::DataLossError(absl::StrCat(path_, ": its table is gone"));
  }
  if (columns == 0) {
    NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
    NS_RETURN_IF_ERROR(database_->Execute(kSchema));
    NS_RETURN_IF_ERROR(database_->Execute(absl::StrCat("PRAGMA user_version = ", kSchemaVersion)));
    return transaction.Commit();
  }
  NS_ASSIGN_OR_RETURN(sqlite::Statement check, database_->Prepare("PRAGMA quick_check(1)"));
  NS_ASSIGN_OR_RETURN(const bool answered, check.Step());
  if (!answered || check.Text(0) != "ok") {
    return absl::DataLossError(absl::StrCat(path_, ": ", check.Text(0)));
  }
  check.Reset();
  return version == kSchemaVersion
             ? absl::OkStatus()
             : database_->Execute(absl::StrCat("PRAGMA user_version = ", kSchemaVersion));
}

absl::Status SqliteAuditQueue::BeginAnew(const absl::Status& why) {
  std::map<std::string, SavedEntry> saved;
  if (database_ != nullptr) saved = ReadWhatCanBe(*database_);
  database_.reset();
  const absl::Time now = clock_.WallNow();
  NS_ASSIGN_OR_RETURN(const std::string aside, sqlite::MoveAside(path_, now));
  NS_ASSIGN_OR_RETURN(std::unique_ptr<sqlite::Database> fresh,
                      sqlite::Database::Open(
                          path_, {.synchronous = sqlite::Synchronous::kFull, .exclusive = true}));
  database_ = std::move(fresh);
  absl::Status filled = Prepare();
  for (const auto& [id, one] : saved) {
    if (filled.ok()) filled = Insert(one.entry, one.state, one.refused_why);
  }
  incidents_.push_back(absl::StrCat(
      "changes on their way into the audit log: ", why.message(), "; the file was moved to ", aside,
      " and a new one begun with the ", saved.size(), saved.size() == 1 ? " change" : " changes",
      " that could be read: the audit log may lack others"));
  if (!filled.ok()) database_.reset();
  return filled;
}

std::vector<std::string> SqliteAuditQueue::TakeIncidents() {
  base::MutexLock lock(mutex_);
  return std::exchange(incidents_, {});
}

std::optional<sqlite::DamagedFile> SqliteAuditQueue::Damage() const {
  return sqlite::NewestAside(path_);
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
  return Using([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Count(); });
}

absl::Status SqliteAuditQueue::Insert(const AuditEntry& entry, std::int64_t state,
                                      const std::string& refused_why) {
  NS_ASSIGN_OR_RETURN(sqlite::Statement insert,
                      database_->Prepare(absl::StrCat("INSERT INTO entries(", kColumns,
                                                      ", state, refused_why) VALUES "
                                                      "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")));
  insert.BindText(1, entry.entry_id);
  insert.BindInt(2, absl::ToUnixMicros(entry.at));
  int index = 3;
  for (const std::string* text : {&entry.role, &entry.name, &entry.serial, &entry.fingerprint,
                                  &entry.address, &entry.on_behalf_of, &entry.action,
                                  &entry.subject, &entry.before, &entry.after, &entry.reason}) {
    insert.BindText(index++, *text);
  }
  insert.BindInt(index++, state);
  insert.BindText(index, refused_why);
  return insert.Run();
}

absl::Status SqliteAuditQueue::Begin(const AuditEntry& entry) {
  base::MutexLock lock(mutex_);
  AuditEntry begun = entry;
  begun.after = std::string(kNobodyKnows);
  NS_RETURN_IF_ERROR(Using([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
    NS_ASSIGN_OR_RETURN(const AuditCounts counts, Count());
    if (counts.waiting >= limit_) {
      return absl::ResourceExhaustedError(
          absl::StrCat(counts.waiting,
                       " audit entries wait for the aggregator, as many as may: "
                       "nothing is changed until they are handed over; /readyz says "
                       "what they wait for"));
    }
    return Insert(begun, /*state=*/0, "");
  }));
  under_way_.insert(entry.entry_id);
  return absl::OkStatus();
}

absl::Status SqliteAuditQueue::Finish(const std::string& entry_id, const std::string& after) {
  base::MutexLock lock(mutex_);
  under_way_.erase(entry_id);
  return Using([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
    NS_ASSIGN_OR_RETURN(
        sqlite::Statement update,
        database_->Prepare("UPDATE entries SET state = 1, after = ? WHERE entry_id = ?"));
    update.BindText(1, after);
    update.BindText(2, entry_id);
    NS_RETURN_IF_ERROR(update.Run());
    if (database_->Changes() > 0) return absl::OkStatus();
    return absl::NotFoundError(
        absl::StrCat(path_, ": the change was lost with the damaged file it stood in"));
  });
}

absl::StatusOr<std::vector<AuditEntry>> SqliteAuditQueue::Waiting(std::size_t limit) {
  base::MutexLock lock(mutex_);
  return Using([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                   mutex_) -> absl::StatusOr<std::vector<AuditEntry>> {
    NS_ASSIGN_OR_RETURN(sqlite::Statement rows,
                        database_->Prepare(absl::StrCat("SELECT ", kColumns,
                                                        " FROM entries WHERE state < 2 ORDER BY "
                                                        "row")));
    std::vector<AuditEntry> entries;
    while (entries.size() < limit) {
      NS_ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) break;
      AuditEntry entry = ReadEntry(rows);
      if (under_way_.count(entry.entry_id) == 0) entries.push_back(std::move(entry));
    }
    return entries;
  });
}

absl::Status SqliteAuditQueue::HandedOver(const std::vector<AuditEntry>& entries) {
  base::MutexLock lock(mutex_);
  return Using([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
    NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
    NS_ASSIGN_OR_RETURN(sqlite::Statement remove,
                        database_->Prepare("DELETE FROM entries WHERE entry_id = ?"));
    for (const AuditEntry& entry : entries) {
      remove.BindText(1, entry.entry_id);
      NS_RETURN_IF_ERROR(remove.Run());
    }
    return transaction.Commit();
  });
}

absl::Status SqliteAuditQueue::SetAside(const std::string& entry_id, absl::string_view why) {
  base::MutexLock lock(mutex_);
  return Using([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> absl::Status {
    NS_ASSIGN_OR_RETURN(
        sqlite::Statement update,
        database_->Prepare("UPDATE entries SET state = 2, refused_why = ? WHERE entry_id = ?"));
    update.BindText(1, why);
    update.BindText(2, entry_id);
    return update.Run();
  });
}

}  // namespace netsentinel::audit
