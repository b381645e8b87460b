#include "aggregator/ingest/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/ingest/store_records.h"
#include "common/base/status_macros.h"

namespace netsentinel::ingest {
namespace {

// The engine looks after its deadlines at least this often.
constexpr absl::Duration kTick = absl::Milliseconds(500);
constexpr absl::Duration kLastFlushWait = absl::Seconds(6);
// Breaches of periods that may still be running: the longest period is a month.
constexpr int kFiredDays = 62;

}  // namespace

Engine::Engine(EngineParts parts, EngineSettings settings, EnginePolicy policy)
    : parts_(std::move(parts)),
      settings_(std::move(settings)),
      policy_(std::move(policy)),
      store_backoff_(settings_.store_backoff, parts_.random),
      leases_(settings_.router_lease_ttl) {}

absl::Status Engine::Run(store::Fence fence) {
  fence_ = fence;
  NS_RETURN_IF_ERROR(Recover());
  next_flush_ = parts_.clock.MonotonicNow() + settings_.flush_interval;
  next_lease_renewal_ = parts_.clock.MonotonicNow();
  parts_.signals.readiness(absl::OkStatus());
  for (bool more = false; !stopping_.load() && fatal_.ok();) {
    for (StreamEvent& event : parts_.events.TakeAll(more ? absl::ZeroDuration() : kTick)) {
      Handle(std::move(event));
    }
    TakePolicyChange();
    // However much waits, the lease is extended in time.
    do {
      more = !stopping_.load() && fatal_.ok() && CommitRound();
    } while (more && parts_.clock.MonotonicNow() < next_lease_renewal_);
    if (fatal_.ok()) Housekeep();
  }
  CloseAll(absl::UnavailableError("the aggregator is stopping; connect again"));
  CloseArriving(absl::ZeroDuration());
  if (fatal_.ok() && book_current_) LastFlush();
  return fatal_;
}

void Engine::Stop() {
  stopping_.store(true);
  parts_.events.Wake();
}

void Engine::SetPolicy(EnginePolicy policy) {
  {
    base::MutexLock lock(change_mutex_);
    changed_policy_ = std::move(policy);
  }
  parts_.events.Wake();
}

void Engine::RefreshOverrides() {
  {
    base::MutexLock lock(change_mutex_);
    overrides_changed_ = true;
  }
  parts_.events.Wake();
}

absl::Status Engine::Recover() {
  NS_RETURN_IF_ERROR(LoadOverrides());
  auto book = std::make_unique<accounting::Book>();
  accounting::Policy policy = policy_.accounting;
  policy.overrides = overrides_;
  NS_RETURN_IF_ERROR(book->SetPolicy(policy, NowUs()));

  NS_ASSIGN_OR_RETURN(store::RecoveredState state, parts_.store.Recover());
  const absl::CivilDay since =
      absl::ToCivilDay(parts_.clock.WallNow(), absl::UTCTimeZone()) - kFiredDays;
  NS_ASSIGN_OR_RETURN(const std::vector<store::BreachRow> breaches,
                      parts_.store.BreachesSince(since));
  NS_ASSIGN_OR_RETURN(const std::vector<store::Store::Watermark> watermarks,
                      parts_.store.Watermarks());
  next_journal_id_ = state.next_journal_id;
  const std::size_t replayed = state.journal.size();
  NS_RETURN_IF_ERROR(book->Recover(ToInput(std::move(state), breaches)));
  watermarks_.clear();
  for (const store::Store::Watermark& mark : watermarks) {
    watermarks_[{mark.router, mark.menu}] = mark.position;
  }
  parts_.book.Replace(std::move(book));
  book_current_ = true;
  judge_quotas_ = true;  // limits may have changed since the last snapshot was judged

  std::vector<base::RouterId> routers;
  for (const auto& [router, admission] : policy_.admission) routers.push_back(router);
  parts_.board.SetRouters(routers);
  parts_.logger.Info("ingest.recovered", "state rebuilt from the store",
                     {{"journal_rows", replayed}, {"menus", watermarks_.size()}});
  return absl::OkStatus();
}

absl::Status Engine::LoadOverrides() {
  NS_ASSIGN_OR_RETURN(const std::vector<store::QuotaOverrideRow> rows,
                      parts_.store.QuotaOverrides());
  overrides_.clear();
  for (const store::QuotaOverrideRow& row : rows) {
    overrides_.push_back({.subscriber = row.subscriber,
                          .quota_id = row.quota_id,
                          .limit = {.bytes = row.limit_bytes, .unlimited = row.unlimited}});
  }
  return absl::OkStatus();
}

absl::Status Engine::ApplyPolicy() {
  accounting::Policy policy = policy_.accounting;
  policy.overrides = overrides_;
  NS_RETURN_IF_ERROR(
      parts_.book.Write([&](accounting::Book& book) { return book.SetPolicy(policy, NowUs()); }));
  judge_quotas_ = true;
  return absl::OkStatus();
}

void Engine::TakePolicyChange() {
  std::optional<EnginePolicy> changed;
  bool overrides = false;
  {
    base::MutexLock lock(change_mutex_);
    changed = std::exchange(changed_policy_, std::nullopt);
    overrides = std::exchange(overrides_changed_, false);
  }
  if (!changed.has_value() && !overrides) return;
  std::vector<accounting::QuotaOverride> overrides_before = overrides_;
  absl::Status status = overrides ? LoadOverrides() : absl::OkStatus();
  if (!status.ok()) {
    parts_.logger.Warn("quota.overrides_unread", "cannot read the quota overrides; trying again",
                       {{"status", status}});
    overrides_ = std::move(overrides_before);
    base::MutexLock lock(change_mutex_);
    overrides_changed_ = true;
    if (changed.has_value() && !changed_policy_.has_value()) changed_policy_ = std::move(changed);
    return;
  }
  // No journal row may be replayed under mapping rules that are newer than it.
  if (changed.has_value() && !FlushNow()) {
    base::MutexLock lock(change_mutex_);
    overrides_changed_ = overrides_changed_ || overrides;
    if (!changed_policy_.has_value()) changed_policy_ = std::move(changed);
    return;
  }
  status = changed.has_value() ? TakePolicy(*std::move(changed)) : ApplyPolicy();
  if (!status.ok()) {
    overrides_ = std::move(overrides_before);
    parts_.logger.Error("policy.refused", "the changed policy cannot be used; the old one stays",
                        {{"status", status}});
  }
}

absl::Status Engine::TakePolicy(EnginePolicy policy) {
  std::swap(policy_, policy);
  if (absl::Status status = ApplyPolicy(); !status.ok()) {
    policy_ = std::move(policy);
    return status;
  }
  if (policy_.text != policy.text) {
    const auto imported = parts_.store.ImportPolicy(fence_, policy_.text, NowUs());
    if (imported.ok()) {
      parts_.logger.Info("policy.imported", "the configuration is a new policy revision",
                         {{"revision", imported->revision}});
    } else {
      parts_.logger.Warn("policy.not_imported", "the policy is in force, its revision is not kept",
                         {{"status", imported.status()}});
    }
  }
  std::vector<base::RouterId> routers;
  for (const auto& [router, admission] : policy_.admission) routers.push_back(router);
  parts_.board.SetRouters(routers);
  // Boundaries, grants and cadence may have changed: a fresh hello brings them.
  CloseAll(absl::UnavailableError("the policy changed; connect again"));
  return absl::OkStatus();
}

void Engine::Housekeep() {
  if (absl::Status status = KeepStoreLease(); absl::IsAborted(status)) {
    fatal_ = status;
    return;
  }
  GrantLapsedLeases();
  HandleFlush(absl::ZeroDuration());
  if (!parts_.flush_worker.busy() && parts_.clock.MonotonicNow() >= next_flush_) {
    accounting::StagedFlush flush =
        parts_.book.Write([&](accounting::Book& book) { return book.StageFlush(NowUs(), {}); });
    next_flush_ = parts_.clock.MonotonicNow() + settings_.flush_interval;
    parts_.flush_worker.Start(fence_, std::move(flush));
  }
}

absl::Status Engine::KeepStoreLease() {
  const absl::Duration now = parts_.clock.MonotonicNow();
  if (now < next_lease_renewal_) return absl::OkStatus();
  next_lease_renewal_ = now + settings_.store_lease_ttl / 3;
  const absl::StatusOr<store::LeaseInfo> lease =
      parts_.store.RenewLease(settings_.instance, fence_, settings_.store_lease_ttl);
  if (lease.ok()) {
    parts_.signals.readiness(absl::OkStatus());
    return absl::OkStatus();
  }
  parts_.logger.Warn("store.lease_not_renewed", "cannot extend the aggregator's lease",
                     {{"status", lease.status()}});
  parts_.signals.readiness(lease.status());
  return lease.status();
}

void Engine::HandleFlush(absl::Duration wait) {
  std::optional<FlushWorker::Outcome> outcome = parts_.flush_worker.Take(wait);
  if (outcome.has_value()) SettleFlush(*std::move(outcome));
}

void Engine::SettleFlush(FlushWorker::Outcome outcome) {
  const std::size_t rows = outcome.flush.usage.size();
  if (outcome.status.ok()) {
    parts_.book.Write([&](accounting::Book& book) { book.InstallFlush(std::move(outcome.flush)); });
    parts_.signals.flushed(rows, absl::ZeroDuration());
    return;
  }
  parts_.logger.Warn("store.flush_failed", "usage rows could not be written; trying again",
                     {{"rows", rows}, {"status", outcome.status}});
  if (absl::IsAborted(outcome.status)) {
    fatal_ = outcome.status;
  } else if (absl::IsUnknown(outcome.status) || absl::IsDataLoss(outcome.status)) {
    // Nobody knows what is in the store: what is there is read back.
    Reload("a flush ended in an unknown way");
  } else {
    parts_.book.Write([&](accounting::Book& book) { book.FlushFailed(std::move(outcome.flush)); });
    next_flush_ = parts_.clock.MonotonicNow() + Pause();
  }
}

// Writes everything that is dirty; false when that did not come about in time.
bool Engine::FlushNow() {
  HandleFlush(kLastFlushWait);
  if (parts_.flush_worker.busy() || !fatal_.ok() || !book_current_) return false;
  parts_.flush_worker.Start(fence_, parts_.book.Write([&](accounting::Book& book) {
    return book.StageFlush(NowUs(), {});
  }));
  std::optional<FlushWorker::Outcome> outcome = parts_.flush_worker.Take(kLastFlushWait);
  if (!outcome.has_value()) return false;
  const bool flushed = outcome->status.ok();
  SettleFlush(*std::move(outcome));
  return flushed && fatal_.ok();
}

void Engine::LastFlush() { FlushNow(); }

void Engine::Reload(absl::string_view why) {
  parts_.logger.Warn("ingest.reload", "reading the state back from the store", {{"why", why}});
  CloseAll(absl::UnavailableError("the aggregator reads its state back; connect again"));
  book_current_ = false;
  // A flush under way gives numbers to names: nothing is read before it has ended.
  while (parts_.flush_worker.busy() && !parts_.flush_worker.Take(kTick).has_value()) {
    if (stopping_.load()) return;
    CloseArriving(absl::ZeroDuration());
  }
  for (;;) {
    const absl::Status status = Recover();
    if (status.ok()) {
      store_backoff_.Reset();
      parts_.signals.readiness(absl::OkStatus());
      return;
    }
    parts_.signals.readiness(status);
    if (stopping_.load()) return;
    if (!absl::IsUnavailable(status) && status.code() != absl::StatusCode::kUnknown) {
      fatal_ = status;
      return;
    }
    CloseArriving(Pause());
  }
}

// Streams that opened while nobody could serve them are to come again.
void Engine::CloseArriving(absl::Duration wait) {
  for (StreamEvent& event : parts_.events.TakeAll(wait)) {
    if (auto* opened = std::get_if<StreamOpened>(&event.what); opened != nullptr) {
      opened->sink->Close(absl::UnavailableError("the aggregator is not ready; connect again"));
    }
  }
}

void Engine::CloseAll(const absl::Status& status) {
  for (auto& [id, stream] : streams_) {
    if (stream.party.has_value()) {
      for (const auto& [router, admission] : policy_.admission) {
        const Lease* lease = leases_.Find(router);
        if (lease != nullptr && lease->holder == *stream.party) {
          parts_.board.SetDisconnected(router, NowUs());
        }
      }
    }
    stream.sink->Close(status);
  }
  streams_.clear();
}

absl::Duration Engine::Pause() { return std::min(store_backoff_.NextDelay(), absl::Seconds(5)); }

}  // namespace netsentinel::ingest
