#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

// What error numbers of servers and client mean to a store. Pure.
namespace netsentinel::store {

enum class MysqlTrouble {
  kOther,
  kConnection,  // the connection is dead; a new one may work at once
  kConflict,    // deadlock, lock wait: the whole transaction may work at once
  kBusy,        // too many connections, starting, stopping, read-only: wait
  kDiskFull,
  kDamaged,  // a table or index is broken
  kDuplicate,
  kRefused,  // password, rights, no such database: an operator must act
  kTooLong,  // a statement longer than the server takes
  kValue,    // a value that does not fit its column
};

MysqlTrouble ClassifyMysql(int error_number);

// What to tell of a failure while `doing` something. In COMMIT, a dead connection is kUnknown.
absl::Status MysqlStatus(int error_number, absl::string_view message, absl::string_view doing,
                         bool in_commit);

}  // namespace netsentinel::store
