#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

#include "aggregator/store/sql_session.h"
#include "aggregator/store/store.h"

namespace netsentinel::store {

// Between the numbers of the slices of one checkpoint part.
inline constexpr std::int64_t kCheckpointSlice = std::int64_t{1} << 32;

// An override as an audit row tells it; null: none stands there.
std::string QuotaOverrideText(const QuotaOverrideRow* row);

// The store over either engine: everything but connections, literals and error numbers. One thread.
class SqlStore final : public Store {
 public:
  explicit SqlStore(std::unique_ptr<SqlSession> session) : session_(std::move(session)) {}

  absl::StatusOr<LeaseInfo> AcquireLease(const std::string& holder, absl::Duration ttl) override;
  absl::StatusOr<LeaseInfo> RenewLease(const std::string& holder, Fence fence,
                                       absl::Duration ttl) override;
  absl::Status ReleaseLease(const std::string& holder, Fence fence) override;

  std::size_t journal_payload_max() const override;
  absl::Status Commit(Fence fence, const CommitBatch& batch) override;
  absl::Status Flush(Fence fence, const FlushBatch& batch) override;
  absl::StatusOr<RecoveredState> Recover(BetweenSlices between) override;
  absl::StatusOr<std::vector<JournalRow>> Journal(std::uint64_t after,
                                                  std::size_t payload_bytes) override;
  absl::StatusOr<std::vector<Watermark>> Watermarks() override;
  absl::StatusOr<std::uint64_t> NextLeaseEpochs(Fence fence, std::uint64_t count,
                                                std::uint64_t above) override;

  absl::StatusOr<PolicyRevision> LatestPolicy() override;
  absl::StatusOr<PolicyRevision> ImportPolicy(Fence fence, const std::string& content,
                                              std::int64_t at_us) override;
  absl::Status PutQuotaOverride(Fence fence, const QuotaOverrideRow& row,
                                const AuditRow& audit) override;
  absl::Status RemoveQuotaOverride(Fence fence, const accounting::SubscriberKey& subscriber,
                                   const std::string& quota_id, const AuditRow& audit) override;
  absl::StatusOr<std::vector<QuotaOverrideRow>> QuotaOverrides() override;

  absl::Status AppendAudit(Fence fence, const std::vector<AuditRow>& rows) override;
  absl::StatusOr<std::vector<AuditRow>> AuditLog(const AuditQuestion& question) override;

  absl::StatusOr<std::vector<OutboxClaim>> ClaimOutbox(Fence fence, const std::string& owner,
                                                       absl::Duration claim_for,
                                                       std::size_t limit) override;
  absl::Status FinishOutbox(Fence fence, const std::string& owner,
                            const std::vector<OutboxResult>& results) override;

  absl::StatusOr<std::vector<StoredUsage>> UsageBetween(const base::SiteId& site,
                                                        absl::CivilDay first,
                                                        absl::CivilDay last) override;
  absl::StatusOr<std::vector<StoredUsage>> SubscriberUsage(
      const accounting::SubscriberKey& subscriber, absl::CivilDay first,
      absl::CivilDay last) override;
  absl::StatusOr<History> UsageHistory(const base::SiteId& site, absl::CivilDay first,
                                       absl::CivilDay last, const HistoryReader& reader) override;
  absl::StatusOr<absl::CivilDay> PurgedBefore() override;
  absl::StatusOr<std::vector<StoredUsage>> MonthUsage(const base::SiteId& site,
                                                      absl::CivilMonth month) override;
  absl::StatusOr<std::vector<StoredUsage>> SubscriberMonth(
      const accounting::SubscriberKey& subscriber, absl::CivilMonth month) override;
  absl::StatusOr<std::vector<StoredEvidence>> Evidence(const accounting::SubscriberKey& subscriber,
                                                       absl::CivilDay first, absl::CivilDay last,
                                                       std::size_t limit) override;
  absl::StatusOr<std::vector<accounting::HoldRecord>> OpenHolds() override;
  absl::StatusOr<std::vector<accounting::EpochRecord>> Epochs(
      absl::Span<const accounting::QueueKey> queues, std::int64_t from_us, std::int64_t to_us,
      std::size_t limit) override;
  absl::StatusOr<EventList> Events(const EventFilter& filter, std::size_t limit) override;
  absl::StatusOr<BreachList> Breaches(const BreachFilter& filter, std::size_t limit) override;
  absl::StatusOr<SiteReadings> Readings(const base::SiteId& site, absl::CivilDay first,
                                        absl::CivilDay last) override;
  absl::StatusOr<std::vector<FirstReading>> FirstReadings() override;
  absl::StatusOr<std::vector<ReadDay>> ReadDays(absl::CivilDay first, absl::CivilDay last) override;
  absl::StatusOr<std::vector<BreachRow>> BreachesSince(absl::CivilDay period_start) override;
  absl::Status AppendEvents(Fence fence,
                            const std::vector<accounting::EventRecord>& events) override;

