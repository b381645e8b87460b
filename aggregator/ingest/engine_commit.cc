#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "aggregator/ingest/engine.h"
#include "aggregator/ingest/store_records.h"
#include "aggregator/store/limits.h"

// The engine's way from frames to acknowledgements.
namespace netsentinel::ingest {

bool Engine::CommitRound() {
  if (import_unknown_) return false;
  std::vector<Candidate> candidates = Collect();
  const bool judge = std::exchange(judge_quotas_, false);
  if (candidates.empty() && !judge && notices_.waiting().empty()) return false;

  const absl::Duration begun = parts_.clock.MonotonicNow();
  std::optional<Storable> storable = StageStorable(candidates);
  if (!storable.has_value()) return false;
  accounting::StagedBatch& staged = storable->staged;
  const store::CommitBatch& batch = storable->batch;
  const std::vector<absl::Status> results = staged.results;
  std::size_t readings = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (results[i].ok()) readings += candidates[i].snapshot.readings.size();
  }
  const bool breached = !batch.breaches.empty();

  const bool empty = batch.journal.empty() && batch.breaches.empty() && batch.events.empty();
  switch (empty ? CommitResult::kDone : Commit(batch)) {
    case CommitResult::kDone:
      break;
    case CommitResult::kReload:
      Reload("a commit ended in an unknown way");
      return true;
    case CommitResult::kStop:
    case CommitResult::kFatal:
      return false;
  }
  notices_.Committed(notices_staged_);
  ReadingsCommitted(batch);
  for (const accounting::EventRecord& event : batch.events) {
    // What device answers is news for whoever reads the log.
    if (!absl::StartsWith(event.kind, "device_")) continue;
    parts_.logger.Warn(absl::StrCat("accounting.", event.kind), event.detail,
                       {{"router", event.router}, {"menu", counters::MenuName(event.menu)}});
  }
  parts_.book.Write([&](accounting::Book& book) { book.Install(std::move(staged)); });
  for (const store::JournalRow& row : batch.journal) {
    journal_bytes_ += row.payload.size();
    counters::SnapshotPosition& mark = watermarks_[{row.router, row.menu}];
    const std::uint64_t epoch = std::max(mark.lease_epoch, row.position.lease_epoch);
    mark = row.position;
    mark.lease_epoch = epoch;
  }
  if (JournalFull()) SayReady();
  Settle(candidates, results);
  if (breached) parts_.signals.breaches_stored();
  parts_.signals.committed(batch.journal.size(), readings, parts_.clock.MonotonicNow() - begun);
  return true;
}

accounting::StagedBatch Engine::Stage(const std::vector<Candidate>& candidates) {
  std::vector<accounting::Incoming> incoming;
  incoming.reserve(candidates.size());
  for (const Candidate& candidate : candidates) {
    incoming.push_back({.snapshot = &candidate.snapshot,
                        .dictionary = candidate.dictionary.get(),
                        .received_us = candidate.received_us});
  }
  return parts_.book.Write([&](accounting::Book& book) { return book.Stage(incoming); });
}

Engine::Storable Engine::StageAndBuild(const std::vector<Candidate>& candidates) {
  Storable storable{.staged = Stage(candidates), .batch = {}};
  storable.batch = BuildBatch(storable.staged, candidates);
  return storable;
}

// Takes out and refuses the snapshots whose journal rows the database does not take; whether there
// were any.
bool Engine::RefuseTooLarge(const store::CommitBatch& batch, std::vector<Candidate>& candidates) {
  const std::size_t most = parts_.store.journal_payload_max();
  std::map<LaneKey, std::size_t> too_large;
  for (const store::JournalRow& row : batch.journal) {
    if (row.payload.size() > most) too_large[{row.router, row.menu}] = row.payload.size();
  }
  if (too_large.empty()) return false;
  std::vector<Candidate> good;
  for (Candidate& candidate : candidates) {
    const auto found = too_large.find(candidate.lane);
    if (found == too_large.end()) {
      good.push_back(std::move(candidate));
      continue;
    }
    const absl::Status status = absl::ResourceExhaustedError(absl::StrCat(
        "the snapshot takes ", found->second, " bytes, the database takes ", most,
        " at once: raise max_allowed_packet there, or shorten names and comments of queues"));
    std::vector<Candidate> alone;
    alone.push_back(std::move(candidate));
    Settle(alone, {status});
  }
  candidates = std::move(good);
  return true;
}

