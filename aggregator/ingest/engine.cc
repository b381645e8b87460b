#include "aggregator/ingest/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::ingest {
namespace {

constexpr absl::Duration kFlushWait = absl::Seconds(6);
// Anchors of so many boots of hosts are kept.
constexpr std::size_t kAnchorsMax = 16;

}  // namespace

Engine::Engine(EngineParts parts, EngineSettings settings, EnginePolicy policy)
    : parts_(std::move(parts)),
      settings_(std::move(settings)),
      policy_(policy),
      store_backoff_(settings_.store_backoff, parts_.random),
      leases_(settings_.router_lease_ttl),
      configured_(std::move(policy)) {}

absl::Status Engine::Run(store::Fence fence, EnginePolicy stored) {
  fence_ = fence;
  fatal_ = absl::OkStatus();
  {
    base::MutexLock lock(change_mutex_);
    policy_ = std::move(stored);
    changed_policy_.reset();
    if (configured_.text != policy_.text) changed_policy_ = configured_;
  }
  book_current_ = false;
  next_lease_renewal_ = parts_.clock.MonotonicNow();
  AwaitFlushWorker();
  if (const absl::Status status = Recover(); !status.ok()) {
    return stopping_.load() ? absl::OkStatus() : status;
  }
  next_flush_ = parts_.clock.MonotonicNow() + settings_.flush_interval;
  SayReady();
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
    configured_ = policy;
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
    // Overrides that changed beside it are taken without it.
    base::MutexLock lock(change_mutex_);
    overrides_changed_ = overrides_changed_ || (overrides && changed.has_value());
    if (import_unknown_ && !changed_policy_.has_value()) changed_policy_ = policy_;
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
  if (policy.text != policy_.text || import_unknown_) NS_RETURN_IF_ERROR(ImportPolicy(policy));
  EnginePolicy before = std::exchange(policy_, policy);
  if (absl::Status status = ApplyPolicy(); !status.ok()) {
    policy_ = std::move(before);
    return status;
  }
  // Days may begin at other instants now.
  noted_days_.clear();
  std::vector<base::RouterId> routers;
  routers.reserve(policy_.admission.size());
  for (const auto& [router, admission] : policy_.admission) routers.push_back(router);
  parts_.board.SetRouters(routers);
  // Boundaries, grants and cadence may have changed: a fresh hello brings them.
  CloseAll(absl::UnavailableError("the policy changed; connect again"));
  return absl::OkStatus();
}

absl::Status Engine::ImportPolicy(const EnginePolicy& policy) {
  store::PolicyRevision imported;
  if (import_unknown_) {
    NS_ASSIGN_OR_RETURN(imported, parts_.store.LatestPolicy());
  }
  if (!import_unknown_ || imported.content != policy.text) {
    auto done = parts_.store.ImportPolicy(fence_, policy.text, NowUs());
    import_unknown_ = import_unknown_ || absl::IsUnknown(done.status());
    NS_ASSIGN_OR_RETURN(imported, std::move(done));
  }
  import_unknown_ = false;
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
  LookAtClock();
  if (!fatal_.ok()) return;
  DropSilent();
  GrantLapsedLeases();
  HandleFlush(absl::ZeroDuration());
  const absl::Duration now = parts_.clock.MonotonicNow();
  const bool long_journal = journal_bytes_ >= settings_.journal_bytes_max / 2 && !flush_failing_;
  if (!parts_.flush_worker.busy() && (now >= next_flush_ || long_journal)) {
    next_flush_ = now + settings_.flush_interval;
    StartFlush();
  }
}

void Engine::LookAtClock() {
  parts_.clock.Look();
  std::string trouble = parts_.clock.trouble();
  if (trouble.empty() != clock_trouble_.empty()) {
    if (trouble.empty()) {
      parts_.logger.Info("clock.agreed", "this host's clock agrees with what else is known");
    } else {
      parts_.logger.Error("clock.wrong", trouble);
    }
  }
  clock_trouble_ = std::move(trouble);
  parts_.signals.clock(clock_trouble_.empty() ? absl::OkStatus()
                                              : absl::UnavailableError(clock_trouble_));
}

void Engine::StartFlush() {
  journal_bytes_in_flush_ = journal_bytes_;
  const bool agreed = parts_.clock.agreed();
  accounting::StagedFlush flush = parts_.book.Write([&](accounting::Book& book) {
    // At no time no day is old.
    return book.StageFlush(agreed ? NowUs() : 0, {});
  });
  anchors_in_flush_ = stored_anchors_;
  if (const std::optional<TimeAnchor> anchor = parts_.clock.Anchor(); anchor.has_value()) {
    std::vector<TimeAnchor>& anchors = anchors_in_flush_;
    std::erase_if(anchors,
                  [&](const TimeAnchor& stored) { return stored.boot_id == anchor->boot_id; });
    anchors.push_back(*anchor);
    flush.checkpoints.push_back({.state_key = absl::StrCat(kAnchorKey, anchor->boot_id),
                                 .part = 0,
                                 .payload = EncodeAnchor(*anchor)});
    while (anchors.size() > kAnchorsMax) {
      const auto oldest = std::min_element(
          anchors.begin(), anchors.end(),
          [](const TimeAnchor& a, const TimeAnchor& b) { return a.noted_us < b.noted_us; });
      flush.dropped_checkpoints.emplace_back(absl::StrCat(kAnchorKey, oldest->boot_id), 0);
      anchors.erase(oldest);
    }
  }
  parts_.flush_worker.Start(fence_, std::move(flush));
}

// Whether snapshots are taken, to the rest of the program.
void Engine::SayReady() {
  if (!JournalFull()) {
    parts_.signals.readiness(absl::OkStatus());
    return;
  }
  parts_.signals.readiness(absl::ResourceExhaustedError(
      absl::StrCat("the journal holds ", journal_bytes_ >> 20,
                   " MiB that no flush has covered: snapshots wait in their spools until usage rows"
                   " can be written, see the flush's own line")));
}

// Extends the aggregator's own lease when it is time.
void Engine::KeepStoreLease() {
  if (parts_.clock.MonotonicNow() < next_lease_renewal_ || !fatal_.ok()) return;
  const absl::Status lease = LeaseStillOurs();
  if (lease.ok()) {
    SayReady();
    return;
  }
  parts_.logger.Warn("store.lease_not_renewed", "cannot extend the aggregator's lease",
                     {{"status", lease}});
  parts_.signals.readiness(lease);
  if (absl::IsAborted(lease)) fatal_ = lease;
}

void Engine::HandleFlush(absl::Duration wait) {
  std::optional<FlushWorker::Outcome> outcome = parts_.flush_worker.Take(wait);
  if (outcome.has_value()) SettleFlush(*std::move(outcome));
}

void Engine::SettleFlush(FlushWorker::Outcome outcome) {
  const std::size_t rows = outcome.flush.usage.size();
  flush_failing_ = !outcome.status.ok();
  if (outcome.status.ok()) {
    const bool was_full = JournalFull();
    journal_bytes_ -= journal_bytes_in_flush_;
    stored_anchors_ = std::move(anchors_in_flush_);
    if (was_full) SayReady();
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
  StartFlush();
  std::optional<FlushWorker::Outcome> outcome = AwaitFlush();
  if (!outcome.has_value()) return false;
  const bool flushed = outcome->status.ok();
  SettleFlush(*std::move(outcome));
  return flushed && fatal_.ok();
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
