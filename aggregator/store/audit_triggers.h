#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "aggregator/store/sql_session.h"

namespace netsentinel::store {

// Has the database itself refuse to change or delete rows of the audit log; at every opening, since
// a user who had no right to make triggers may have it by now. The schema is up to date. Gives what
// the operator should know, mostly nothing: why the database does not refuse it, and what to do.
absl::StatusOr<std::string> ProtectAudit(SqlSession& session);

}  // namespace netsentinel::store
