#include "aggregator/store/sql_store.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/migrate.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

// A deadlock's loser usually wins the second time; a dead connection is fresh the second time.
constexpr int kAttempts = 3;

}  // namespace

absl::Status SqlStore::Transact(Body body) {
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    status = session_->Begin();
    if (status.ok()) status = body();
    if (status.ok()) status = session_->Commit();
    if (status.ok()) return status;
    const bool again = absl::IsUnavailable(status) && session_->RetryAtOnce();
    session_->Rollback();
    if (!again) break;
  }
  return status;
}

absl::Status SqlStore::Write(Fence fence, Body body) {
  return Transact([&]() -> absl::Status {
    NS_RETURN_IF_ERROR(CheckFence(fence));
    return body();
  });
}

absl::Status SqlStore::Read(Body body) {
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    status = session_->BeginRead();
    if (status.ok()) status = body();
    const bool again = absl::IsUnavailable(status) && session_->RetryAtOnce();
    session_->Rollback();
    if (!again) break;
  }
  return status;
}

absl::Status SqlStore::SawFence(std::uint64_t epoch) {
  if (epoch < seen_fence_) {
    return absl::AbortedError(absl::StrCat(
        "the database went back in time: its fence is ", epoch, " and was ", seen_fence_,
        " before; a backup was restored or a replica that lagged took over. Writing stops"));
  }
  seen_fence_ = epoch;
  return absl::OkStatus();
}

absl::Status SqlStore::CheckFence(Fence fence) {
  NS_ASSIGN_OR_RETURN(auto rows,
                      session_->Query(absl::StrCat("SELECT epoch FROM fence WHERE id = 1",
                                                   ForShare(session_->dialect()))));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  if (!found) {
    return absl::DataLossError("the fence row is gone from the database: restore it from a backup");
  }
  const std::uint64_t epoch = rows->Uint(0);
  NS_RETURN_IF_ERROR(SawFence(epoch));
  if (epoch == fence.epoch) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("fence ", fence.epoch, " has ended, the database's is ",
                                         epoch, ": another aggregator writes now"));
}

absl::StatusOr<std::int64_t> SqlStore::Now() {
  NS_ASSIGN_OR_RETURN(auto rows,
                      session_->Query(absl::StrCat("SELECT ", NowSql(session_->dialect()))));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  if (!found) return absl::InternalError("the database told no time");
  return rows->Int(0);
}

namespace {

struct LeaseRow {
  std::string holder;
  std::uint64_t fence = 0;
  std::int64_t until_us = 0;
};

absl::StatusOr<LeaseRow> LockLease(SqlSession& session) {
  NS_ASSIGN_OR_RETURN(auto rows, session.Query(absl::StrCat(
                                     "SELECT holder, fence, until_us FROM lease WHERE id = 1",
                                     ForUpdate(session.dialect()))));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  if (!found) {
    return absl::DataLossError("the lease row is gone from the database: restore it from a backup");
  }
  return LeaseRow{rows->String(0), rows->Uint(1), rows->Int(2)};
}

// Waits for every transaction under the old fence to end.
absl::StatusOr<std::uint64_t> LockFence(SqlSession& session) {
  NS_ASSIGN_OR_RETURN(auto rows, session.Query(absl::StrCat("SELECT epoch FROM fence WHERE id = 1",
                                                            ForUpdate(session.dialect()))));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  if (!found) {
    return absl::DataLossError("the fence row is gone from the database: restore it from a backup");
  }
  return rows->Uint(0);
}

}  // namespace

absl::Status SqlStore::AwaitWriters() {
  return Transact([&]() -> absl::Status { return LockFence(*session_).status(); });
}

namespace {

absl::Status StoreLease(SqlSession& session, const LeaseInfo& lease) {
  return session.Execute("UPDATE lease SET holder = ?, fence = ?, until_us = ? WHERE id = 1",
                         {Text(lease.holder), Uint(lease.fence.epoch), Int(lease.until_us)});
}

// A standby may have been there before another program changed the schema.
absl::Status CheckSchema(SqlSession& session) {
  const absl::StatusOr<int> version = SchemaVersion(session);
  if (!absl::IsFailedPrecondition(version.status())) return version.status();
  return absl::AbortedError(version.status().message());
}

absl::Status CheckHolder(const std::string& holder) {
  if (!holder.empty() && holder.size() <= kMaxHolderBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the holder's name has ", holder.size(),
                                                 " bytes, 1 to ", kMaxHolderBytes, " are allowed"));
}

}  // namespace

