#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "aggregator/store/mysql_store.h"
#include "aggregator/store/sql_session.h"
#include "common/base/mutex.h"
#include "common/base/secret.h"
#include "common/base/secret_mask.h"

namespace sql {
class Connection;
class Statement;
}  // namespace sql

namespace netsentinel::store {

// What the sessions of one factory share. Connecting is serialised: the connector's registry of
// drivers is not thread-safe.
struct MysqlTarget {
  StoreLocation location;
  base::Secret password;
  base::SecretMask mask;  // of the password: all that a server says passes through it
  MysqlStoreOptions options;
  base::Mutex connecting;
};

// A connection to MySQL or MariaDB that is made when needed and again when lost. One thread.
class MysqlSession final : public SqlSession {
 public:
  explicit MysqlSession(std::shared_ptr<MysqlTarget> target);
  ~MysqlSession() override;

  Dialect dialect() const override { return Dialect::kMysql; }
  absl::Status Begin() override;
  absl::Status BeginRead() override;
  absl::Status Commit() override;
  void Rollback() override;
  bool RetryAtOnce() const override { return retry_at_once_; }
  // Escaping may double it, and the rest of its row goes along.
  std::size_t value_max() const override { return (max_packet_ - kRestOfRowBytes) / 2; }
  absl::Status Execute(absl::string_view sql, absl::Span<const SqlValue> values) override;
  absl::StatusOr<std::unique_ptr<SqlRows>> Query(absl::string_view sql,
                                                 absl::Span<const SqlValue> values) override;
  absl::StatusOr<std::unique_ptr<RowWriter>> Insert(const InsertShape& shape) override;

  // Connects unless connected.
  absl::Status Connect();
  // A statement as it is.
  absl::Status Send(const std::string& sql, bool in_commit = false);
  // The longest statement that the server takes.
  std::size_t max_packet() const { return max_packet_; }
  const MysqlStoreOptions& options() const { return target_->options; }

 private:
  absl::Status ConnectTo(const StoreHost& host);
  // Why a connection did not come about, and what to do; `message` is masked.
  absl::Status Refused(int number, const std::string& message, const std::string& doing) const;
  absl::Status SetUp();
  absl::Status CheckServer(const std::string& version, bool read_only);
  absl::Status Failed(int error_number, const char* message, absl::string_view doing,
                      bool in_commit);
  void Drop();

  static constexpr std::size_t kRestOfRowBytes = 16 * 1024;

  std::shared_ptr<MysqlTarget> target_;
  std::vector<StoreHost> hosts_;
  std::size_t next_host_ = 0;
  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> statement_;
  std::size_t max_packet_ = 1 << 20;
  bool open_ = false;
  bool retry_at_once_ = false;
  int last_error_ = 0;  // number of the newest failure
  // The session was set up before the failure: then a fresh one is worth a try at once.
  bool was_connected_ = false;
};

}  // namespace netsentinel::store
