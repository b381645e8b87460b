#include "aggregator/store/mysql_session.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include <cppconn/connection.h>
#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <mysql_driver.h>

#include "aggregator/store/mysql_client_file.h"
#include "aggregator/store/mysql_error.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

// What a packet holds beside the statement, generously.
constexpr std::size_t kHeadroom = 1024;

constexpr char kBeforeAnyQuestion[] =
    "SET SESSION sql_big_selects = 1, sql_select_limit = 18446744073709551615";
// Settings that not every server has.
constexpr const char* kWhereKnown[] = {
    "max_statement_time = 0",  // MariaDB
    "max_execution_time = 0",  // MySQL
    "sql_auto_is_null = 0",   "foreign_key_checks = 1", "unique_checks = 1",
    "max_sort_length = 1024", "net_read_timeout = 30",  "net_write_timeout = 60",
};
constexpr int kUnknownVariable = 1193;
constexpr int kAccessDenied = 1045;

// Answers are held in memory whole: the connector reports a connection that died in the middle of a
// streamed one as its end. Questions are asked in pages.
class MysqlRows final : public SqlRows {
 public:
  MysqlRows(std::unique_ptr<sql::ResultSet> result, std::shared_ptr<const MysqlTarget> target)
      : result_(std::move(result)), target_(std::move(target)) {}
  absl::StatusOr<bool> Next() override {
    try {
      return result_->next();
    } catch (const sql::SQLException& e) {
      return MysqlStatus(e.getErrorCode(), target_->mask.Masked(e.what()), "read rows", false);
    }
  }
  // As text, so that the connector's conversions have no say.
  std::int64_t Int(int column) const override {
    std::int64_t value = 0;
    const std::string text = String(column);
    return absl::SimpleAtoi(text, &value) ? value : 0;
  }
  std::string String(int column) const override {
    try {
      const sql::SQLString text = result_->getString(static_cast<std::uint32_t>(column + 1));
      return std::string(text.c_str(), text.length());
    } catch (const sql::SQLException&) {
      return "";  // no such column: every query of ours names its columns
    }
  }

 private:
  std::unique_ptr<sql::ResultSet> result_;
  std::shared_ptr<const MysqlTarget> target_;
};

class MysqlRowWriter final : public RowWriter {
 public:
  MysqlRowWriter(MysqlSession& session, const InsertShape& shape)
      : session_(session),
        head_(MysqlInsertHead(shape)),
        tail_(MysqlInsertTail(shape)),
        byte_limit_(std::min(session.options().bytes_per_statement, session.max_packet() / 2)),
        statement_(head_) {
    statement_.reserve(byte_limit_ + byte_limit_ / 8);
  }

  void Int(std::int64_t value) override {
    Separate();
    char digits[24];
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), value);
    statement_.append(digits, static_cast<std::size_t>(end.ptr - digits));
  }
  void Text(absl::string_view value) override {
    Separate();
    AppendMysqlText(statement_, value);
  }
  void Bytes(absl::string_view value) override {
    Separate();
    AppendMysqlBytes(statement_, value);
  }
  absl::Status EndRow() override {
    statement_.push_back(')');
    in_row_ = false;
    ++rows_;
    // A long row goes by itself where it would be too much for the server with those before it.
    if (rows_ > 1 && statement_.size() + tail_.size() + kHeadroom > session_.max_packet()) {
      const std::string row = statement_.substr(row_begin_ + 1);
      statement_.resize(row_begin_);
      --rows_;
      NS_RETURN_IF_ERROR(Finish());
      statement_.append(row);
      rows_ = 1;
    }
    if (rows_ < session_.options().rows_per_statement && statement_.size() < byte_limit_) {
      return absl::OkStatus();
    }
    return Finish();
  }
  absl::Status Finish() override {
    if (rows_ == 0) return absl::OkStatus();
    statement_.append(tail_);
    const absl::Status status = session_.Send(statement_);
    statement_.resize(head_.size());
    rows_ = 0;
    return status;
  }

 private:
  void Separate() {
    if (in_row_) {
      statement_.push_back(',');
      return;
    }
    row_begin_ = statement_.size();
    statement_.append(rows_ == 0 ? "(" : ",(");
    in_row_ = true;
  }

  MysqlSession& session_;
  const std::string head_;
  const std::string tail_;
  const std::size_t byte_limit_;
  std::string statement_;
  std::size_t row_begin_ = 0;  // where the newest row begins, its comma first
  std::size_t rows_ = 0;
  bool in_row_ = false;
};

int Seconds(absl::Duration duration) {
  return static_cast<int>(std::max<std::int64_t>(1, absl::ToInt64Seconds(duration)));
}

