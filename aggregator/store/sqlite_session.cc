#include "aggregator/store/sqlite_session.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr std::size_t kMostStatements = 200;

void Bind(sqlite::Statement& statement, absl::Span<const SqlValue> values) {
  int index = 0;
  for (const SqlValue& value : values) {
    ++index;
    switch (value.kind) {
      case SqlValue::Kind::kInt:
        statement.BindInt(index, value.number);
        break;
      case SqlValue::Kind::kText:
        statement.BindText(index, value.text);
        break;
      case SqlValue::Kind::kBytes:
        statement.BindBlob(index, value.text);
        break;
    }
  }
}

// Whether the text grew with a list: sql_text's Repeat makes no other forms.
bool HasList(absl::string_view sql) {
  return absl::StrContains(sql, " IN (?") || absl::StrContains(sql, ") OR (");
}

class SqliteRows final : public SqlRows {
 public:
  explicit SqliteRows(std::shared_ptr<sqlite::Statement> statement)
      : statement_(std::move(statement)) {}
  // A statement that was not read to its end would keep the transaction open.
  ~SqliteRows() override { statement_->Reset(); }
  absl::StatusOr<bool> Next() override { return statement_->Step(); }
  std::int64_t Int(int column) const override { return statement_->Int(column); }
  std::string String(int column) const override { return statement_->Blob(column); }

 private:
  const std::shared_ptr<sqlite::Statement> statement_;
};

// One step a row: nothing travels, so there is nothing to gather.
class SqliteRowWriter final : public RowWriter {
 public:
  explicit SqliteRowWriter(std::shared_ptr<sqlite::Statement> statement)
      : statement_(std::move(statement)) {}
  ~SqliteRowWriter() override { statement_->Reset(); }
  void Int(std::int64_t value) override { statement_->BindInt(++index_, value); }
  void Text(absl::string_view value) override { statement_->BindText(++index_, value); }
  void Bytes(absl::string_view value) override { statement_->BindBlob(++index_, value); }
  absl::Status EndRow() override {
    index_ = 0;
    return statement_->Run();
  }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  const std::shared_ptr<sqlite::Statement> statement_;
  int index_ = 0;
};

}  // namespace

SqliteSession::SqliteSession(std::unique_ptr<sqlite::Database> database,
                             std::shared_ptr<SqliteWriteTurn> turn, std::shared_ptr<void> lifetime)
    : lifetime_(std::move(lifetime)), turn_(std::move(turn)), database_(std::move(database)) {}

SqliteSession::~SqliteSession() { Rollback(); }

absl::Status SqliteSession::Begin() {
  my_turn_ = std::unique_lock<std::mutex>(turn_->mutex.native());
  const absl::Status status = database_->Execute("BEGIN IMMEDIATE");
  open_ = status.ok();
  if (!open_) my_turn_ = {};
  return status;
}

absl::Status SqliteSession::BeginRead() {
  const absl::Status status = database_->Execute("BEGIN");
  open_ = status.ok();
  return status;
}

absl::Status SqliteSession::Commit() {
  absl::Status status = database_->Execute("COMMIT");
  if (status.ok()) {
    open_ = false;
    my_turn_ = {};
  } else if (absl::IsUnavailable(status)) {
    // The log may or may not hold the whole transaction: only the next opening of the file tells.
    status = absl::UnknownError(absl::StrCat("the end of a commit: ", status.message()));
  }
  return status;
}

void SqliteSession::Rollback() {
  // Fails harmlessly where SQLite has rolled back itself (disk full, I/O error).
  if (open_) database_->Execute("ROLLBACK").IgnoreError();
  open_ = false;
  my_turn_ = {};
}

absl::StatusOr<std::shared_ptr<sqlite::Statement>> SqliteSession::Prepared(absl::string_view sql) {
  const auto known = statements_.find(sql);
  if (known != statements_.end()) {
    known->second->Reset();
    return known->second;
  }
  NS_ASSIGN_OR_RETURN(sqlite::Statement prepared, database_->Prepare(sql));
  auto statement = std::make_shared<sqlite::Statement>(std::move(prepared));
  if (HasList(sql)) return statement;
  if (statements_.size() >= kMostStatements) statements_.clear();
  statements_.emplace(std::string(sql), statement);
  return statement;
}

absl::Status SqliteSession::Execute(absl::string_view sql, absl::Span<const SqlValue> values) {
  if (values.empty()) return database_->Execute(sql);
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<sqlite::Statement> statement, Prepared(sql));
  Bind(*statement, values);
  return statement->Run();
}

absl::StatusOr<std::unique_ptr<SqlRows>> SqliteSession::Query(absl::string_view sql,
                                                              absl::Span<const SqlValue> values) {
  NS_ASSIGN_OR_RETURN(std::shared_ptr<sqlite::Statement> statement, Prepared(sql));
  Bind(*statement, values);
  return std::make_unique<SqliteRows>(std::move(statement));
}

absl::StatusOr<std::unique_ptr<RowWriter>> SqliteSession::Insert(const InsertShape& shape) {
  NS_ASSIGN_OR_RETURN(std::shared_ptr<sqlite::Statement> statement, Prepared(SqliteInsert(shape)));
  return std::make_unique<SqliteRowWriter>(std::move(statement));
}

}  // namespace netsentinel::store