// The store would refuse a batch as a whole for one value past its limits. So whoever sent such a
// value is found by staging alone, refused, and taken out.
std::optional<Engine::Storable> Engine::StageStorable(std::vector<Candidate>& candidates) {
  Storable all = StageAndBuild(candidates);
  if (RefuseTooLarge(all.batch, candidates)) all = StageAndBuild(candidates);
  absl::Status status = store::Validate(all.batch);
  if (status.ok()) return all;
  std::vector<Candidate> good;
  for (Candidate& candidate : candidates) {
    std::vector<Candidate> alone;
    alone.push_back(std::move(candidate));
    const absl::Status verdict = store::Validate(StageAndBuild(alone).batch);
    if (verdict.ok()) {
      good.push_back(std::move(alone.front()));
    } else {
      Settle(alone, {verdict});
    }
  }
  candidates = std::move(good);
  all = StageAndBuild(candidates);
  status = store::Validate(all.batch);
  if (status.ok()) return all;
  fatal_ = status;
  return std::nullopt;
}

std::vector<Engine::Candidate> Engine::Collect() {
  std::vector<Candidate> candidates;
  if (JournalFull()) return candidates;
  std::set<LaneKey> taken;  // one snapshot of a (router, menu) in a batch
  std::uint64_t bytes = 0;
  for (auto& [id, stream] : streams_) {
    for (auto& [key, lane] : stream.lanes) {
      if (candidates.size() >= settings_.batch_snapshots_max ||
          bytes >= settings_.batch_bytes_max) {
        return candidates;
      }
      if (lane.whole == 0 || taken.contains(key)) continue;
      if (std::optional<Candidate> next = NextOf(id, stream, key, lane); next.has_value()) {
        taken.insert(key);
        bytes += next->wire_bytes;
        candidates.push_back(*std::move(next));
      }
    }
  }
  return candidates;
}

// The lane's next snapshot that is to be applied; those that are not are answered on the way.
std::optional<Engine::Candidate> Engine::NextOf(StreamId id, Stream& stream, const LaneKey& key,
                                                Lane& lane) {
  while (lane.whole > 0) {
    Candidate candidate;
    std::optional<DecodedSnapshot> decoded = DecodeNext(stream, key, lane, candidate);
    if (!decoded.has_value() || !Judge(stream, key, candidate.offered)) continue;
    candidate.stream = id;
    candidate.lane = key;
    candidate.dictionary = lane.decoder.dictionary();
    candidate.received_us = parts_.clock.ReceiptUs();
    candidate.snapshot.router = key.first;
    candidate.snapshot.menu = key.second;
    candidate.snapshot.header = std::move(decoded->header);
    candidate.snapshot.readings = std::move(decoded->readings);
    candidate.snapshot.steps = lane.decoder.InternSteps(std::move(decoded->steps));
    return candidate;
  }
  return std::nullopt;
}

std::optional<DecodedSnapshot> Engine::DecodeNext(Stream& stream, const LaneKey& key, Lane& lane,
                                                  Candidate& candidate) {
  OfferedPosition& offered = candidate.offered;
  absl::Status failed;
  for (bool last = false; !last;) {
    SnapshotPart part = std::move(lane.parts.front());
    lane.parts.pop_front();
    last = part.columns.last_part;
    offered = part.offered;
    candidate.wire_bytes += part.wire_bytes;
    if (!failed.ok()) continue;  // the rest of a refused snapshot
    if (!part.defect.ok()) {
      failed = part.defect;
      continue;
    }
    absl::StatusOr<std::optional<DecodedSnapshot>> decoded =
        lane.decoder.Take(std::move(part.columns));
    if (!decoded.ok()) {
      failed = decoded.status();
    } else if (decoded->has_value()) {
      --lane.whole;
      return **std::move(decoded);
    }
  }
  --lane.whole;
  Refuse(stream, {.router = key.first,
                  .menu = key.second,
                  .sequence = offered.position.sequence,
                  .reason = absl::IsResourceExhausted(failed) ? RefusalReason::kTooLarge
                                                              : RefusalReason::kMalformed,
                  .detail = std::string(failed.message())});
  return std::nullopt;
}

