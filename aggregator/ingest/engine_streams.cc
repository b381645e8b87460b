#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/ingest/engine.h"

// The engine's dealings with streams: who is there, what they may, what they send.
namespace netsentinel::ingest {

void Engine::Handle(StreamEvent event) {
  if (auto* opened = std::get_if<StreamOpened>(&event.what)) {
    Stream stream;
    stream.sink = std::move(opened->sink);
    stream.identity = std::move(opened->identity);
    streams_.insert_or_assign(event.stream, std::move(stream));
    return;
  }
  if (std::holds_alternative<StreamClosed>(event.what)) {
    HandleClosed(event.stream);
    return;
  }
  // Events of a stream that was closed from this side may still arrive.
  const auto entry = streams_.find(event.stream);
  if (entry == streams_.end()) return;
  HandleMessage(event.stream, entry->second, std::get<CollectorMessage>(std::move(event.what)));
}

void Engine::HandleMessage(StreamId id, Stream& stream, CollectorMessage message) {
  if (const auto* hello = std::get_if<HelloMessage>(&message)) {
    HandleHello(id, stream, *hello);
    return;
  }
  if (!stream.party.has_value()) {
    Drop(id, absl::InvalidArgumentError("the first message must be a hello"));
    return;
  }
  if (auto* part = std::get_if<SnapshotPart>(&message)) {
    HandlePart(stream, std::move(*part));
  } else if (const auto* state = std::get_if<RouterStateMessage>(&message)) {
    HandleState(stream, *state);
  } else if (const auto* report = std::get_if<LeaseReportMessage>(&message)) {
    leases_.Extend(report->router, *stream.party, parts_.clock.MonotonicNow());
  }
}

void Engine::HandleState(Stream& stream, const RouterStateMessage& state) {
  const Lease* lease = leases_.Find(state.router);
  if (!policy_.admission.contains(state.router) || lease == nullptr ||
      !(lease->holder == *stream.party)) {
    return;
  }
  parts_.board.SetState(state);
  if (state.state != RouterState::kReachable && state.state != RouterState::kStarting) {
    parts_.logger.Warn("router.state", state.detail,
                       {{"router", state.router}, {"collector", stream.identity}});
  }
}

// Ends a stream from this side; what still comes on it is not looked at.
void Engine::Drop(StreamId id, const absl::Status& status) {
  streams_.at(id).sink->Close(status);
  HandleClosed(id);
}

void Engine::HandleHello(StreamId id, Stream& stream, const HelloMessage& hello) {
  if (stream.party.has_value()) {
    Drop(id, absl::InvalidArgumentError("a second hello on one stream"));
    return;
  }
  if (hello.protocol_version < kProtocolVersion) {
    Drop(id, absl::FailedPreconditionError(
                 absl::StrCat("the collector speaks ingest protocol ", hello.protocol_version,
                              ", this aggregator ", kProtocolVersion, ": upgrade the collector")));
    return;
  }
  if (hello.collector != stream.identity) {
    Drop(id, absl::PermissionDeniedError(absl::StrCat(
                 "the certificate names collector \"", stream.identity.value(), "\", the hello \"",
                 hello.collector.value(), "\": collector.id and the certificate must agree")));
    return;
  }
  CloseOlderStreams(id, hello.collector);
  stream.party = LeaseParty{.collector = hello.collector, .spool_uuid = hello.spool_uuid};

  WelcomeMessage welcome;
  welcome.aggregator_id = settings_.instance;
  welcome.credit_bytes = settings_.stream_credit_bytes;
  for (const RouterOffer& offer : hello.routers) {
    if (std::optional<RouterWelcome> router = Welcome(stream, offer); router.has_value()) {
      welcome.routers.push_back(*std::move(router));
    }
  }
  welcome.aggregator_time_us = NowUs();
  parts_.logger.Info("ingest.connected", "a collector is connected",
                     {{"collector", hello.collector},
                      {"version", hello.software_version},
                      {"routers", hello.routers.size()}});
  stream.sink->Send(std::move(welcome));
}

void Engine::CloseOlderStreams(StreamId id, const base::CollectorId& collector) {
  std::vector<StreamId> older;
  for (const auto& [other, stream] : streams_) {
    if (other != id && stream.identity == collector && stream.party.has_value()) {
      older.push_back(other);
    }
  }
  for (const StreamId other : older) {
    streams_.at(other).sink->Close(
        absl::AbortedError("the same collector has opened another stream"));
    streams_.erase(other);
  }
}

std::optional<RouterWelcome> Engine::Welcome(Stream& stream, const RouterOffer& offer) {
  const RouterAdmission* admission =
      Admit(stream, {offer.router, counters::Menu::kSimple}, /*sequence=*/0);
  if (admission == nullptr) return std::nullopt;
  RouterWelcome welcome;
  welcome.router = offer.router;
  welcome.poll_interval_ms =
      static_cast<std::uint32_t>(absl::ToInt64Milliseconds(admission->poll_interval));
  welcome.lease = GrantLease(stream, offer.router);
  for (const counters::Menu menu : {counters::Menu::kSimple, counters::Menu::kTree}) {
    const auto mark = watermarks_.find({offer.router, menu});
    if (mark != watermarks_.end()) {
      welcome.resume_points.push_back({.menu = menu, .position = mark->second});
    }
  }
  absl::StatusOr<std::vector<std::int64_t>> boundaries =
      parts_.book.Read([&](const accounting::Book& book) {
        return book.Boundaries(offer.router, NowUs(), settings_.boundary_days);
      });
  if (boundaries.ok()) welcome.boundary_us = *std::move(boundaries);
  return welcome;
}

std::optional<LeaseGrantMessage> Engine::GrantLease(Stream& stream, const base::RouterId& router) {
  const absl::Duration now = parts_.clock.MonotonicNow();
  switch (leases_.Ask(router, *stream.party, now)) {
    case LeaseTable::Answer::kHeld:
      break;
    case LeaseTable::Answer::kForeign:
      stream.waiting_for_lease.push_back(router);
      return std::nullopt;
    case LeaseTable::Answer::kFree: {
      const absl::StatusOr<std::uint64_t> epoch = parts_.store.NextLeaseEpoch(fence_);
      if (!epoch.ok()) {
        parts_.logger.Warn("lease.not_granted", "cannot number a lease; trying again",
                           {{"router", router}, {"status", epoch.status()}});
        stream.waiting_for_lease.push_back(router);
        return std::nullopt;
      }
      leases_.Grant(router, *stream.party, *epoch, now);
      break;
    }
  }
  const Lease* lease = leases_.Find(router);
  parts_.board.SetLease(router, stream.identity, lease->epoch);
  return LeaseGrantMessage{
      .router = router,
      .lease_epoch = lease->epoch,
      .ttl_ms = static_cast<std::uint32_t>(absl::ToInt64Milliseconds(leases_.ttl()))};
}

void Engine::GrantLapsedLeases() {
  for (auto& [id, stream] : streams_) {
    if (stream.waiting_for_lease.empty()) continue;
    std::vector<base::RouterId> waiting = std::exchange(stream.waiting_for_lease, {});
    std::sort(waiting.begin(), waiting.end());
    waiting.erase(std::unique(waiting.begin(), waiting.end()), waiting.end());
    for (const base::RouterId& router : waiting) {
      if (std::optional<LeaseGrantMessage> grant = GrantLease(stream, router); grant.has_value()) {
        stream.sink->Send(*std::move(grant));
      }
    }
  }
}

const RouterAdmission* Engine::Admit(Stream& stream, const LaneKey& lane, std::uint64_t sequence) {
  RefusalMessage refusal{.router = lane.first, .menu = lane.second, .sequence = sequence};
  const auto admission = policy_.admission.find(lane.first);
  if (admission == policy_.admission.end()) {
    refusal.reason = RefusalReason::kUnknownRouter;
    refusal.detail = absl::StrCat("the aggregator's configuration has no router \"",
                                  lane.first.value(), "\": add it under routers:");
    Refuse(stream, refusal);
    return nullptr;
  }
  const std::vector<base::CollectorId>& granted = admission->second.collectors;
  if (std::find(granted.begin(), granted.end(), stream.identity) == granted.end()) {
    refusal.reason = RefusalReason::kNotGranted;
    refusal.detail =
        absl::StrCat("router \"", lane.first.value(), "\" is not granted to collector \"",
                     stream.identity.value(), "\": add it to the router's collectors: list");
    Refuse(stream, refusal);
    return nullptr;
  }
  return &admission->second;
}

void Engine::HandlePart(Stream& stream, SnapshotPart part) {
  const LaneKey key{part.router, part.menu};
  const std::uint64_t sequence = part.offered.position.sequence;
  // Nothing is kept of a router that is not granted. A changed grant closes all streams.
  if (!stream.lanes.contains(key) && Admit(stream, key, sequence) == nullptr) return;
  Lane& lane = stream.lanes[key];
  if (lane.dropping == sequence && part.columns.part != 0) return;
  lane.dropping.reset();
  if (!part.defect.ok()) {
    part.columns.last_part = true;  // nothing more of it is waited for
    lane.dropping = sequence;
  }
  if (part.columns.last_part) ++lane.whole;
  lane.parts.push_back(std::move(part));
}

void Engine::HandleClosed(StreamId id) {
  const auto entry = streams_.find(id);
  if (entry == streams_.end()) return;
  const Stream& stream = entry->second;
  if (stream.party.has_value()) {
    parts_.logger.Info("ingest.disconnected", "a collector's stream has ended",
                       {{"collector", stream.identity}});
    for (const auto& [router, admission] : policy_.admission) {
      const Lease* lease = leases_.Find(router);
      if (lease != nullptr && lease->holder == *stream.party) {
        parts_.board.SetDisconnected(router, NowUs());
      }
    }
  }
  streams_.erase(entry);
}

void Engine::Refuse(Stream& stream, const RefusalMessage& refusal) {
  parts_.signals.refused(refusal.reason);
  const Lease* lease = leases_.Find(refusal.router);
  if (lease != nullptr && stream.party.has_value() && lease->holder == *stream.party) {
    parts_.board.SetRefused(refusal.router, refusal.menu, refusal.detail);
  }
  parts_.logger.Warn("ingest.refused", refusal.detail,
                     {{"router", refusal.router},
                      {"menu", counters::MenuName(refusal.menu)},
                      {"collector", stream.identity},
                      {"sequence", refusal.sequence}});
  stream.sink->Send(refusal);
}

void Engine::Acknowledge(Stream& stream, const LaneKey& lane,
                         const counters::SnapshotPosition& position, bool superseded) {
  stream.sink->Send(AckMessage{.router = lane.first,
                               .menu = lane.second,
                               .lease_epoch = position.lease_epoch,
                               .sequence = position.sequence,
                               .aggregator_time_us = NowUs(),
                               .superseded = superseded});
}

}  // namespace netsentinel::ingest
