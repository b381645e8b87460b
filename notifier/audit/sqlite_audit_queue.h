#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/sqlite/damaged_file.h"
#include "common/sqlite/database.h"
#include "notifier/audit/audit_entry.h"

namespace netsentinel::audit {

struct AuditCounts {
  std::int64_t waiting = 0;  // not handed over yet
  std::int64_t refused = 0;  // set aside: the aggregator will never take them
};

// Changes that the aggregator's audit log does not have yet, in one SQLite file (synchronous FULL):
// what Begin has returned OK for survives a crash. A damaged file is moved aside and a new one
// begun: mail does not wait for it. Thread-safe. Errors are those of sqlite::Database.
class SqliteAuditQueue {
 public:
  // Opens or creates the file, which no other process may have open. `limit` is how many entries
  // may wait. `clock` outlives the queue.
  static absl::StatusOr<std::unique_ptr<SqliteAuditQueue>> Open(const std::string& path,
                                                                const base::Clock& clock,
                                                                std::int64_t limit = 10'000);

  // Stores a change that is about to be made. kResourceExhausted when as many wait as may: it must
  // not be made then.
  absl::Status Begin(const AuditEntry& entry);
  // Says what came of it. Where this fails, and where the process ended in between, the entry is
  // handed over with the word that nobody knows.
  absl::Status Finish(const std::string& entry_id, const std::string& after);

  // At most `limit` entries whose outcome is there, oldest first.
  absl::StatusOr<std::vector<AuditEntry>> Waiting(std::size_t limit);
  // They are in the aggregator's log.
  absl::Status HandedOver(const std::vector<AuditEntry>& entries);
  // Keeps an entry that the aggregator has refused for good, for a person to look at.
  absl::Status SetAside(const std::string& entry_id, absl::string_view why);
  absl::StatusOr<AuditCounts> Counts();

  // What was found damaged since the last call, a sentence each.
  std::vector<std::string> TakeIncidents();
  // The newest damaged file that was moved aside, also by an earlier process.
  std::optional<sqlite::DamagedFile> Damage() const;

 private:
  SqliteAuditQueue(std::string path, const base::Clock& clock, std::int64_t limit)
      : path_(std::move(path)), clock_(clock), limit_(limit) {}
  absl::Status OpenFile() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Prepare() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves the damaged file aside and goes on with a new one, with every entry that can be read.
  absl::Status BeginAnew(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The result of `use`; in a damaged file a new one is begun and `use` called once more.
  template <typename Use>
  auto Using(const Use& use) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> decltype(use());
  absl::Status Insert(const AuditEntry& entry, std::int64_t state, const std::string& refused_why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<AuditCounts> Count() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  const base::Clock& clock_;
  const std::int64_t limit_;
  base::Mutex mutex_;
  // None while a new file could not be begun.
  std::unique_ptr<sqlite::Database> database_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> incidents_ ABSL_GUARDED_BY(mutex_);
  // Begun by this process and not finished.
  std::set<std::string> under_way_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::audit