absl::StatusOr<LeaseInfo> SqlStore::AcquireLease(const std::string& holder, absl::Duration ttl) {
  NS_RETURN_IF_ERROR(CheckHolder(holder));
  LeaseInfo lease;
  const absl::Status done = Transact([&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(const LeaseRow stored, LockLease(*session_));
    NS_ASSIGN_OR_RETURN(std::int64_t now, Now());
    // One that runs out later than any that is given was given by a clock that has been set back
    // since: nobody waits for it. Whoever holds it still finds the fence risen.
    const std::int64_t longest = std::max(kLongestHoldUs, 10 * absl::ToInt64Microseconds(ttl));
    const bool lasts = stored.until_us > now && stored.until_us - now <= longest;
    if (!stored.holder.empty() && stored.holder != holder && lasts) {
      return absl::FailedPreconditionError(
          absl::StrCat(stored.holder, " holds the lease for another ",
                       absl::FormatDuration(absl::Microseconds(stored.until_us - now))));
    }
    NS_RETURN_IF_ERROR(CheckSchema(*session_));
    NS_ASSIGN_OR_RETURN(const std::uint64_t epoch, LockFence(*session_));
    NS_RETURN_IF_ERROR(SawFence(epoch));
    // The wait for the fence may have taken a while.
    NS_ASSIGN_OR_RETURN(now, Now());
    const std::uint64_t next = std::max(epoch, stored.fence) + 1;
    lease = LeaseInfo{holder, Fence{next}, now + absl::ToInt64Microseconds(ttl), now};
    NS_RETURN_IF_ERROR(session_->Execute("UPDATE fence SET epoch = ? WHERE id = 1", {Uint(next)}));
    return StoreLease(*session_, lease);
  });
  NS_RETURN_IF_ERROR(done);
  seen_fence_ = lease.fence.epoch;
  return lease;
}

// Takes the lease row only, so that a long flush under the fence does not hold it up.
absl::StatusOr<LeaseInfo> SqlStore::RenewLease(const std::string& holder, Fence fence,
                                               absl::Duration ttl) {
  LeaseInfo lease;
  const absl::Status done = Transact([&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(const LeaseRow stored, LockLease(*session_));
    NS_RETURN_IF_ERROR(SawFence(stored.fence));
    if (stored.holder != holder || stored.fence != fence.epoch) {
      return absl::AbortedError(absl::StrCat(
          "the lease with fence ", fence.epoch, " is no longer ours: ",
          stored.holder.empty() ? "it was given up" : absl::StrCat("held by ", stored.holder),
          ", fence ", stored.fence));
    }
    NS_ASSIGN_OR_RETURN(const std::int64_t now, Now());
    lease = LeaseInfo{holder, fence, now + absl::ToInt64Microseconds(ttl), now};
    return StoreLease(*session_, lease);
  });
  NS_RETURN_IF_ERROR(done);
  return lease;
}

absl::Status SqlStore::ReleaseLease(const std::string& holder, Fence fence) {
  return Transact([&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(const LeaseRow stored, LockLease(*session_));
    if (stored.holder != holder || stored.fence != fence.epoch) return absl::OkStatus();
    NS_ASSIGN_OR_RETURN(const std::uint64_t epoch, LockFence(*session_));
    // The fence ends with the lease: a straggler of the old holder is refused from here on.
    const std::uint64_t next = std::max(epoch, stored.fence) + 1;
    NS_RETURN_IF_ERROR(session_->Execute("UPDATE fence SET epoch = ? WHERE id = 1", {Uint(next)}));
    return StoreLease(*session_, LeaseInfo{"", Fence{next}, 0, 0});
  });
}

absl::Status SqlStore::SetCounter(const char* name, std::uint64_t value) {
  NS_ASSIGN_OR_RETURN(auto writer, session_->Insert({"counters", {"name", "value"}, 1, true}));
  writer->Text(name);
  writer->Uint(value);
  NS_RETURN_IF_ERROR(writer->EndRow());
  return writer->Finish();
}

absl::StatusOr<std::uint64_t> SqlStore::Counter(const char* name) {
  NS_ASSIGN_OR_RETURN(auto rows,
                      session_->Query("SELECT value FROM counters WHERE name = ?", {Text(name)}));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  return found ? rows->Uint(0) : 0;
}

absl::StatusOr<std::uint64_t> SqlStore::NextLeaseEpochs(Fence fence, std::uint64_t count,
                                                        std::uint64_t above) {
  above = std::min<std::uint64_t>(above, std::numeric_limits<std::int64_t>::max());
  std::uint64_t newest = 0;
  const absl::Status done = Write(fence, [&]() -> absl::Status {
    // In one statement: max(value, min(above, value + step)) + count.
    NS_RETURN_IF_ERROR(session_->Execute(
        "UPDATE counters SET value = CASE WHEN value >= ? THEN value WHEN value + ? < ?"
        " THEN value + ? ELSE ? END + ? WHERE name = 'lease_epoch'",
        {Uint(above), Uint(kMaxEpochStep), Uint(above), Uint(kMaxEpochStep), Uint(above),
         Uint(count)}));
    NS_ASSIGN_OR_RETURN(newest, Counter("lease_epoch"));
    if (newest != 0) return absl::OkStatus();
    newest = std::min(above, kMaxEpochStep) + count;
    return SetCounter("lease_epoch", newest);
  });
  NS_RETURN_IF_ERROR(done);
  return newest - count + 1;
}