sql::ConnectOptionsMap Options(const MysqlTarget& target, const StoreHost& host) {
  const StoreLocation& location = target.location;
  sql::ConnectOptionsMap map;
  if (location.socket.empty()) {
    const bool bracket = absl::StrContains(host.host, ":");
    map["hostName"] = sql::SQLString(
        absl::StrCat("tcp://", bracket ? "[" : "", host.host, bracket ? "]" : "", ":", host.port));
  } else {
    map["hostName"] = sql::SQLString(absl::StrCat("unix://", location.socket));
  }
  map["userName"] = sql::SQLString(location.user);
  map["password"] = sql::SQLString(target.password.reveal());
  map["schema"] = sql::SQLString(location.database);
  map["OPT_CHARSET_NAME"] = sql::SQLString("utf8mb4");
  map["OPT_CONNECT_TIMEOUT"] = Seconds(target.options.connect_timeout);
  map["OPT_READ_TIMEOUT"] = Seconds(target.options.io_timeout);
  map["OPT_WRITE_TIMEOUT"] = Seconds(target.options.io_timeout);
  map["OPT_RECONNECT"] = false;
  // The connector asks the server questions of its own before SetUp.
  map["preInit"] = sql::SQLString(kBeforeAnyQuestion);
  const MysqlTls& tls = target.options.tls;
  if (tls.required || !tls.ca.empty()) map["sslEnforce"] = true;
  if (!tls.ca.empty()) {
    map["sslCA"] = sql::SQLString(tls.ca);
    map["sslVerify"] = true;
  }
  if (!tls.cert.empty()) map["sslCert"] = sql::SQLString(tls.cert);
  if (!tls.key.empty()) map["sslKey"] = sql::SQLString(tls.key);
  return map;
}

}  // namespace

MysqlSession::MysqlSession(std::shared_ptr<MysqlTarget> target) : target_(std::move(target)) {
  hosts_.push_back({target_->location.host, target_->location.port});
  for (const StoreHost& host : target_->location.more_hosts) hosts_.push_back(host);
}

MysqlSession::~MysqlSession() { Drop(); }

void MysqlSession::Drop() {
  statement_.reset();
  connection_.reset();
  open_ = false;
}

absl::Status MysqlSession::Failed(int error_number, const char* message, absl::string_view doing,
                                  bool in_commit) {
  const MysqlTrouble trouble = ClassifyMysql(error_number);
  last_error_ = error_number;
  retry_at_once_ = trouble == MysqlTrouble::kConflict ||
                   (trouble == MysqlTrouble::kConnection && was_connected_);
  // A server that is read-only or full may not be the one to talk to next time.
  if (trouble == MysqlTrouble::kConnection || trouble == MysqlTrouble::kBusy) Drop();
  return MysqlStatus(error_number, target_->mask.Masked(message), doing, in_commit);
}

absl::Status MysqlSession::Connect() {
  if (connection_ != nullptr) return absl::OkStatus();
  absl::Status status;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    status = ConnectTo(hosts_[next_host_]);
    if (status.ok()) status = SetUp();
    if (status.ok()) {
      was_connected_ = true;
      return status;
    }
    Drop();
    next_host_ = (next_host_ + 1) % hosts_.size();
  }
  was_connected_ = false;
  retry_at_once_ = false;
  return status;
}

absl::Status MysqlSession::ConnectTo(const StoreHost& host) {
  const std::string doing = target_->location.socket.empty()
                                ? absl::StrCat("connect to ", host.host, ":", host.port)
                                : absl::StrCat("connect to ", target_->location.socket);
  const MysqlTls& tls = target_->options.tls;
  NS_ASSIGN_OR_RETURN(const MysqlClientFile file,
                      MysqlClientFile::Make(!tls.ca.empty() || !target_->location.socket.empty()));
  base::MutexLock lock(target_->connecting);
  try {
    sql::ConnectOptionsMap options = Options(*target_, host);
    options["readDefaultFile"] = sql::SQLString(file.path());
    connection_.reset(sql::mysql::get_driver_instance()->connect(options));
    statement_.reset(connection_->createStatement());
    return absl::OkStatus();
  } catch (const sql::SQLException& e) {
    return Refused(e.getErrorCode(), target_->mask.Masked(e.what()), doing);
  }
}

absl::Status MysqlSession::Refused(int number, const std::string& message,
                                   const std::string& doing) const {
  // The client library's words for a way of logging in that MysqlClientFile does not name.
  if (absl::StrContains(message, "restricted_auth")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "MySQL, ", doing, ": the server wants a login by which whoever is at its address could ",
        "learn the password (", message, "), so the password was not sent: give store.ca the file ",
        "of the server's authority, or use its socket, or a user of mysql_native_password"));
  }
  // The connector reports its own refusals (unknown host, bad option) without a number.
  if (number == 0) return absl::UnavailableError(absl::StrCat("MySQL, ", doing, ": ", message));
  const absl::Status status = MysqlStatus(number, message, doing, false);
  const MysqlTls& tls = target_->options.tls;
  if (number != kAccessDenied || tls.required || !tls.ca.empty()) return status;
  // Of a user that has to come over TLS the server says no more than of a wrong password.
  return absl::Status(status.code(),
                      absl::StrCat(status.message(),
                                   "; if this server or user demands TLS (REQUIRE SSL), give "
                                   "store.ca the file of the server's authority"));
}

