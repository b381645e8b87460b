#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

struct sqlite3;
struct sqlite3_stmt;

// A thin layer over SQLite for the spool, the embedded store and the notifier's delivery queue.
namespace netsentinel::sqlite {

// A prepared statement. Bind from 1, Step until it says no row, Reset for the next use. Text and
// blobs are copied when bound. One thread; must not outlive its Database.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();

  void BindInt(int index, std::int64_t value);
  // `value` must be at most 2⁶³−1; checked.
  void BindUint(int index, std::uint64_t value);
  void BindText(int index, absl::string_view value);
  void BindBlob(int index, absl::string_view value);
  void BindNull(int index);

  // True: a row is there. False: done. Errors as Database::Execute.
  absl::StatusOr<bool> Step();
  // Runs to the end, ignoring rows, and resets.
  absl::Status Run();
  // Makes the statement ready for new values; bound ones are forgotten.
  void Reset();

  // Columns from 0 of the current row. NULL reads as 0 or "".
  std::int64_t Int(int column) const;
  // A negative value in the file reads as 0: nothing here stores one.
  std::uint64_t Uint(int column) const;
  std::string Text(int column) const;
  std::string Blob(int column) const;
  bool IsNull(int column) const;

 private:
  sqlite3_stmt* handle_ = nullptr;
  absl::Status bind_error_;
};

// How durable a commit is.
enum class Synchronous { kNormal, kFull };

struct OpenOptions {
  Synchronous synchronous = Synchronous::kFull;
  absl::Duration busy_timeout = absl::Seconds(5);
  // Refuses any other process for as long as this one has the file open.
  bool exclusive = false;
  // Keep at most this much of the write-ahead log after a checkpoint.
  std::int64_t journal_size_limit = 64 << 20;
};

// An open database file in WAL mode. One thread. Errors: kUnavailable busy, locked or cannot open
// now; kResourceExhausted disk full; kDataLoss the file is damaged; kFailedPrecondition read-only
// or no permission; kAlreadyExists a constraint; kInternal anything else. Messages name the file.
class Database {
 public:
  // Opens or creates `path`; a new file is its owner's alone (mode 0600).
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        const OpenOptions& options);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // One or several statements separated by semicolons, without results.
  absl::Status Execute(absl::string_view sql);
  absl::StatusOr<Statement> Prepare(absl::string_view sql);
  // The first column of the first row; kNotFound without a row.
  absl::StatusOr<std::int64_t> QueryInt(absl::string_view sql);
  // Rows changed by the last statement.
  std::int64_t Changes() const;
  std::int64_t LastInsertId() const;
  const std::string& path() const { return path_; }

 private:
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  std::string path_;
  sqlite3* handle_;
};

// BEGIN IMMEDIATE … COMMIT; rolls back when it goes without Commit(). One thread.
class Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(other.database_) {
    other.database_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  // After an error nothing of the transaction happened.
  absl::Status Commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace netsentinel::sqlite
