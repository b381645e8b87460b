// Opening the delivery queue: one process at a time, files of older versions, damaged files.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/status_macros.h"
#include "notifier/delivery/sqlite_delivery_queue.h"
#include "notifier/delivery/sqlite_queue_rows.h"
#include "notifier/delivery/sqlite_queue_salvage.h"

namespace netsentinel::delivery {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeptDamagedFiles = 3;
// Further than this no release will have come.
constexpr std::int64_t kPlausibleVersion = 1'000;

// From version 1, which lacked these.
constexpr absl::string_view kSchema2 = R"(
ALTER TABLE deliveries ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
ALTER TABLE deliveries ADD COLUMN first_try_us INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET priority = 0
  WHERE letter IN (SELECT id FROM letters WHERE is_alert = 1);
UPDATE deliveries SET first_try_us = made_us WHERE attempts > 0;
)";

absl::Status Rename(const std::string& from, const std::string& to) {
  std::error_code failed;
  fs::rename(from, to, failed);
  if (!failed) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("delivery queue: ", from, " cannot be moved to ", to, ": ", failed.message()));
}

void Remove(const std::string& path) {
  std::error_code ignored;
  for (const char* part : {"", "-wal", "-shm"}) fs::remove(absl::StrCat(path, part), ignored);
}

// Puts path.ready in the place of `path`, whose parts go to `aside`. May be cut off anywhere and
// begun again: the log of the old file goes first, so that the new one never meets it.
absl::Status Replace(const std::string& path, const std::string& aside) {
  std::error_code ignored;
  for (const char* part : {"-wal", "-shm"}) {
    fs::rename(absl::StrCat(path, part), absl::StrCat(aside, part), ignored);
  }
  if (fs::exists(path, ignored)) NS_RETURN_IF_ERROR(Rename(path, aside));
  return Rename(absl::StrCat(path, ".ready"), path);
}

std::string AsideName(const std::string& path, absl::Time now) {
  return absl::StrCat(path, ".damaged-", absl::ToUnixSeconds(now));
}

void KeepNewestDamaged(const std::string& path) {
  const std::string prefix = absl::StrCat(fs::path(path).filename().string(), ".damaged-");
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (absl::StartsWith(name, prefix) && !absl::EndsWith(name, "-wal") &&
        !absl::EndsWith(name, "-shm")) {
      found.push_back(entry.path().string());
    }
  }
  std::sort(found.begin(), found.end());
  for (std::size_t i = 0; i + kKeptDamagedFiles < found.size(); ++i) Remove(found[i]);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteDeliveryQueue>> SqliteDeliveryQueue::Open(
    const std::string& path, const RetryPolicy& policy, absl::Time now, const QueueLimits& limits) {
  std::unique_ptr<SqliteDeliveryQueue> queue(new SqliteDeliveryQueue(path, policy, limits));
  NS_RETURN_IF_ERROR(queue->LockOut());
  {
    base::MutexLock lock(queue->mutex_);
    NS_RETURN_IF_ERROR(queue->OpenFile(now));
  }
  NS_RETURN_IF_ERROR(queue->ReleaseClaims(now));
  return queue;
}

SqliteDeliveryQueue::~SqliteDeliveryQueue() {
  {
    // The file is closed before anybody else may open it.
    base::MutexLock lock(mutex_);
    database_.reset();
  }
  if (lock_ >= 0) ::close(lock_);
}

absl::Status SqliteDeliveryQueue::LockOut() {
  const std::string name = absl::StrCat(path_, ".lock");
  lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("delivery queue: cannot open ", name, ": ", std::strerror(errno),
                     "; check that state_dir exists and is writable"));
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) {
    return absl::UnavailableError(
        absl::StrCat("delivery queue: cannot lock ", name, ": ", std::strerror(errno)));
  }
  return absl::UnavailableError(
      absl::StrCat("delivery queue ", path_,
                   ": another notifier has this state_dir open; stop it, or give this one a "
                   "state_dir of its own"));
}

absl::Status SqliteDeliveryQueue::Connect() {
  database_.reset();
  absl::StatusOr<std::unique_ptr<sqlite::Database>> opened =
      sqlite::Database::Open(path_, {.synchronous = sqlite::Synchronous::kFull,
                                     .busy_timeout = absl::Seconds(2),
                                     .exclusive = true});
  if (absl::IsUnavailable(opened.status())) {
    return absl::UnavailableError(absl::StrCat(
        opened.status().message(), "; another program has this file open, or the disk fails"));
  }
  NS_RETURN_IF_ERROR(opened.status());
  database_ = *std::move(opened);
  if (limits_.file_pages == 0) return absl::OkStatus();
  return database_->Execute(absl::StrCat("PRAGMA max_page_count=", limits_.file_pages));
}

absl::Status SqliteDeliveryQueue::OpenFile(absl::Time now) {
  std::error_code ignored;
  Remove(absl::StrCat(path_, ".new"));
  // A replacement that was cut off.
  if (fs::exists(absl::StrCat(path_, ".ready"), ignored)) {
    NS_RETURN_IF_ERROR(Replace(path_, AsideName(path_, now)));
  }
  const absl::Status opened = OpenSound(now);
  return absl::IsDataLoss(opened) ? BeginAnew(opened, now) : opened;
}