bool Engine::Judge(Stream& stream, const LaneKey& key, const OfferedPosition& offered) {
  const Lease* lease = leases_.Find(key.first);
  const auto mark = watermarks_.find(key);
  std::optional<counters::SnapshotPosition> watermark;
  if (mark != watermarks_.end()) watermark = mark->second;
  RefusalMessage refusal{
      .router = key.first, .menu = key.second, .sequence = offered.position.sequence};
  switch (JudgePosition(offered, watermark, lease == nullptr ? 0 : lease->epoch)) {
    case PositionVerdict::kApply:
      // The holder's own spool, or one it had before: that was in order under its own lease.
      if (lease != nullptr && lease->holder == *stream.party &&
          (offered.position.spool_uuid == stream.party->spool_uuid ||
           offered.position.lease_epoch < lease->epoch)) {
        leases_.Extend(key.first, *stream.party, parts_.clock.MonotonicNow());
        return true;
      }
      refusal.reason = RefusalReason::kLease;
      refusal.detail =
          lease == nullptr || lease->holder == *stream.party
              ? absl::StrCat("the lease of router \"", key.first.value(),
                             "\" is not held with this spool: offer the router in a hello")
              : absl::StrCat("router \"", key.first.value(), "\" is read by collector \"",
                             lease->holder.collector.value(), "\" now");
      break;
    case PositionVerdict::kDuplicate:
      Acknowledge(stream, key, offered.position, /*superseded=*/false);
      return false;
    case PositionVerdict::kSuperseded:
      Tell("superseded", stream, key,
           absl::StrCat("sequence ", offered.position.sequence, " of lease epoch ",
                        offered.position.lease_epoch,
                        " counts nothing: another spool has gone on since"));
      Acknowledge(stream, key, offered.position, /*superseded=*/true);
      return false;
    case PositionVerdict::kGap:
      refusal.reason = RefusalReason::kGap;
      refusal.expected_sequence = watermark->sequence;
      refusal.detail = absl::StrCat("the snapshot follows sequence ", offered.previous_sequence,
                                    ", the last one committed is ", watermark->sequence,
                                    ": send what comes after that");
      break;
    case PositionVerdict::kForeign:
      refusal.reason = RefusalReason::kLease;
      refusal.detail = absl::StrCat("lease epoch ", offered.position.lease_epoch,
                                    " was not granted for this spool, or is older than what it "
                                    "has committed: wait for a grant");
      break;
  }
  Refuse(stream, refusal);
  return false;
}

store::CommitBatch Engine::BuildBatch(accounting::StagedBatch& staged,
                                      const std::vector<Candidate>& candidates) {
  store::CommitBatch batch;
  std::uint64_t journal_id = next_journal_id_;
  for (accounting::StagedJournal& row : staged.journal) {
    row.journal_id = journal_id++;
    const Candidate& candidate = candidates[row.input];
    batch.journal.push_back({.journal_id = row.journal_id,
                             .router = row.router,
                             .menu = row.menu,
                             .position = candidate.offered.position,
                             .previous_sequence = candidate.offered.previous_sequence,
                             .attribution_us = row.attribution_us,
                             .received_us = row.received_us,
                             .payload = row.payload});
    for (const std::int64_t step_us : row.steps_us) NoteReading(candidate.lane, step_us, batch);
    NoteReading(candidate.lane, row.attribution_us, batch);
  }
  batch.epochs = staged.epochs;
  batch.holds = staged.holds;
  batch.events = staged.events;
  batch.events.insert(batch.events.end(), notices_.waiting().begin(), notices_.waiting().end());
  notices_staged_ = notices_.waiting().size();
  for (const accounting::Breach& breach : staged.breaches) {
    batch.breaches.push_back(ToRow(breach));
  }
  return batch;
}