absl::StatusOr<PolicyRevision> SqlStore::LatestPolicy() {
  PolicyRevision policy;
  const absl::Status done = Read([&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(
        auto rows, session_->Query("SELECT revision, content, imported_at_us FROM policy_revisions"
                                   " ORDER BY revision DESC LIMIT 1"));
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    policy = PolicyRevision{};
    if (found) policy = PolicyRevision{rows->Uint(0), rows->String(1), rows->Int(2)};
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return policy;
}

absl::StatusOr<PolicyRevision> SqlStore::ImportPolicy(Fence fence, const std::string& content,
                                                      std::int64_t at_us) {
  PolicyRevision policy{0, content, at_us};
  const absl::Status done = Write(fence, [&]() -> absl::Status {
    {
      NS_ASSIGN_OR_RETURN(
          auto rows,
          session_->Query("SELECT COALESCE(MAX(revision), 0) + 1 FROM policy_revisions"));
      NS_RETURN_IF_ERROR(rows->Next().status());
      policy.revision = rows->Uint(0);
    }
    NS_RETURN_IF_ERROR(session_->Execute("INSERT INTO policy_revisions VALUES (?, ?, ?)",
                                         {Uint(policy.revision), Text(content), Int(at_us)}));
    AuditRow audit;
    audit.entry_id = absl::StrCat("policy-", policy.revision);
    audit.at_us = at_us;
    audit.program = "aggregator";
    audit.role = "local";
    audit.address = "configuration file";
    audit.action = "policy.import";
    audit.subject = "sites, routers, mapping rules and quotas";
    audit.before = policy.revision > 1 ? absl::StrCat("revision ", policy.revision - 1) : "none";
    audit.after = absl::StrCat("revision ", policy.revision);
    return InsertAudit(audit);
  });
  NS_RETURN_IF_ERROR(done);
  return policy;
}

absl::Status SqlStore::PutQuotaOverride(Fence fence, const QuotaOverrideRow& row,
                                        const AuditRow& audit) {
  NS_RETURN_IF_ERROR(Validate(audit));
  NS_RETURN_IF_ERROR(Validate(row.subscriber));
  NS_RETURN_IF_ERROR(ValidateId("quota id", row.quota_id));
  if (row.limit_bytes > base::kMaxStoredBytes) {
    return absl::OutOfRangeError(absl::StrCat("limit ", row.limit_bytes, " is past 2^63-1"));
  }
  return Write(fence, [&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(const bool done, HasAudit(audit.entry_id));
    if (done) return absl::OkStatus();
    AuditRow entry = audit;
    NS_ASSIGN_OR_RETURN(entry.before, StoredOverrideText(row.subscriber, row.quota_id));
    entry.after = QuotaOverrideText(&row);
    NS_RETURN_IF_ERROR(InsertAudit(entry));
    NS_ASSIGN_OR_RETURN(auto writer,
                        session_->Insert({"quota_overrides",
                                          {"site", "router", "name", "quota_id", "limit_bytes",
                                           "unlimited", "changed_at_us", "changed_by"},
                                          4,
                                          true}));
    writer->Text(row.subscriber.site.value());
    writer->Text(row.subscriber.router.value());
    writer->Bytes(row.subscriber.name);
    writer->Text(row.quota_id);
    writer->Uint(row.limit_bytes);
    writer->Int(row.unlimited ? 1 : 0);
    writer->Int(row.changed_at_us);
    writer->Text(StorableText(row.changed_by.substr(0, kMaxIdBytes)));
    NS_RETURN_IF_ERROR(writer->EndRow());
    return writer->Finish();
  });
}

absl::Status SqlStore::RemoveQuotaOverride(Fence fence, const accounting::SubscriberKey& subscriber,
                                           const std::string& quota_id, const AuditRow& audit) {
  NS_RETURN_IF_ERROR(Validate(audit));
  return Write(fence, [&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(const bool done, HasAudit(audit.entry_id));
    if (done) return absl::OkStatus();
    AuditRow entry = audit;
    NS_ASSIGN_OR_RETURN(entry.before, StoredOverrideText(subscriber, quota_id));
    entry.after = QuotaOverrideText(nullptr);
    NS_RETURN_IF_ERROR(InsertAudit(entry));
    return session_->Execute(
        "DELETE FROM quota_overrides WHERE site = ? AND router = ? AND name = ? AND quota_id = ?",
        {Text(subscriber.site.value()), Text(subscriber.router.value()), Bytes(subscriber.name),
         Text(quota_id)});
  });
}

absl::StatusOr<std::vector<QuotaOverrideRow>> SqlStore::QuotaOverrides() {
  std::vector<QuotaOverrideRow> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(
        auto rows, session_->Query("SELECT site, router, name, quota_id, limit_bytes, unlimited,"
                                   " changed_at_us, changed_by FROM quota_overrides"));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      QuotaOverrideRow row;
      row.subscriber = {base::SiteId(rows->String(0)), base::RouterId(rows->String(1)),
                        rows->String(2)};
      row.quota_id = rows->String(3);
      row.limit_bytes = rows->Uint(4);
      row.unlimited = rows->Int(5) != 0;
      row.changed_at_us = rows->Int(6);
      row.changed_by = rows->String(7);
      result.push_back(std::move(row));
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

}  // namespace netsentinel::store
