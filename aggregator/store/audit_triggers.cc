#include "aggregator/store/audit_triggers.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

absl::StatusOr<bool> IsThere(SqlSession& session, absl::string_view known,
                             const std::string& name) {
  NS_ASSIGN_OR_RETURN(std::unique_ptr<SqlRows> rows,
                      session.Query(absl::StrCat("SELECT 1 FROM ", known, name, "'")));
  return rows->Next();
}

constexpr char kNeverChanged[] = "rows of audit_log are never changed or deleted";

// Name and statement of each trigger that keeps the audit log as it is.
std::vector<std::pair<std::string, std::string>> AuditTriggers(bool sqlite) {
  std::vector<std::pair<std::string, std::string>> triggers;
  for (const auto& [name, change] :
       {std::pair("audit_log_no_update", "UPDATE"), std::pair("audit_log_no_delete", "DELETE")}) {
    const std::string head =
        absl::StrCat("CREATE TRIGGER ", name, " BEFORE ", change, " ON audit_log ");
    triggers.emplace_back(
        name, sqlite ? absl::StrCat(head, "BEGIN SELECT RAISE(ABORT, '", kNeverChanged, "'); END")
                     : absl::StrCat(head,
                                    "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT"
                                    " = '",
                                    kNeverChanged, "'"));
  }
  // A row that an INSERT OR REPLACE takes away meets no trigger of DELETE there.
  if (sqlite) {
    triggers.emplace_back(
        "audit_log_no_replace",
        absl::StrCat("CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log WHEN EXISTS"
                     " (SELECT 1 FROM audit_log WHERE entry_id = NEW.entry_id OR audit_id ="
                     " NEW.audit_id) BEGIN SELECT RAISE(ABORT, '",
                     kNeverChanged, "'); END"));
  }
  return triggers;
}

}  // namespace

// Looked at at every start: a user who had no right to make them may have it by now.
absl::StatusOr<std::string> ProtectAudit(SqlSession& session) {
  const bool sqlite = session.dialect() == Dialect::kSqlite;
  const absl::string_view known = sqlite ? "sqlite_master WHERE type = 'trigger' AND name = '"
                                         : "information_schema.triggers WHERE trigger_schema ="
                                           " DATABASE() AND trigger_name = '";
  for (const auto& [name, statement] : AuditTriggers(sqlite)) {
    NS_ASSIGN_OR_RETURN(const bool there, IsThere(session, known, name));
    if (there) continue;
    const absl::Status made = session.Execute(statement);
    if (made.ok() || absl::IsAlreadyExists(made)) continue;
    if (sqlite || !absl::IsFailedPrecondition(made)) return made;
    return absl::StrCat(
        "the database does not refuse to change or delete rows of audit_log, since its user may"
        " not make the triggers for that: GRANT TRIGGER on the database to the user (and, where"
        " the server keeps a binary log, SET GLOBAL log_bin_trust_function_creators = 1) and start"
        " again (",
        made.message(), ")");
  }
  return std::string();
}

}  // namespace netsentinel::store
