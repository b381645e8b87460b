#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"

#include "aggregator/store/sql_session.h"
#include "common/counters/snapshot.h"

// Pieces of SQL text. Pure.
namespace netsentinel::store {

// An expression for the database's time: UTC microseconds since 1970.
absl::string_view NowSql(Dialect dialect);

// What follows a SELECT to lock its rows until the transaction ends; empty on SQLite, whose
// transactions exclude each other.
absl::string_view ForShare(Dialect dialect);
absl::string_view ForUpdate(Dialect dialect);

// "2026-01-31". Comparisons and key order are those of the calendar.
std::string DayText(absl::CivilDay day);
// kDataLoss for what is not a day.
absl::StatusOr<absl::CivilDay> ParseDay(const std::string& text);

// An unsigned 64-bit counter kept as text; kDataLoss for what is none.
absl::StatusOr<std::uint64_t> ParseCounter(const std::string& text);

// A menu as the tables have it.
inline std::int64_t MenuNumber(counters::Menu menu) { return static_cast<std::int64_t>(menu); }

// Conditions in one statement: SQLite allows expressions a thousand deep.
inline constexpr std::size_t kConditions = 200;

// "?,?,?" for `count` values; "(?,?),(?,?)" is Repeat("(?,?)", ",", 2).
std::string Repeat(absl::string_view piece, absl::string_view separator, std::size_t count);

// MySQL: "INSERT INTO t (a,b) VALUES " and "" or " ON DUPLICATE KEY UPDATE b=VALUES(b)".
std::string MysqlInsertHead(const InsertShape& shape);
std::string MysqlInsertTail(const InsertShape& shape);
// SQLite: a whole statement for one row.
std::string SqliteInsert(const InsertShape& shape);

// Appends a MySQL literal. Needs a sql_mode without NO_BACKSLASH_ESCAPES and a connection in
// utf8mb4; bytes get the introducer _binary, so that no server looks for characters in them.
void AppendMysqlText(std::string& out, absl::string_view text);
void AppendMysqlBytes(std::string& out, absl::string_view bytes);
// Replaces each ? of `sql` by its literal. kInternal when their numbers differ.
absl::StatusOr<std::string> MysqlStatement(absl::string_view sql,
                                           absl::Span<const SqlValue> values);

}  // namespace netsentinel::store
