#include "aggregator/store/sql_text.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace netsentinel::store {
namespace {

void AppendEscaped(std::string& out, absl::string_view bytes) {
  out.push_back('\'');
  for (const char c : bytes) {
    switch (c) {
      case '\0':
        out.append("\\0");
        break;
      case '\n':
        out.append("\\n");
        break;
      case '\r':
        out.append("\\r");
        break;
      case '\x1a':
        out.append("\\Z");
        break;
      case '\\':
      case '\'':
      case '"':
        out.push_back('\\');
        out.push_back(c);
        break;
      default:
        out.push_back(c);
    }
  }
  out.push_back('\'');
}

}  // namespace

absl::string_view NowSql(Dialect dialect) {
  if (dialect == Dialect::kMysql) {
    return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))";
  }
  // julianday carries milliseconds.
  return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000";
}

absl::string_view ForShare(Dialect dialect) {
  // FOR SHARE is MySQL's only; this form works on MariaDB too.
  return dialect == Dialect::kMysql ? " LOCK IN SHARE MODE" : "";
}

absl::string_view ForUpdate(Dialect dialect) {
  return dialect == Dialect::kMysql ? " FOR UPDATE" : "";
}

std::string DayText(absl::CivilDay day) { return absl::FormatCivilTime(day); }

absl::StatusOr<absl::CivilDay> ParseDay(const std::string& text) {
  absl::CivilDay day;
  if (absl::ParseCivilTime(text, &day)) return day;
  return absl::DataLossError(absl::StrCat("the database holds \"", text, "\" where a day belongs"));
}

absl::StatusOr<std::uint64_t> ParseCounter(const std::string& text) {
  std::uint64_t value = 0;
  if (absl::SimpleAtoi(text, &value)) return value;
  return absl::DataLossError(
      absl::StrCat("the database holds \"", text, "\" where a counter belongs"));
}

std::string Repeat(absl::string_view piece, absl::string_view separator, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) absl::StrAppend(&result, i == 0 ? "" : separator, piece);
  return result;
}

std::string MysqlInsertHead(const InsertShape& shape) {
  return absl::StrCat("INSERT INTO ", shape.table, " (", absl::StrJoin(shape.columns, ","),
                      ") VALUES ");
}

std::string MysqlInsertTail(const InsertShape& shape) {
  if (!shape.replace) return "";
  std::string result = " ON DUPLICATE KEY UPDATE ";
  // A row that is all key is there or is not.
  if (shape.key_columns == shape.columns.size()) {
    return absl::StrCat(result, shape.columns[0], "=VALUES(", shape.columns[0], ")");
  }
  for (std::size_t i = shape.key_columns; i < shape.columns.size(); ++i) {
    const std::string& column = shape.columns[i];
    absl::StrAppend(&result, i == shape.key_columns ? "" : ",", column, "=VALUES(", column, ")");
  }
  return result;
}

std::string SqliteInsert(const InsertShape& shape) {
  std::string result =
      absl::StrCat("INSERT INTO ", shape.table, " (", absl::StrJoin(shape.columns, ","),
                   ") VALUES (", Repeat("?", ",", shape.columns.size()), ")");
  if (!shape.replace) return result;
  absl::StrAppend(&result, " ON CONFLICT (");
  for (std::size_t i = 0; i < shape.key_columns; ++i) {
    absl::StrAppend(&result, i == 0 ? "" : ",", shape.columns[i]);
  }
  if (shape.key_columns == shape.columns.size()) return absl::StrCat(result, ") DO NOTHING");
  absl::StrAppend(&result, ") DO UPDATE SET ");
  for (std::size_t i = shape.key_columns; i < shape.columns.size(); ++i) {
    const std::string& column = shape.columns[i];
    absl::StrAppend(&result, i == shape.key_columns ? "" : ",", column, "=excluded.", column);
  }
  return result;
}

void AppendMysqlText(std::string& out, absl::string_view text) { AppendEscaped(out, text); }

void AppendMysqlBytes(std::string& out, absl::string_view bytes) {
  out.append("_binary");
  AppendEscaped(out, bytes);
}

absl::StatusOr<std::string> MysqlStatement(absl::string_view sql,
                                           absl::Span<const SqlValue> values) {
  std::string result;
  result.reserve(sql.size() + 16 * values.size());
  std::size_t next = 0;
  for (const char c : sql) {
    if (c != '?') {
      result.push_back(c);
      continue;
    }
    const std::size_t index = next++;
    if (index >= values.size()) continue;
    const SqlValue& value = values[index];
    switch (value.kind) {
      case SqlValue::Kind::kInt:
        absl::StrAppend(&result, value.number);
        break;
      case SqlValue::Kind::kText:
        AppendMysqlText(result, value.text);
        break;
      case SqlValue::Kind::kBytes:
        AppendMysqlBytes(result, value.text);
        break;
    }
  }
  if (next == values.size()) return result;
  return absl::InternalError(absl::StrCat(values.size(), " values for \"", sql, "\""));
}

}  // namespace netsentinel::store