void Engine::NoteReading(const LaneKey& lane, std::int64_t at_us, store::CommitBatch& batch) {
  const auto admission = policy_.admission.find(lane.first);
  if (admission == policy_.admission.end()) return;
  const base::SiteId& site = admission->second.site;
  const auto noted = noted_days_.find(lane);
  if (noted == noted_days_.end() || !noted->second.Holds(site, at_us)) {
    const absl::StatusOr<accounting::Book::LocalDay> day =
        parts_.book.Read([&](const accounting::Book& book) { return book.DayAt(site, at_us); });
    if (day.ok()) batch.read_days.push_back({site, lane.first, day->day});
  }
  const auto first = first_readings_.find({site, lane.first});
  if (first != first_readings_.end() && first->second <= at_us) return;
  for (store::FirstReading& one : batch.first_readings) {
    if (one.site != site || one.router != lane.first) continue;
    one.at_us = std::min(one.at_us, at_us);
    return;
  }
  batch.first_readings.push_back({site, lane.first, at_us});
}

void Engine::ReadingsCommitted(const store::CommitBatch& batch) {
  parts_.readings.Add(batch.first_readings, batch.read_days);
  for (const store::FirstReading& first : batch.first_readings) {
    first_readings_[{first.site, first.router}] = first.at_us;
  }
  if (batch.read_days.empty()) return;
  for (const store::JournalRow& row : batch.journal) {
    const auto admission = policy_.admission.find(row.router);
    if (admission == policy_.admission.end()) continue;
    const base::SiteId& site = admission->second.site;
    NotedDay& noted = noted_days_[{row.router, row.menu}];
    if (noted.Holds(site, row.attribution_us)) continue;
    const absl::StatusOr<accounting::Book::LocalDay> day = parts_.book.Read(
        [&](const accounting::Book& book) { return book.DayAt(site, row.attribution_us); });
    if (day.ok()) noted = {site, day->begin_us, day->end_us};
  }
}

Engine::CommitResult Engine::Commit(const store::CommitBatch& batch) {
  for (;;) {
    const absl::Status status = parts_.store.Commit(fence_, batch);
    if (status.ok()) {
      next_journal_id_ += batch.journal.size();
      if (store_backoff_.attempts() > 0) SayReady();
      store_backoff_.Reset();
      return CommitResult::kDone;
    }
    parts_.signals.readiness(status);
    parts_.logger.Warn("store.commit_failed", "a commit failed; nothing of it is acknowledged",
                       {{"snapshots", batch.journal.size()}, {"status", status}});
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kResourceExhausted:
        if (stopping_.load()) return CommitResult::kStop;
        break;
      case absl::StatusCode::kUnknown:
      case absl::StatusCode::kAlreadyExists:
        return CommitResult::kReload;
      default:
        fatal_ = status;
        return CommitResult::kFatal;
    }
    for (StreamEvent& event : parts_.events.TakeAll(Pause())) Handle(std::move(event));
    DropSilent();
    KeepStoreLease();
    if (!fatal_.ok()) return CommitResult::kFatal;
  }
}

// Answers every snapshot of a committed batch.
void Engine::Settle(const std::vector<Candidate>& candidates,
                    const std::vector<absl::Status>& results) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    const auto stream = streams_.find(candidate.stream);
    if (results[i].ok()) {
      parts_.board.SetApplied(candidate.lane.first, candidate.lane.second,
                              candidate.offered.position.sequence);
    }
    if (stream == streams_.end()) continue;
    if (results[i].ok()) {
      Acknowledge(stream->second, candidate.lane, candidate.offered.position,
                  /*superseded=*/false);
      continue;
    }
    Refuse(stream->second,
           {.router = candidate.lane.first,
            .menu = candidate.lane.second,
            .sequence = candidate.offered.position.sequence,
            .reason = absl::IsResourceExhausted(results[i]) ? RefusalReason::kTooLarge
                                                            : RefusalReason::kMalformed,
            .detail = std::string(results[i].message())});
  }
}

}  // namespace netsentinel::ingest
