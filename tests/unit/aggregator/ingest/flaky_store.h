#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aggregator/store/store.h"
#include "common/base/mutex.h"

namespace netsentinel::store {

// A real store some of whose writing calls end otherwise than they should. Set from any thread.
class FlakyStore final : public Store {
 public:
  explicit FlakyStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  // The next Commit with snapshots gives `status`; what it should store is stored or is not.
  void FailCommit(absl::Status status, bool stores) {
    base::MutexLock lock(mutex_);
    commit_ = std::move(status);
    commit_stores_ = stores;
  }
  // The next `times` Flushes give `status` and store nothing.
  void FailFlush(absl::Status status, int times = 1) {
    base::MutexLock lock(mutex_);
    flush_ = std::move(status);
    flush_failures_ = times;
  }
  // Runs once, before the next page of the journal is read.
  void BeforeJournal(std::function<void()> call) {
    base::MutexLock lock(mutex_);
    before_journal_ = std::move(call);
  }
  // The next `times` changes of a quota give `status`; what they should store is stored or is not.
  void FailQuota(absl::Status status, bool stores, int times) {
    base::MutexLock lock(mutex_);
    quota_ = std::move(status);
    quota_stores_ = stores;
    quota_times_ = times;
  }
  // The next ImportPolicy gives `status`, after `meanwhile`; what it should store is stored or is
  // not.
  void FailImport(
      absl::Status status, bool stores, std::function<void()> meanwhile = [] {}) {
    base::MutexLock lock(mutex_);
    import_ = std::move(status);
    import_stores_ = stores;
    while_importing_ = std::move(meanwhile);
  }
  // Runs once, before the next LatestPolicy.
  void BeforeLatestPolicy(std::function<void()> call) {
    base::MutexLock lock(mutex_);
    before_latest_policy_ = std::move(call);
  }

  // Called before every RenewLease, on its thread.
  void OnRenew(std::function<void()> hook) {
    base::MutexLock lock(mutex_);
    on_renew_ = std::move(hook);
  }

  absl::Status Commit(Fence fence, const CommitBatch& batch) override {
    absl::Status status;
    bool stores = true;
    if (!batch.journal.empty()) {
      base::MutexLock lock(mutex_);
      status = std::exchange(commit_, absl::OkStatus());
      stores = std::exchange(commit_stores_, true);
    }
    if (!stores) return status;
    const absl::Status done = store_->Commit(fence, batch);
    return status.ok() ? done : status;
  }
  absl::StatusOr<PolicyRevision> ImportPolicy(Fence fence, const std::string& content,
                                              std::int64_t at_us) override {
    absl::Status status;
    bool stores = true;
    std::function<void()> meanwhile;
    {
      base::MutexLock lock(mutex_);
      status = std::exchange(import_, absl::OkStatus());
      stores = std::exchange(import_stores_, true);
      meanwhile = std::exchange(while_importing_, nullptr);
    }
    if (meanwhile != nullptr) meanwhile();
    if (!stores) return status;
    auto done = store_->ImportPolicy(fence, content, at_us);
    if (!status.ok()) return status;
    return done;
  }

