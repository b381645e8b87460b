#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/sql_session.h"
#include "common/base/mutex.h"
#include "common/sqlite/database.h"

namespace netsentinel::store {

// Lets one transaction of the process write at a time: waiting here is fair, waiting in SQLite is
// polling. Held by every session of a factory.
struct SqliteWriteTurn {
  base::Mutex mutex;
};

// A connection to the embedded database. One thread.
class SqliteSession final : public SqlSession {
 public:
  SqliteSession(std::unique_ptr<sqlite::Database> database, std::shared_ptr<SqliteWriteTurn> turn,
                std::shared_ptr<void> lifetime);
  ~SqliteSession() override;

  Dialect dialect() const override { return Dialect::kSqlite; }
  absl::Status Begin() override;
  absl::Status BeginRead() override;
  absl::Status Commit() override;
  void Rollback() override;
  bool RetryAtOnce() const override { return false; }
  std::size_t value_max() const override { return kMaxPayloadBytes; }
  absl::Status Execute(absl::string_view sql, absl::Span<const SqlValue> values) override;
  absl::StatusOr<std::unique_ptr<SqlRows>> Query(absl::string_view sql,
                                                 absl::Span<const SqlValue> values) override;
  absl::StatusOr<std::unique_ptr<RowWriter>> Insert(const InsertShape& shape) override;

 private:
  // A statement ready for values; the caller's until it lets go of it.
  absl::StatusOr<std::shared_ptr<sqlite::Statement>> Prepared(absl::string_view sql);

  std::shared_ptr<void> lifetime_;  // the lock of the file goes last
  std::shared_ptr<SqliteWriteTurn> turn_;
  std::unique_lock<std::mutex> my_turn_;
  std::unique_ptr<sqlite::Database> database_;
  // Statements of a fixed set of texts; those with lists of varying length are not kept.
  absl::flat_hash_map<std::string, std::shared_ptr<sqlite::Statement>> statements_;
  bool open_ = false;
};

}  // namespace netsentinel::store