  absl::StatusOr<std::size_t> PurgeDaily(Fence fence, absl::CivilDay before,
                                         std::size_t limit) override;
  absl::StatusOr<std::size_t> PurgeMonthly(Fence fence, absl::CivilMonth before,
                                           std::size_t limit) override;
  absl::StatusOr<std::size_t> PurgeHistory(Fence fence, std::int64_t before_us,
                                           std::size_t limit) override;

 private:
  using Body = absl::FunctionRef<absl::Status()>;
  // Runs `body` in a transaction, and all of it again where that is likely to help.
  absl::Status Transact(Body body);
  // The same behind the fence.
  absl::Status Write(Fence fence, Body body);
  // Reads one state of everything.
  absl::Status Read(Body body);
  absl::Status CheckFence(Fence fence);
  absl::Status SawFence(std::uint64_t epoch);
  absl::Status AwaitWriters();
  absl::StatusOr<std::int64_t> Now();

  absl::StatusOr<bool> HasAudit(const std::string& entry_id);
  absl::Status InsertAudit(const AuditRow& row);
  absl::StatusOr<std::string> StoredOverrideText(const accounting::SubscriberKey& subscriber,
                                                 const std::string& quota_id);

  absl::Status CommitJournal(const std::vector<JournalRow>& journal);
  absl::Status NoteReadings(const CommitBatch& batch);
  absl::StatusOr<std::size_t> DropReadDays(absl::CivilMonth before, std::size_t limit);
  absl::StatusOr<std::uint64_t> CountMatching(absl::string_view rows,
                                              const std::vector<SqlValue>& values);
  absl::Status InsertEpochs(const std::vector<accounting::EpochRecord>& epochs);
  absl::Status StoreHolds(const std::vector<accounting::HoldRecord>& holds);
  absl::Status InsertEvents(const std::vector<accounting::EventRecord>& events);
  absl::Status InsertBreaches(const std::vector<BreachRow>& breaches);

  absl::Status StoreNames(const FlushBatch& batch);
  absl::Status StoreDayCloses(const FlushBatch& batch);
  absl::Status StoreCheckpoints(const FlushBatch& batch);
  absl::Status DropCheckpoints(const FlushBatch& batch);
  absl::Status DropSlices(const FlushBatch& batch);
  absl::Status TrimJournal(const std::vector<FlushBatch::Trim>& trims);
  absl::Status WriteUsage(const char* table, const char* day_column,
                          const std::vector<const StoredUsage*>& rows);
  absl::Status WriteEvidence(const std::vector<StoredEvidence>& rows);
  struct EvidenceQuestion {
    const accounting::SubscriberKey& subscriber;
    std::string from;
    std::string to;
    std::size_t limit;
  };
  absl::Status ReadTotals(const EvidenceQuestion& asked, std::vector<StoredEvidence>& out);
  absl::Status ReadSteps(const EvidenceQuestion& asked, std::vector<StoredEvidence>& out);
  absl::Status SetCounter(const char* name, std::uint64_t value);
  absl::StatusOr<std::uint64_t> Counter(const char* name);

  absl::Status RecoverCheckpoints(RecoveredState& state, BetweenSlices between);
  absl::Status RecoverQueues(RecoveredState& state, BetweenSlices between);
  absl::Status RecoverSubscribers(RecoveredState& state, BetweenSlices between);
  absl::Status RecoverCounters(RecoveredState& state);
  absl::Status RecoverDays(RecoveredState& state);
  absl::StatusOr<std::uint64_t> EndOfPage(std::uint64_t after, std::size_t payload_bytes);

  // What a usage query asks for; see sql_store_usage.cc.
  struct UsageQuestion;
  absl::Status ReadUsage(const UsageQuestion& question, std::vector<StoredUsage>& out);
  absl::StatusOr<std::vector<StoredUsage>> MonthOf(const UsageQuestion& question,
                                                   absl::CivilMonth month);
  absl::StatusOr<absl::CivilDay> StoredPurge(const char* counter);
  absl::Status NotePurge(const char* counter, absl::CivilDay before);
  absl::StatusOr<std::size_t> FoldSlice(absl::CivilDay before, std::size_t limit);
  absl::StatusOr<std::size_t> DropMonthSlice(absl::CivilMonth before, std::size_t limit);
  absl::Status DeleteUsage(const char* table, const char* day_column,
                           const std::vector<StoredUsage>& rows);
  absl::Status AddToMonths(const std::vector<StoredUsage>& rows);

  std::unique_ptr<SqlSession> session_;
  // The highest fence this store has seen: one below it means that the database went back in time.
  std::uint64_t seen_fence_ = 0;
};

}  // namespace netsentinel::store