  absl::StatusOr<LeaseInfo> AcquireLease(const std::string& holder, absl::Duration ttl) override {
    return store_->AcquireLease(holder, ttl);
  }
  absl::StatusOr<LeaseInfo> RenewLease(const std::string& holder, Fence fence,
                                       absl::Duration ttl) override {
    std::function<void()> hook;
    {
      base::MutexLock lock(mutex_);
      hook = on_renew_;
    }
    if (hook) hook();
    return store_->RenewLease(holder, fence, ttl);
  }
  absl::Status ReleaseLease(const std::string& holder, Fence fence) override {
    return store_->ReleaseLease(holder, fence);
  }
  std::size_t journal_payload_max() const override { return store_->journal_payload_max(); }
  absl::Status Flush(Fence fence, const FlushBatch& batch) override {
    absl::Status status;
    {
      base::MutexLock lock(mutex_);
      if (flush_failures_ > 0) {
        --flush_failures_;
        status = flush_;
      }
    }
    return status.ok() ? store_->Flush(fence, batch) : status;
  }
  absl::StatusOr<RecoveredState> Recover(BetweenSlices between) override {
    return store_->Recover(between);
  }
  absl::StatusOr<std::vector<JournalRow>> Journal(std::uint64_t after,
                                                  std::size_t payload_bytes) override {
    std::function<void()> before;
    {
      base::MutexLock lock(mutex_);
      before = std::exchange(before_journal_, nullptr);
    }
    if (before != nullptr) before();
    return store_->Journal(after, payload_bytes);
  }
  absl::StatusOr<std::vector<Watermark>> Watermarks() override { return store_->Watermarks(); }
  absl::StatusOr<std::uint64_t> NextLeaseEpochs(Fence fence, std::uint64_t count,
                                                std::uint64_t above) override {
    return store_->NextLeaseEpochs(fence, count, above);
  }
  absl::StatusOr<PolicyRevision> LatestPolicy() override {
    std::function<void()> before;
    {
      base::MutexLock lock(mutex_);
      before = std::exchange(before_latest_policy_, nullptr);
    }
    if (before != nullptr) before();
    return store_->LatestPolicy();
  }
  absl::Status PutQuotaOverride(Fence fence, const QuotaOverrideRow& row,
                                const AuditRow& audit) override {
    return ChangeQuota([&] { return store_->PutQuotaOverride(fence, row, audit); });
  }
  absl::Status RemoveQuotaOverride(Fence fence, const accounting::SubscriberKey& subscriber,
                                   const std::string& quota_id, const AuditRow& audit) override {
    return ChangeQuota(
        [&] { return store_->RemoveQuotaOverride(fence, subscriber, quota_id, audit); });
  }
  absl::Status AppendAudit(Fence fence, const std::vector<AuditRow>& rows) override {
    return store_->AppendAudit(fence, rows);
  }
  absl::StatusOr<std::vector<AuditRow>> AuditLog(const AuditQuestion& question) override {
    return store_->AuditLog(question);
  }
  // From now on the overrides are these, in this order, whatever the store has.
  void GiveOverrides(std::vector<QuotaOverrideRow> rows) { overrides_ = std::move(rows); }
  absl::StatusOr<std::vector<QuotaOverrideRow>> QuotaOverrides() override {
    if (overrides_.has_value()) return *overrides_;
    return store_->QuotaOverrides();
  }
  absl::StatusOr<std::vector<OutboxClaim>> ClaimOutbox(Fence fence, const std::string& owner,
                                                       absl::Duration claim_for,
                                                       std::size_t limit) override {
    return store_->ClaimOutbox(fence, owner, claim_for, limit);
  }
  absl::Status FinishOutbox(Fence fence, const std::string& owner,
                            const std::vector<OutboxResult>& results) override {
    return store_->FinishOutbox(fence, owner, results);
  }
  absl::StatusOr<std::vector<StoredUsage>> UsageBetween(const base::SiteId& site,
                                                        absl::CivilDay first,
                                                        absl::CivilDay last) override {
    return store_->UsageBetween(site, first, last);
  }
  absl::StatusOr<std::vector<StoredUsage>> SubscriberUsage(
      const accounting::SubscriberKey& subscriber, absl::CivilDay first,
      absl::CivilDay last) override {
    return store_->SubscriberUsage(subscriber, first, last);
  }
  absl::StatusOr<History> UsageHistory(const base::SiteId& site, absl::CivilDay first,
                                       absl::CivilDay last, const HistoryReader& reader) override {
    return store_->UsageHistory(site, first, last, reader);
  }
  absl::StatusOr<absl::CivilDay> PurgedBefore() override { return store_->PurgedBefore(); }
  absl::StatusOr<std::vector<store::StoredEvidence>> Evidence(
      const accounting::SubscriberKey& subscriber, absl::CivilDay first, absl::CivilDay last,
      std::size_t limit) override {
    return store_->Evidence(subscriber, first, last, limit);
  }
  absl::StatusOr<std::vector<StoredUsage>> MonthUsage(const base::SiteId& site,
                                                      absl::CivilMonth month) override {
    return store_->MonthUsage(site, month);
  }
  absl::StatusOr<std::vector<StoredUsage>> SubscriberMonth(
      const accounting::SubscriberKey& subscriber, absl::CivilMonth month) override {
    return store_->SubscriberMonth(subscriber, month);
  }
  absl::StatusOr<std::vector<accounting::HoldRecord>> OpenHolds() override {
    return store_->OpenHolds();
  }
  absl::StatusOr<std::vector<accounting::EpochRecord>> Epochs(
      absl::Span<const accounting::QueueKey> queues, std::int64_t from_us, std::int64_t to_us,
      std::size_t limit) override {
    auto epochs = store_->Epochs(queues, from_us, to_us, limit);
    base::MutexLock lock(mutex_);
    epoch_calls_.push_back({queues.begin(), queues.end()});
    return epochs;
  }
  // Whose epochs were asked for, by call, in their order.
  std::vector<std::vector<accounting::QueueKey>> epoch_calls() {
    base::MutexLock lock(mutex_);
    return epoch_calls_;
  }
  absl::StatusOr<EventList> Events(const EventFilter& filter, std::size_t limit) override {
    return store_->Events(filter, limit);
  }
  absl::StatusOr<BreachList> Breaches(const BreachFilter& filter, std::size_t limit) override {
    return store_->Breaches(filter, limit);
  }
  absl::StatusOr<SiteReadings> Readings(const base::SiteId& site, absl::CivilDay first,
                                        absl::CivilDay last) override {
    return store_->Readings(site, first, last);
  }
  absl::StatusOr<std::vector<FirstReading>> FirstReadings() override {
    return store_->FirstReadings();
  }
  absl::StatusOr<std::vector<ReadDay>> ReadDays(absl::CivilDay first,
                                                absl::CivilDay last) override {
    return store_->ReadDays(first, last);
  }
  absl::StatusOr<std::vector<BreachRow>> BreachesSince(absl::CivilDay period_start) override {
    return store_->BreachesSince(period_start);
  }
  absl::Status AppendEvents(Fence fence,
                            const std::vector<accounting::EventRecord>& events) override {
    return store_->AppendEvents(fence, events);
  }
  absl::StatusOr<std::size_t> PurgeDaily(Fence fence, absl::CivilDay before,
                                         std::size_t limit) override {
    return NotePurge(limit, store_->PurgeDaily(fence, before, limit));
  }
  absl::StatusOr<std::size_t> PurgeMonthly(Fence fence, absl::CivilMonth before,
                                           std::size_t limit) override {
    return NotePurge(limit, store_->PurgeMonthly(fence, before, limit));
  }
  absl::StatusOr<std::size_t> PurgeHistory(Fence fence, std::int64_t before_us,
                                           std::size_t limit) override {
    return NotePurge(limit, store_->PurgeHistory(fence, before_us, limit));
  }
  // How many rows each purge was allowed and how many it took, in their order.
  std::vector<std::pair<std::size_t, std::size_t>> purges() {
    base::MutexLock lock(mutex_);
    return purges_;
  }