// A server's configuration may make each of these something else for every session.
absl::Status MysqlSession::SetUp() {
  const MysqlStoreOptions& options = target_->options;
  NS_RETURN_IF_ERROR(Send(absl::StrCat(
      "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',",
      " autocommit = 1, completion_type = 'NO_CHAIN', sql_safe_updates = 0,",
      " wait_timeout = ", Seconds(options.session_timeout),
      ", innodb_lock_wait_timeout = ", Seconds(options.lock_wait))));
  NS_RETURN_IF_ERROR(Send("SET NAMES utf8mb4 COLLATE utf8mb4_bin"));
  NS_RETURN_IF_ERROR(Send("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"));
  for (const char* setting : kWhereKnown) {
    const absl::Status set = Send(absl::StrCat("SET SESSION ", setting));
    if (!set.ok() && last_error_ != kUnknownVariable) return set;
  }
  NS_ASSIGN_OR_RETURN(auto rows,
                      Query("SELECT @@max_allowed_packet, VERSION(), @@GLOBAL.read_only", {}));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  if (!found) return absl::InternalError("MySQL told no version");
  max_packet_ = static_cast<std::size_t>(std::max<std::int64_t>(rows->Int(0), 64 * 1024));
  return CheckServer(rows->String(1), rows->Int(2) != 0);
}

absl::Status MysqlSession::CheckServer(const std::string& version, bool read_only) {
  const std::vector<std::string> parts = absl::StrSplit(version, absl::ByAnyChar(".-"));
  int major = 0;
  int minor = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &major) ||
      !absl::SimpleAtoi(parts[1], &minor)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database server's version \"", version, "\" is not understood"));
  }
  const bool mariadb = absl::StrContains(version, "MariaDB");
  const bool known = mariadb ? (major > 10 || (major == 10 && minor >= 6)) : major >= 8;
  if (!known) {
    return absl::FailedPreconditionError(absl::StrCat("the database server is version ", version,
                                                      ": MySQL 8 or MariaDB 10.6 is the least"));
  }
  // A lone read-only server still answers questions.
  if (read_only && hosts_.size() > 1) {
    return absl::UnavailableError(
        absl::StrCat("MySQL, ", hosts_[next_host_].host, " is read-only: trying the next server"));
  }
  return absl::OkStatus();
}

absl::Status MysqlSession::Begin() {
  NS_RETURN_IF_ERROR(Connect());
  NS_RETURN_IF_ERROR(Send("START TRANSACTION"));
  open_ = true;
  return absl::OkStatus();
}

absl::Status MysqlSession::BeginRead() {
  NS_RETURN_IF_ERROR(Connect());
  NS_RETURN_IF_ERROR(Send("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"));
  NS_RETURN_IF_ERROR(Send("START TRANSACTION WITH CONSISTENT SNAPSHOT"));
  open_ = true;
  return absl::OkStatus();
}

absl::Status MysqlSession::Commit() {
  const absl::Status status = Send("COMMIT", true);
  if (status.ok()) open_ = false;
  return status;
}

void MysqlSession::Rollback() {
  if (connection_ == nullptr || !open_) return;
  open_ = false;
  const bool retry = retry_at_once_;
  if (!Send("ROLLBACK").ok()) Drop();
  retry_at_once_ = retry;
}

absl::Status MysqlSession::Send(const std::string& sql, bool in_commit) {
  if (sql.size() + kHeadroom > max_packet_) {
    return absl::FailedPreconditionError(
        absl::StrCat("a statement of ", sql.size(), " bytes is more than the database server takes",
                     " (max_allowed_packet ", max_packet_, "): raise max_allowed_packet there"));
  }
  if (statement_ == nullptr) return absl::UnavailableError("MySQL: not connected");
  try {
    statement_->execute(sql::SQLString(sql.data(), sql.size()));
    return absl::OkStatus();
  } catch (const sql::SQLException& e) {
    return Failed(e.getErrorCode(), e.what(), absl::string_view(sql).substr(0, 60), in_commit);
  }
}

absl::Status MysqlSession::Execute(absl::string_view sql, absl::Span<const SqlValue> values) {
  NS_ASSIGN_OR_RETURN(const std::string text, MysqlStatement(sql, values));
  return Send(text);
}

absl::StatusOr<std::unique_ptr<SqlRows>> MysqlSession::Query(absl::string_view sql,
                                                             absl::Span<const SqlValue> values) {
  NS_ASSIGN_OR_RETURN(const std::string text, MysqlStatement(sql, values));
  if (statement_ == nullptr) return absl::UnavailableError("MySQL: not connected");
  try {
    std::unique_ptr<sql::ResultSet> result(
        statement_->executeQuery(sql::SQLString(text.data(), text.size())));
    return std::make_unique<MysqlRows>(std::move(result), target_);
  } catch (const sql::SQLException& e) {
    return Failed(e.getErrorCode(), e.what(), sql.substr(0, 60), false);
  }
}

absl::StatusOr<std::unique_ptr<RowWriter>> MysqlSession::Insert(const InsertShape& shape) {
  return std::make_unique<MysqlRowWriter>(*this, shape);
}

}  // namespace netsentinel::store
