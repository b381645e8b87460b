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
constexpr absl::Duration kFlushWait = absl::Seconds(6);
// Breaches of periods that may still be running: the longest period is a month.
constexpr int kFiredDays = 62;

}  // namespace

Engine::Engine(EngineParts parts, EngineSettings settings, EnginePolicy policy)
    : parts_(std::move(parts)),
      settings_(std::move(settings)),
      policy_(std::move(policy)),
      store_backoff_(settings_.store_backoff, parts_.random),
      leases_(settings_.router_lease_ttl) {}

absl::Status Engine::Run(store::Fence fence, std::optional<EnginePolicy> stored) {
  fence_ = fence;
  if (stored.has_value()) {
    base::MutexLock lock(change_mutex_);
    if (!changed_policy_.has_value()) changed_policy_ = std::move(policy_);
    policy_ = *std::move(stored);
  }
  NS_RETURN_IF_ERROR(Recover());
  next_flush_ = parts_.clock.MonotonicNow() + settings_.flush_interval;
  next_lease_renewal_ = parts_.clock.MonotonicNow();
  parts_.signals.readiness(absl::OkStatus());
  KeepStoreLease();  // reading it all back may have taken most of it
  TakePolicyChange();
  for (bool more = false; !stopping_.load() && fatal_.ok();) {
    for (StreamEvent& event : parts_.events.TakeAll(more ? absl::ZeroDuration() : kTick)) {
      Handle(std::move(event));
      KeepStoreLease();
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
  if (fatal_.ok() && book_current_) FlushNow();
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
  NS_RETURN_IF_ERROR(book->Recover(ToInput(std::move(state), breaches, NowUs())));
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
  if (parts_.clock.MonotonicNow() < next_policy_try_) return;
  {
    base::MutexLock lock(change_mutex_);
    changed = std::exchange(changed_policy_, std::nullopt);
    overrides = std::exchange(overrides_changed_, false);
  }
  if (!changed.has_value() && !overrides) return;
  std::vector<accounting::QuotaOverride> overrides_before = overrides_;
  absl::Status status = overrides ? LoadOverrides() : absl::OkStatus();
  if (status.ok()) status = changed.has_value() ? TakePolicy(*changed) : ApplyPolicy();
  if (status.ok()) return;
  overrides_ = std::move(overrides_before);
  if (absl::IsInvalidArgument(status)) {
    parts_.logger.Error("policy.refused", "the changed policy cannot be used; the old one stays",
                        {{"status", status}});
    return;
  }
  parts_.logger.Warn("policy.waits", "the changed policy cannot be taken yet; trying again",
                     {{"status", status}});
  if (absl::IsAborted(status)) fatal_ = status;
  next_policy_try_ = parts_.clock.MonotonicNow() + Pause();
  base::MutexLock lock(change_mutex_);
  overrides_changed_ = overrides_changed_ || overrides;
  if (changed.has_value() && !changed_policy_.has_value()) changed_policy_ = std::move(changed);
}

// Nothing is committed between the flush and the end of this: no journal row is ever replayed under
// rules that are newer than it, and the revision in the store is the one it was committed under.
absl::Status Engine::TakePolicy(const EnginePolicy& policy) {
  NS_RETURN_IF_ERROR(accounting::Book().SetPolicy(policy.accounting, NowUs()));
  if (!FlushNow()) return absl::UnavailableError("what is counted could not be written before it");
  if (policy.text != policy_.text) NS_RETURN_IF_ERROR(ImportPolicy(policy));
  EnginePolicy before = std::exchange(policy_, policy);
  if (absl::Status status = ApplyPolicy(); !status.ok()) {
    policy_ = std::move(before);
    return status;
  }
  std::vector<base::RouterId> routers;
  for (const auto& [router, admission] : policy_.admission) routers.push_back(router);
  parts_.board.SetRouters(routers);
  // Boundaries, grants and cadence may have changed: a fresh hello brings them.
  CloseAll(absl::UnavailableError("the policy changed; connect again"));
  return absl::OkStatus();
}

absl::Status Engine::ImportPolicy(const EnginePolicy& policy) {
  NS_ASSIGN_OR_RETURN(const store::PolicyRevision imported,
                      parts_.store.ImportPolicy(fence_, policy.text, NowUs()));
  parts_.logger.Info("policy.imported", "the configuration is a new policy revision",
                     {{"revision", imported.revision}});
  notices_.Add(
      {.at_us = NowUs(),
       .router = {},
       .menu = counters::Menu::kSimple,
       .queue = "",
       .kind = "policy_imported",
       .detail = absl::StrCat("the configuration is policy revision ", imported.revision)});
  return absl::OkStatus();
}

void Engine::Housekeep() {
  KeepStoreLease();
  if (!fatal_.ok()) return;
  GrantLapsedLeases();
  HandleFlush(absl::ZeroDuration());
  if (!parts_.flush_worker.busy() && parts_.clock.MonotonicNow() >= next_flush_) {
    accounting::StagedFlush flush =
        parts_.book.Write([&](accounting::Book& book) { return book.StageFlush(NowUs(), {}); });
    next_flush_ = parts_.clock.MonotonicNow() + settings_.flush_interval;
    parts_.flush_worker.Start(fence_, std::move(flush));
  }
}

// Extends the aggregator's own lease when it is time.
void Engine::KeepStoreLease() {
  const absl::Duration now = parts_.clock.MonotonicNow();
  if (now < next_lease_renewal_ || !fatal_.ok()) return;
  next_lease_renewal_ = now + settings_.store_lease_ttl / 3;
  const absl::StatusOr<store::LeaseInfo> lease =
      parts_.store.RenewLease(settings_.instance, fence_, settings_.store_lease_ttl);
  if (lease.ok()) {
    parts_.signals.readiness(absl::OkStatus());
    return;
  }
  parts_.logger.Warn("store.lease_not_renewed", "cannot extend the aggregator's lease",
                     {{"status", lease.status()}});
  parts_.signals.readiness(lease.status());
  if (absl::IsAborted(lease.status())) fatal_ = lease.status();
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
    parts_.signals.flushing(absl::OkStatus());
    return;
  }
  parts_.signals.flushing(outcome.status);
  next_flush_ = parts_.clock.MonotonicNow() + Pause();
  parts_.logger.Warn("store.flush_failed", "usage rows could not be written; trying again",
                     {{"rows", rows}, {"status", outcome.status}});
  if (absl::IsAborted(outcome.status)) {
    fatal_ = outcome.status;
  } else if (absl::IsUnknown(outcome.status) || absl::IsDataLoss(outcome.status)) {
    // Nobody knows what is in the store: what is there is read back.
    Reload("a flush ended in an unknown way");
  } else {
    parts_.book.Write([&](accounting::Book& book) { book.FlushFailed(std::move(outcome.flush)); });
  }
}

// The end of the flush under way, waited for while the lease is kept; nothing when it takes longer.
std::optional<FlushWorker::Outcome> Engine::AwaitFlush() {
  std::optional<FlushWorker::Outcome> outcome;
  for (int slice = 0; slice < kFlushWait / kTick && parts_.flush_worker.busy(); ++slice) {
    outcome = parts_.flush_worker.Take(kTick);
    if (outcome.has_value()) break;
    KeepStoreLease();
  }
  return outcome;
}

// Writes everything that is dirty; false when that did not come about in time.
bool Engine::FlushNow() {
  if (std::optional<FlushWorker::Outcome> before = AwaitFlush(); before.has_value()) {
    SettleFlush(*std::move(before));
  }
  if (parts_.flush_worker.busy() || !fatal_.ok() || !book_current_) return false;
  parts_.flush_worker.Start(fence_, parts_.book.Write([&](accounting::Book& book) {
    return book.StageFlush(NowUs(), {});
  }));
  std::optional<FlushWorker::Outcome> outcome = AwaitFlush();
  if (!outcome.has_value()) return false;
  const bool flushed = outcome->status.ok();
  SettleFlush(*std::move(outcome));
  return flushed && fatal_.ok();
}

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
