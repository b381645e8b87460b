#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "common/base/bytes.h"

// What the two engines differ in. SqlStore is written once over this.
namespace netsentinel::store {

enum class Dialect { kSqlite, kMysql };

// A value for a `?`. Text and bytes are borrowed for the call.
struct SqlValue {
  enum class Kind { kInt, kText, kBytes } kind = Kind::kInt;
  std::int64_t number = 0;
  absl::string_view text;
};
inline SqlValue Int(std::int64_t value) { return {SqlValue::Kind::kInt, value, {}}; }
// `value` at most 2⁶³−1: limits.h has seen to it.
inline SqlValue Uint(std::uint64_t value) { return Int(static_cast<std::int64_t>(value)); }
inline SqlValue Text(absl::string_view value) { return {SqlValue::Kind::kText, 0, value}; }
inline SqlValue Bytes(absl::string_view value) { return {SqlValue::Kind::kBytes, 0, value}; }

// The rows of an answer. To be read or dropped before the session's next call.
class SqlRows {
 public:
  virtual ~SqlRows() = default;
  virtual absl::StatusOr<bool> Next() = 0;
  // Columns from 0 of the current row.
  virtual std::int64_t Int(int column) const = 0;
  virtual std::string String(int column) const = 0;
  std::uint64_t Uint(int column) const { return static_cast<std::uint64_t>(Int(column)); }
};

// What a bulk insert goes into. With `replace`, a row whose first `key_columns` columns exist takes
// the new values.
struct InsertShape {
  std::string table;
  std::vector<std::string> columns;
  std::size_t key_columns = 1;
  bool replace = false;
};

// Takes rows value by value in column order and sends them in large pieces.
class RowWriter {
 public:
  virtual ~RowWriter() = default;
  virtual void Int(std::int64_t value) = 0;
  virtual void Text(absl::string_view value) = 0;
  virtual void Bytes(absl::string_view value) = 0;
  // Ends a row; an error of the database ends the writing.
  virtual absl::Status EndRow() = 0;
  // Sends what is left.
  virtual absl::Status Finish() = 0;
  // `value` at most 2⁶³−1.
  void Uint(std::uint64_t value) { Int(static_cast<std::int64_t>(value)); }
  void Traffic(const base::TrafficBytes& bytes) {
    Uint(bytes.upload);
    Uint(bytes.download);
  }
};

// One connection. One thread. Errors as store.h says.
class SqlSession {
 public:
  virtual ~SqlSession() = default;
  virtual Dialect dialect() const = 0;

  // A transaction that will write.
  virtual absl::Status Begin() = 0;
  // A transaction that reads one state of everything.
  virtual absl::Status BeginRead() = 0;
  // kUnknown when the connection died before the answer.
  virtual absl::Status Commit() = 0;
  // After any failure; never fails: a connection that cannot roll back is dropped.
  virtual void Rollback() = 0;
  // The last failure was one that trying the whole transaction again is likely to cure.
  virtual bool RetryAtOnce() const = 0;

  // The longest single value of bytes that a row may bring.
  virtual std::size_t value_max() const = 0;

  virtual absl::Status Execute(absl::string_view sql, absl::Span<const SqlValue> values = {}) = 0;
  virtual absl::StatusOr<std::unique_ptr<SqlRows>> Query(
      absl::string_view sql, absl::Span<const SqlValue> values = {}) = 0;
  virtual absl::StatusOr<std::unique_ptr<RowWriter>> Insert(const InsertShape& shape) = 0;
};

}  // namespace netsentinel::store
