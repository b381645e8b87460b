// The audit log: rows are added, and read.
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/quantity_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr char kAuditColumns[] =
    "entry_id, at_us, stored_at_us, program, actor_role, actor_name, cert_serial,"
    " cert_sha256, address, on_behalf_of, action, subject, value_before, value_after, reason";

AuditRow ReadAuditRow(const SqlRows& rows) {
  AuditRow row;
  row.audit_id = rows.Uint(0);
  row.entry_id = rows.String(1);
  row.at_us = rows.Int(2);
  row.stored_at_us = rows.Int(3);
  int column = 4;
  for (std::string* text :
       {&row.program, &row.role, &row.name, &row.serial, &row.fingerprint, &row.address,
        &row.on_behalf_of, &row.action, &row.subject, &row.before, &row.after, &row.reason}) {
    *text = rows.String(column++);
  }
  return row;
}

// The beginnings of a text that is kept for people, in a column of so many bytes.
std::string Shortened(const std::string& text, std::size_t bytes) {
  std::string storable = StorableText(text);
  while (storable.size() > bytes) {
    storable.pop_back();
    while (!storable.empty() && (static_cast<unsigned char>(storable.back()) & 0xC0U) == 0x80U) {
      storable.pop_back();
    }
    if (!storable.empty() && static_cast<unsigned char>(storable.back()) >= 0xC0U) {
      storable.pop_back();
    }
  }
  return storable;
}

}  // namespace

std::string QuotaOverrideText(const QuotaOverrideRow* row) {
  if (row == nullptr) return "as configured";
  if (row->unlimited) return "unlimited";
  return absl::StrCat(base::FormatByteSize(row->limit_bytes), " (", row->limit_bytes, " bytes)");
}

absl::StatusOr<bool> SqlStore::HasAudit(const std::string& entry_id) {
  NS_ASSIGN_OR_RETURN(
      auto rows,
      session_->Query("SELECT audit_id FROM audit_log WHERE entry_id = ?", {Text(entry_id)}));
  return rows->Next();
}

absl::Status SqlStore::InsertAudit(const AuditRow& row) {
  NS_ASSIGN_OR_RETURN(const std::int64_t now, Now());
  const std::string address = Shortened(row.address, kMaxHolderBytes);
  const std::string on_behalf_of = Shortened(row.on_behalf_of, kMaxHolderBytes);
  const std::string subject = StorableText(row.subject);
  const std::string before = StorableText(row.before);
  const std::string after = StorableText(row.after);
  const std::string reason = StorableText(row.reason);
  return session_->Execute(
      absl::StrCat("INSERT INTO audit_log (", kAuditColumns, ") VALUES (", Repeat("?", ",", 15),
                   ")"),
      {Text(row.entry_id), Int(row.at_us), Int(now), Text(row.program), Text(row.role),
       Text(row.name), Text(row.serial), Text(row.fingerprint), Text(address), Text(on_behalf_of),
       Text(row.action), Text(subject), Text(before), Text(after), Text(reason)});
}

absl::Status SqlStore::AppendAudit(Fence fence, const std::vector<AuditRow>& rows) {
  for (const AuditRow& row : rows) NS_RETURN_IF_ERROR(Validate(row));
  return Write(fence, [&]() -> absl::Status {
    for (const AuditRow& row : rows) {
      NS_ASSIGN_OR_RETURN(const bool known, HasAudit(row.entry_id));
      if (!known) NS_RETURN_IF_ERROR(InsertAudit(row));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<AuditRow>> SqlStore::AuditLog(const AuditQuestion& question) {
  std::string sql = absl::StrCat("SELECT audit_id, ", kAuditColumns,
                                 " FROM audit_log WHERE at_us >= ? AND at_us < ?");
  std::vector<SqlValue> values = {Int(question.from_us), Int(question.to_us)};
  const std::string before_dot = absl::StrCat(question.action, ".");
  const std::string after_dot = absl::StrCat(question.action, "/");  // what follows '.' in ASCII
  if (!question.who.empty()) {
    absl::StrAppend(&sql, " AND (actor_name = ? OR on_behalf_of = ?)");
    values.insert(values.end(), {Text(question.who), Text(question.who)});
  }
  if (!question.action.empty()) {
    absl::StrAppend(&sql, " AND (action = ? OR (action >= ? AND action < ?))");
    values.insert(values.end(), {Text(question.action), Text(before_dot), Text(after_dot)});
  }
  if (question.before_id != 0) {
    absl::StrAppend(&sql, " AND audit_id < ?");
    values.push_back(Uint(question.before_id));
  }
  absl::StrAppend(&sql, " ORDER BY audit_id DESC LIMIT ?");
  values.push_back(Uint(question.limit));
  std::vector<AuditRow> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query(sql, values));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      result.push_back(ReadAuditRow(*rows));
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

// The override that stands there, as an audit row tells it.
absl::StatusOr<std::string> SqlStore::StoredOverrideText(
    const accounting::SubscriberKey& subscriber, const std::string& quota_id) {
  NS_ASSIGN_OR_RETURN(
      auto rows,
      session_->Query(absl::StrCat("SELECT limit_bytes, unlimited FROM quota_overrides WHERE"
                                   " site = ? AND router = ? AND name = ? AND quota_id = ?",
                                   ForUpdate(session_->dialect())),
                      {Text(subscriber.site.value()), Text(subscriber.router.value()),
                       Bytes(subscriber.name), Text(quota_id)}));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  if (!found) return QuotaOverrideText(nullptr);
  QuotaOverrideRow row;
  row.limit_bytes = rows->Uint(0);
  row.unlimited = rows->Int(1) != 0;
  return QuotaOverrideText(&row);
}

}  // namespace netsentinel::store