absl::StatusOr<std::int64_t> SqliteDeliveryQueue::Version() {
  NS_ASSIGN_OR_RETURN(const std::int64_t named, database_->QueryInt("PRAGMA user_version"));
  if (named > kSchemaVersion && named < kPlausibleVersion) return named;
  // The number stands by itself in the file; what the tables look like is more than a number.
  sqlite::Database& database = *database_;
  const auto has = [&](absl::string_view table, absl::string_view column) {
    return database.QueryInt(absl::StrCat("SELECT count(*) FROM pragma_table_info('", table,
                                          "') WHERE name = '", column, "'"));
  };
  NS_ASSIGN_OR_RETURN(const std::int64_t with_checksums, has("breaches", "checksum"));
  if (with_checksums > 0) return kSchemaVersion;
  NS_ASSIGN_OR_RETURN(const std::int64_t with_priority, has("deliveries", "priority"));
  if (with_priority > 0) return 2;
  return has("deliveries", "id");
}

absl::Status SqliteDeliveryQueue::OpenSound(absl::Time now) {
  NS_RETURN_IF_ERROR(Connect());
  NS_ASSIGN_OR_RETURN(std::int64_t version, Version());
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(path_, ": its schema is version ", version,
                                                      ", this notifier knows up to ",
                                                      kSchemaVersion, ": upgrade the notifier"));
  }
  if (version == 0) {
    NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
    NS_RETURN_IF_ERROR(database_->Execute(kQueueSchema));
    NS_RETURN_IF_ERROR(database_->Execute(absl::StrCat("PRAGMA user_version=", kSchemaVersion)));
    return transaction.Commit();
  }
  if (version == 1) {
    NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
    NS_RETURN_IF_ERROR(database_->Execute(kSchema2));
    NS_RETURN_IF_ERROR(transaction.Commit());
    version = 2;
  }
  NS_ASSIGN_OR_RETURN(sqlite::Statement check, database_->Prepare("PRAGMA quick_check(1)"));
  const absl::StatusOr<bool> answered = check.Step();
  const bool sound = answered.ok() && *answered && check.Text(0) == "ok";
  check.Reset();
  if (!sound || version < kSchemaVersion) return Rebuild(version, !sound, now);
  return database_->Execute(absl::StrCat("PRAGMA user_version=", kSchemaVersion));
}

absl::Status SqliteDeliveryQueue::Rebuild(std::int64_t version, bool keep_old, absl::Time now) {
  const std::string fresh = absl::StrCat(path_, ".new");
  const std::string aside = AsideName(path_, now);
  Remove(fresh);
  Salvage salvage;
  std::string incident;
  {
    NS_ASSIGN_OR_RETURN(const std::unique_ptr<sqlite::Database> to,
                        sqlite::Database::Open(fresh, {}));
    NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*to));
    NS_RETURN_IF_ERROR(to->Execute(kQueueSchema));
    NS_RETURN_IF_ERROR(to->Execute(absl::StrCat("PRAGMA user_version=", kSchemaVersion)));
    NS_ASSIGN_OR_RETURN(salvage, CopyQueue(*database_, version, *to, absl::ToUnixMicros(now)));
    if (keep_old) {
      incident = absl::StrCat(
          "pages of the delivery queue's file could not be read: it was moved to ", aside, ", ",
          salvage.alerts, " alerts and ", salvage.deliveries, " deliveries were taken over; ",
          salvage.lost_alerts, " breaches are gone from it, of which some may have been mailed");
      NS_RETURN_IF_ERROR(InsertSetAside(*to, "file", "", incident, absl::ToUnixMicros(now), ""));
    }
    NS_RETURN_IF_ERROR(transaction.Commit());
  }
  NS_RETURN_IF_ERROR(Rename(fresh, absl::StrCat(path_, ".ready")));
  database_.reset();
  NS_RETURN_IF_ERROR(Replace(path_, aside));
  if (keep_old) {
    Tell(std::move(incident));
    KeepNewestDamaged(path_);
  } else {
    Remove(aside);
  }
  damaged_ = false;
  ++alert_changes_;
  return Connect();
}

absl::Status SqliteDeliveryQueue::BeginAnew(const absl::Status& why, absl::Time now) {
  database_.reset();
  const std::string aside = AsideName(path_, now);
  for (const char* part : {"-wal", "-shm"}) {
    std::error_code ignored;
    fs::rename(absl::StrCat(path_, part), absl::StrCat(aside, part), ignored);
  }
  NS_RETURN_IF_ERROR(Rename(path_, aside));
  KeepNewestDamaged(path_);
  NS_RETURN_IF_ERROR(OpenSound(now));
  Salvage salvage;
  NS_RETURN_IF_ERROR(CopyPages(aside, *database_, salvage));
  std::string incident = absl::StrCat(
      "the delivery queue's file could not be read (", why.message(), "): it was moved to ", aside,
      " and a new queue begun; ", salvage.alerts, " alerts and ", salvage.deliveries,
      " deliveries were found in its pages and taken over");
  NS_RETURN_IF_ERROR(InsertSetAside(*database_, "file", "", incident, absl::ToUnixMicros(now), ""));
  Tell(std::move(incident));
  damaged_ = false;
  return absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::Repair(absl::Time now) {
  base::MutexLock lock(mutex_);
  // A repair that failed half-way has closed it.
  if (database_ == nullptr) return OpenFile(now);
  const absl::Status rebuilt = Rebuild(kSchemaVersion, /*keep_old=*/true, now);
  if (rebuilt.ok() || database_ != nullptr) return rebuilt;
  return OpenFile(now);
}

}  // namespace netsentinel::delivery
