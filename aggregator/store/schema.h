#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "aggregator/store/sql_session.h"

// The schema as numbered steps, the same for both engines; docs/schema.md explains the tables.
namespace netsentinel::store {

// One step. Its statements may run again after a crash in the middle: MySQL commits each at once.
struct Migration {
  int version = 0;
  std::vector<std::string> statements;  // with {types}, see ExpandTypes
};

// In ascending order of version, from 1.
const std::vector<Migration>& Migrations();

// The highest version this program knows.
int NewestSchemaVersion();

// Replaces {u64}, {name}, … by the engine's types. An unknown {word} stays as it is.
std::string ExpandTypes(absl::string_view statement, Dialect dialect);

// Brings the schema up to date, forward only, and has the database itself refuse to change or
// delete rows of the audit log. What it gives is for the operator and mostly empty: why it does not
// refuse that, and what to do. kFailedPrecondition when the database's schema is newer than this
// program or belongs to something else.
absl::StatusOr<std::string> Migrate(SqlSession& session);

}  // namespace netsentinel::store
