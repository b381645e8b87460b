#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "aggregator/ingest/engine.h"
#include "aggregator/ingest/store_records.h"
#include "common/base/status_macros.h"

// The engine's way from what is stored to a Book that serves.
namespace netsentinel::ingest {
namespace {

// Breaches of periods that may still be running: the longest period is a month.
constexpr int kFiredDays = 62;
// Journal rows in memory at a time while they are replayed; a moment's work.
constexpr std::size_t kReplayBytes = 8U << 20;
// Days of every router that are asked for at once.
constexpr int kReadDaysSlice = 7;

}  // namespace

// kCancelled when the engine is to stop. What was read without the lease may be of two minds, so
// that its loss explains whatever else is wrong.
absl::Status Engine::Recover() {
  const absl::Status status = ReadBack();
  if (status.ok() || absl::IsCancelled(status)) return status;
  const absl::Status lease = LeaseStillOurs();
  return lease.ok() ? status : lease;
}

absl::Status Engine::ReadBack() {
  NS_RETURN_IF_ERROR(LoadOverrides());
  replayed_rows_ = 0;
  journal_bytes_ = journal_bytes_in_flush_ = 0;
  NS_ASSIGN_OR_RETURN(store::RecoveredState state,
                      parts_.store.Recover([this] { return KeepLeaseWhileReading(); }));
  BeginTime(state);
  auto book = std::make_unique<accounting::Book>();
  accounting::Policy policy = policy_.accounting;
  policy.overrides = overrides_;
  NS_RETURN_IF_ERROR(book->SetPolicy(policy, NowUs()));

  const absl::CivilDay since =
      absl::ToCivilDay(parts_.clock.WallNow(), absl::UTCTimeZone()) - kFiredDays;
  NS_ASSIGN_OR_RETURN(const std::vector<store::BreachRow> breaches,
                      parts_.store.BreachesSince(since));
  NS_ASSIGN_OR_RETURN(const std::vector<store::Store::Watermark> watermarks,
                      parts_.store.Watermarks());
  NS_ASSIGN_OR_RETURN(const std::vector<store::FirstReading> firsts, parts_.store.FirstReadings());
  // Today is another day elsewhere.
  const absl::CivilDay read_since =
      absl::ToCivilDay(parts_.clock.WallNow(), absl::UTCTimeZone()) - ReadingBoard::kDays;
  ReadingBoard readings;
  readings.Reset(firsts, {}, read_since);
  // A day more than the newest anywhere; a slice at a time, since a day may have every router.
  for (int i = 0; i <= ReadingBoard::kDays + 1; i += kReadDaysSlice) {
    NS_ASSIGN_OR_RETURN(
        const std::vector<store::ReadDay> days,
        parts_.store.ReadDays(read_since + i, read_since + (i + kReadDaysSlice - 1)));
    readings.Add({}, days);
  }
  const std::uint64_t next_journal_id = state.next_journal_id;
  NS_RETURN_IF_ERROR(book->Recover(ToInput(std::move(state), breaches, NowUs())));
  NS_RETURN_IF_ERROR(ReplayJournal(*book));
  parts_.clock.HearStored(book->AsOf(base::SiteId()));
  // Whoever lost the lease does not serve what it read.
  NS_RETURN_IF_ERROR(LeaseStillOurs());

  next_journal_id_ = next_journal_id;
  watermarks_.clear();
  for (const store::Store::Watermark& mark : watermarks) {
    watermarks_[{mark.router, mark.menu}] = mark.position;
  }
  parts_.readings.Replace(std::move(readings));
  noted_days_.clear();
  first_readings_.clear();
  for (const store::FirstReading& first : firsts) {
    first_readings_[{first.site, first.router}] = first.at_us;
  }
  parts_.book.Replace(std::move(book));
  book_current_ = true;
  judge_quotas_ = true;  // limits may have changed since the last snapshot was judged

  std::vector<base::RouterId> routers;
  routers.reserve(policy_.admission.size());
  for (const auto& [router, admission] : policy_.admission) routers.push_back(router);
  parts_.board.SetRouters(routers);
  parts_.logger.Info("ingest.recovered", "state rebuilt from the store",
                     {{"journal_rows", replayed_rows_}, {"menus", watermarks_.size()}});
  return absl::OkStatus();
}

// Takes the anchors out of what is stored, and with them the time. One that is damaged is one that
// is not there: then the time is agreed anew.
void Engine::BeginTime(store::RecoveredState& state) {
  stored_anchors_.clear();
  for (const store::CheckpointPart& part : state.checkpoints) {
    if (!absl::StartsWith(part.state_key, kAnchorKey)) continue;
    absl::StatusOr<TimeAnchor> anchor =
        DecodeAnchor(part.state_key.substr(kAnchorKey.size()), part.payload);
    if (anchor.ok()) {
      stored_anchors_.push_back(*std::move(anchor));
    } else {
      parts_.logger.Warn("clock.anchor_lost", "a stored time cannot be read and is not used",
                         {{"status", anchor.status()}});
    }
  }
  std::erase_if(state.checkpoints, [](const store::CheckpointPart& part) {
    return absl::StartsWith(part.state_key, kAnchorKey);
  });
  parts_.clock.Begin(stored_anchors_);
}

absl::Status Engine::ReplayJournal(accounting::Book& book) {
  for (std::uint64_t last = 0;;) {
    NS_ASSIGN_OR_RETURN(std::vector<store::JournalRow> rows,
                        parts_.store.Journal(last, kReplayBytes));
    if (rows.empty()) return absl::OkStatus();
    last = rows.back().journal_id;
    const std::int64_t received_us = rows.back().received_us;
    replayed_rows_ += rows.size();
    for (const store::JournalRow& row : rows) journal_bytes_ += row.payload.size();
    NS_RETURN_IF_ERROR(book.Replay(ToReplay(std::move(rows))));
    NS_RETURN_IF_ERROR(KeepLeaseWhileReading());
    if (journal_bytes_ < settings_.replay_flush_bytes) continue;
    NS_RETURN_IF_ERROR(FlushReplayed(book, received_us));
  }
}

// As the flush that did not come about when these rows were new: days close as they did then. What
// becomes of an error is the caller's matter, who throws the Book away.
absl::Status Engine::FlushReplayed(accounting::Book& book, std::int64_t received_us) {
  accounting::StagedFlush flush = book.StageFlush(received_us, {});
  const std::size_t rows = flush.usage.size();
  NS_RETURN_IF_ERROR(parts_.store.Flush(fence_, ToBatch(flush)));
  // Events tell, they do not count.
  if (!flush.events.empty()) parts_.store.AppendEvents(fence_, flush.events).IgnoreError();
  book.InstallFlush(std::move(flush));
  parts_.logger.Info("ingest.replay_flushed", "a part of the journal is replayed and durable",
                     {{"journal_rows", replayed_rows_},
                      {"journal_mib", journal_bytes_ >> 20},
                      {"usage_rows", rows}});
  journal_bytes_ = 0;
  return KeepLeaseWhileReading();
}

// Reading it all back may take longer than the lease lasts. A standby that took it would have to do
// the same.
absl::Status Engine::KeepLeaseWhileReading() {
  if (stopping_.load()) return absl::CancelledError("stopped while the state was read back");
  if (parts_.clock.MonotonicNow() < next_lease_renewal_) return absl::OkStatus();
  parts_.signals.readiness(absl::UnavailableError(
      absl::StrCat("the state is being read back, ", replayed_rows_, " journal rows so far")));
  return LeaseStillOurs();
}

// Extends the aggregator's lease; kAborted when it is another's, kUnavailable when nobody knows.
absl::Status Engine::LeaseStillOurs() {
  next_lease_renewal_ = parts_.clock.MonotonicNow() + settings_.store_lease_ttl / 3;
  const absl::StatusOr<store::LeaseInfo> lease =
      parts_.store.RenewLease(settings_.instance, fence_, settings_.store_lease_ttl);
  if (lease.ok() && settings_.database_elsewhere) parts_.clock.HearDatabase(lease->now_us);
  return lease.status();
}

// What became of a flush under way. It gives numbers to names: nothing is read before it has ended.
void Engine::AwaitFlushWorker() {
  while (parts_.flush_worker.busy() && !parts_.flush_worker.Take(kTick).has_value()) {
    if (stopping_.load()) return;
    CloseArriving(absl::ZeroDuration());
  }
}

void Engine::Reload(absl::string_view why) {
  parts_.logger.Warn("ingest.reload", "reading the state back from the store", {{"why", why}});
  CloseAll(absl::UnavailableError("the aggregator reads its state back; connect again"));
  book_current_ = false;
  AwaitFlushWorker();
  for (;;) {
    if (stopping_.load()) return;
    const absl::Status status = Recover();
    if (status.ok()) {
      store_backoff_.Reset();
      SayReady();
      return;
    }
    parts_.signals.readiness(status);
    if (absl::IsCancelled(status)) return;
    if (!absl::IsUnavailable(status) && status.code() != absl::StatusCode::kUnknown) {
      fatal_ = status;
      return;
    }
    CloseArriving(Pause());
  }
}

}  // namespace netsentinel::ingest
