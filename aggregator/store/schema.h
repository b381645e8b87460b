#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "aggregator/store/sql_session.h"

// The schema as numbered steps, the same for both engines; docs/schema.md explains the tables.
namespace netsentinel::store {

// What is done with every row of a table, a day at a time: a table may hold millions of rows, and
// a server ends what takes it too long.
struct DaySlices {
  std::string table;
  std::string day;                      // its column, the first of the table's key
  std::vector<std::string> statements;  // with {types}; for the day `?`; may run again
};

// One step: first the statements, then the slices. All may run again after a crash in the middle:
// MySQL commits each statement at once, and each slice is a transaction of its own.
struct Migration {
  int version = 0;
  std::vector<std::string> statements;  // with {types}, see ExpandTypes; none reads a whole table
  std::vector<DaySlices> slices;
};

// In ascending order of version, from 1.
const std::vector<Migration>& Migrations();

// The highest version this program knows.
int NewestSchemaVersion();

// Replaces {u64}, {name}, … by the engine's types. An unknown {word} stays as it is.
std::string ExpandTypes(absl::string_view statement, Dialect dialect);

}  // namespace netsentinel::store