 private:
  absl::Status ChangeQuota(const std::function<absl::Status()>& change) {
    absl::Status status;
    bool stores = true;
    {
      base::MutexLock lock(mutex_);
      if (quota_times_ > 0) {
        --quota_times_;
        status = quota_;
        stores = quota_stores_;
      }
    }
    if (!stores) return status;
    const absl::Status done = change();
    return status.ok() ? done : status;
  }
  absl::StatusOr<std::size_t> NotePurge(std::size_t limit, absl::StatusOr<std::size_t> gone) {
    base::MutexLock lock(mutex_);
    purges_.emplace_back(limit, gone.value_or(0));
    return gone;
  }

  std::unique_ptr<Store> store_;
  std::optional<std::vector<QuotaOverrideRow>> overrides_;
  base::Mutex mutex_;
  absl::Status commit_ ABSL_GUARDED_BY(mutex_);
  bool commit_stores_ ABSL_GUARDED_BY(mutex_) = true;
  absl::Status import_ ABSL_GUARDED_BY(mutex_);
  bool import_stores_ ABSL_GUARDED_BY(mutex_) = true;
  std::function<void()> while_importing_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> before_latest_policy_ ABSL_GUARDED_BY(mutex_);
  absl::Status flush_ ABSL_GUARDED_BY(mutex_);
  int flush_failures_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<void()> before_journal_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_renew_ ABSL_GUARDED_BY(mutex_);
  absl::Status quota_ ABSL_GUARDED_BY(mutex_);
  bool quota_stores_ ABSL_GUARDED_BY(mutex_) = true;
  int quota_times_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::pair<std::size_t, std::size_t>> purges_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::vector<accounting::QueueKey>> epoch_calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::store
