#include "common/sqlite/database.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include <sqlite3.h>

#include "common/base/bytes.h"
#include "common/base/status_macros.h"
#include "common/io/private_state.h"

namespace netsentinel::sqlite {
namespace {

absl::StatusCode CodeOf(int result) {
  switch (result & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
      return absl::StatusCode::kUnavailable;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_CONSTRAINT:
      return absl::StatusCode::kAlreadyExists;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::Status StatusOf(sqlite3* handle, int result, absl::string_view doing) {
  const char* name = handle == nullptr ? nullptr : sqlite3_db_filename(handle, "main");
  return absl::Status(
      CodeOf(result),
      absl::StrCat("SQLite file ", name == nullptr ? "?" : name, ": ", doing, ": ",
                   handle == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle)));
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), bind_error_(std::move(other.bind_error_)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    sqlite3_finalize(handle_);
    handle_ = std::exchange(other.handle_, nullptr);
    bind_error_ = std::move(other.bind_error_);
  }
  return *this;
}

Statement::~Statement() { sqlite3_finalize(handle_); }

void Statement::BindInt(int index, std::int64_t value) {
  const int result = sqlite3_bind_int64(handle_, index, value);
  if (result != SQLITE_OK) bind_error_ = StatusOf(sqlite3_db_handle(handle_), result, "bind");
}

void Statement::BindUint(int index, std::uint64_t value) {
  if (value > base::kMaxStoredBytes) {
    bind_error_ = absl::OutOfRangeError(absl::StrCat("value ", value, " is past 2^63-1"));
    return;
  }
  BindInt(index, static_cast<std::int64_t>(value));
}

void Statement::BindText(int index, absl::string_view value) {
  const int result =
      sqlite3_bind_text64(handle_, index, value.data() == nullptr ? "" : value.data(), value.size(),
                          SQLITE_TRANSIENT, SQLITE_UTF8);
  if (result != SQLITE_OK) bind_error_ = StatusOf(sqlite3_db_handle(handle_), result, "bind");
}

void Statement::BindBlob(int index, absl::string_view value) {
  const int result = sqlite3_bind_blob64(
      handle_, index, value.data() == nullptr ? "" : value.data(), value.size(), SQLITE_TRANSIENT);
  if (result != SQLITE_OK) bind_error_ = StatusOf(sqlite3_db_handle(handle_), result, "bind");
}

void Statement::BindNull(int index) { sqlite3_bind_null(handle_, index); }

absl::StatusOr<bool> Statement::Step() {
  if (!bind_error_.ok()) return bind_error_;
  const int result = sqlite3_step(handle_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return StatusOf(sqlite3_db_handle(handle_), result, "step");
}

absl::Status Statement::Run() {
  for (;;) {
    const absl::StatusOr<bool> row = Step();
    if (!row.ok() || !*row) {
      const absl::Status status = row.status();
      Reset();
      return status;
    }
  }
}

void Statement::Reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
  bind_error_ = absl::OkStatus();
}

std::int64_t Statement::Int(int column) const { return sqlite3_column_int64(handle_, column); }

std::uint64_t Statement::Uint(int column) const {
  const std::int64_t value = Int(column);
  return value < 0 ? 0 : static_cast<std::uint64_t>(value);
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (text == nullptr) return "";
  return std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
}

std::string Statement::Blob(int column) const {
  const auto* blob = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  if (blob == nullptr) return "";
  return std::string(blob, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                         const OpenOptions& options) {
  // SQLite would leave the mode to the umask; its other files take the mode of this one.
  NS_RETURN_IF_ERROR(io::MakePrivateFile(path));
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (result != SQLITE_OK) {
    absl::Status status = absl::Status(
        CodeOf(result),
        absl::StrCat("SQLite file ", path, ": cannot open: ",
                     handle == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle),
                     "; check that the folder exists and is writable"));
    sqlite3_close_v2(handle);
    return status;
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, static_cast<int>(absl::ToInt64Milliseconds(options.busy_timeout)));
  std::unique_ptr<Database> database(new Database(path, handle));
  // Locking mode comes first: WAL then keeps its index in memory and takes no other process in.
  if (options.exclusive) NS_RETURN_IF_ERROR(database->Execute("PRAGMA locking_mode=EXCLUSIVE"));
  NS_RETURN_IF_ERROR(database->Execute("PRAGMA journal_mode=WAL"));
  NS_RETURN_IF_ERROR(database->Execute(options.synchronous == Synchronous::kFull
                                           ? "PRAGMA synchronous=FULL"
                                           : "PRAGMA synchronous=NORMAL"));
  NS_RETURN_IF_ERROR(
      database->Execute(absl::StrCat("PRAGMA journal_size_limit=", options.journal_size_limit)));
  if (options.exclusive) {
    // Takes the lock now rather than at the first write.
    NS_RETURN_IF_ERROR(database->Execute("BEGIN EXCLUSIVE; COMMIT"));
  }
  return database;
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::Execute(absl::string_view sql) {
  const std::string text(sql);
  const int result = sqlite3_exec(handle_, text.c_str(), nullptr, nullptr, nullptr);
  if (result == SQLITE_OK) return absl::OkStatus();
  return StatusOf(handle_, result, absl::StrCat("\"", sql.substr(0, 80), "\""));
}

absl::StatusOr<Statement> Database::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK)
    return StatusOf(handle_, result, absl::StrCat("\"", sql.substr(0, 80), "\""));
  return Statement(statement);
}

absl::StatusOr<std::int64_t> Database::QueryInt(absl::string_view sql) {
  NS_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  NS_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::NotFoundError(absl::StrCat("no row for \"", sql.substr(0, 80), "\""));
  return statement.Int(0);
}

std::int64_t Database::Changes() const { return sqlite3_changes64(handle_); }
std::int64_t Database::LastInsertId() const { return sqlite3_last_insert_rowid(handle_); }

absl::StatusOr<Transaction> Transaction::Begin(Database& database) {
  NS_RETURN_IF_ERROR(database.Execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ != nullptr) database_->Execute("ROLLBACK").IgnoreError();
}

absl::Status Transaction::Commit() {
  NS_RETURN_IF_ERROR(database_->Execute("COMMIT"));
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace netsentinel::sqlite
