#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/ingest/engine.h"

// The engine's dealings with streams: who is there, what they may, what they send.
namespace netsentinel::ingest {
namespace {

constexpr std::size_t kLookAtEachHello = 100;

}  // namespace

void Engine::Handle(StreamEvent event) {
  if (auto* opened = std::get_if<StreamOpened>(&event.what)) {
    Stream stream;
    stream.sink = std::move(opened->sink);
    stream.identity = std::move(opened->identity);
    stream.opened_at = parts_.clock.MonotonicNow();
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
  const LaneKey lane{state.router, state.menu.value_or(counters::Menu::kSimple)};
  if (state.state == RouterState::kIncompleteReply) {
    Tell("incomplete_reply", stream, lane, state.detail);
  } else if (state.state != RouterState::kReachable && state.state != RouterState::kStarting) {
    Tell("router_state", stream, lane, state.detail);
  }
}

// Ends a stream from this side; what still comes on it is not looked at.
void Engine::Drop(StreamId id, const absl::Status& status) {
  streams_.at(id).sink->Close(status);
  HandleClosed(id);
}

// Whoever says nothing, or stops in the middle of a snapshot, keeps nothing of us.
void Engine::DropSilent() {
  const absl::Duration now = parts_.clock.MonotonicNow();
  std::vector<std::pair<StreamId, absl::Status>> silent;
  for (auto& [id, stream] : streams_) {
    if (!stream.party.has_value()) {
      if (now - stream.opened_at < settings_.hello_deadline) continue;
      silent.emplace_back(
          id, absl::DeadlineExceededError(absl::StrCat(
                  "no hello came within ", absl::FormatDuration(settings_.hello_deadline))));
      continue;
    }
    // What is not read cannot come.
    if (stream.sink->Paused()) {
      for (auto& [key, lane] : stream.lanes) lane.last_part_at = now;
      continue;
    }
    for (const auto& [key, lane] : stream.lanes) {
      const bool half = !lane.parts.empty() && !lane.parts.back().columns.last_part;
      if (!half || now - lane.last_part_at < settings_.part_deadline) continue;
      silent.emplace_back(
          id, absl::DeadlineExceededError(absl::StrCat(
                  "router \"", key.first.value(), "\": no further part of a snapshot came within ",
                  absl::FormatDuration(settings_.part_deadline))));
      break;
    }
  }
  for (const auto& [id, status] : silent) {
    parts_.logger.Warn("ingest.silent", status.message(),
                       {{"collector", streams_.at(id).identity}});
    Drop(id, status);
  }
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
  // Without a certificate, which only a loopback address allows, the name is what it says.
  if (stream.identity.empty()) stream.identity = hello.collector;
  if (hello.collector != stream.identity) {
    Drop(id, absl::PermissionDeniedError(absl::StrCat(
                 "the certificate is for collector \"", stream.identity.value(),
                 "\", but collector.id is \"", hello.collector.value(), "\": make them the same")));
    return;
  }
  CloseOlderStreams(id, hello.collector);
  stream.host_boot_id = hello.host_boot_id;
  HearCollector(stream, hello.collector_time_us);
  // Before this collector is told the time, which its own clock may contradict. Among many one
  // more does not move the median; the next look is within a second.
  if (streams_.size() <= kLookAtEachHello) LookAtClock();
  stream.party = LeaseParty{.collector = hello.collector, .spool_uuid = hello.spool_uuid};

  WelcomeMessage welcome;
  welcome.aggregator_id = settings_.instance;
  welcome.credit_bytes = settings_.stream_credit_bytes;
  // The first message of a stream is the welcome; refusals follow it.
  std::vector<RefusalMessage> refusals;
  std::vector<base::RouterId> admitted;
  for (const RouterOffer& offer : hello.routers) {
    RefusalMessage refusal{.router = offer.router};
    if (Admit(stream, refusal) == nullptr) {
      refusals.push_back(std::move(refusal));
      continue;
    }
    admitted.push_back(offer.router);
    for (const SpoolPosition& spool : offer.positions) {
      std::uint64_t& newest = stream.offered_epochs[offer.router];
      newest = std::max(newest, spool.lease_epoch);
    }
  }
  welcome.routers = Welcome(stream, admitted);
  welcome.aggregator_time_us = TimeToTellUs();
  parts_.logger.Info("ingest.connected", "a collector is connected",
                     {{"collector", hello.collector},
                      {"version", hello.software_version},
                      {"routers", hello.routers.size()}});
  stream.sink->Send(std::move(welcome));
  for (const RefusalMessage& refusal : refusals) Refuse(stream, refusal);
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

std::vector<RouterWelcome> Engine::Welcome(Stream& stream,
                                           const std::vector<base::RouterId>& routers) {
  Grants grants = GrantLeases(stream, routers);
  std::map<base::SiteId, std::vector<std::int64_t>> boundaries;  // many routers share a site
  std::vector<RouterWelcome> welcomes;
  welcomes.reserve(routers.size());
  for (std::size_t i = 0; i < routers.size(); ++i) {
    const RouterAdmission& admission = policy_.admission.at(routers[i]);
    RouterWelcome welcome;
    welcome.router = routers[i];
    welcome.poll_interval_ms =
        static_cast<std::uint32_t>(absl::ToInt64Milliseconds(admission.poll_interval));
    welcome.lease = std::move(grants[i]);
    for (const counters::Menu menu : {counters::Menu::kSimple, counters::Menu::kTree}) {
      const auto mark = watermarks_.find({routers[i], menu});
      if (mark != watermarks_.end()) {
        welcome.resume_points.push_back({.menu = menu, .position = mark->second});
      }
    }
    const auto [known, fresh] = boundaries.try_emplace(admission.site);
    if (fresh) {
      const absl::StatusOr<std::vector<std::int64_t>> found =
          parts_.book.Read([&](const accounting::Book& book) {
            return book.Boundaries(routers[i], NowUs(), settings_.boundary_days);
          });
      if (found.ok()) known->second = *found;
    }
    welcome.boundary_us = known->second;
    welcomes.push_back(std::move(welcome));
  }
  return welcomes;
}

// Grants the party what it holds or what is free; for the rest the stream waits.
Engine::Grants Engine::GrantLeases(Stream& stream, const std::vector<base::RouterId>& routers) {
  const absl::Duration now = parts_.clock.MonotonicNow();
  std::vector<base::RouterId> free;
  for (const base::RouterId& router : routers) {
    if (leases_.Ask(router, *stream.party, now) == LeaseTable::Answer::kFree) {
      free.push_back(router);
    }
  }
  if (!free.empty() && now >= next_lease_try_) {
    // A database that was restored has given these before, and forgotten it.
    std::uint64_t above = 0;
    for (const base::RouterId& router : free) {
      const auto offered = stream.offered_epochs.find(router);
      if (offered != stream.offered_epochs.end()) above = std::max(above, offered->second);
    }
    const absl::StatusOr<std::uint64_t> first =
        parts_.store.NextLeaseEpochs(fence_, free.size(), above);
    if (first.ok()) {
      for (std::size_t i = 0; i < free.size(); ++i) {
        TellFormerHolder(free[i], *stream.party);
        leases_.Grant(free[i], *stream.party, *first + i, now);
      }
    } else {
      next_lease_try_ = now + Pause();
      parts_.logger.Warn("lease.not_granted", "cannot number leases; trying again",
                         {{"routers", free.size()}, {"status", first.status()}});
    }
  }
  Grants grants;
  grants.reserve(routers.size());
  for (const base::RouterId& router : routers) {
    const Lease* lease = leases_.Find(router);
    if (lease == nullptr || !(lease->holder == *stream.party)) {
      stream.waiting_for_lease.push_back(router);
      grants.emplace_back();
      continue;
    }
    parts_.board.SetLease(router, stream.identity, lease->epoch);
    grants.push_back(LeaseGrantMessage{
        .router = router,
        .lease_epoch = lease->epoch,
        .ttl_ms = static_cast<std::uint32_t>(absl::ToInt64Milliseconds(leases_.ttl()))});
  }
  return grants;
}

// Whoever had the lease, lives and lost it stops reading, and waits for it as any other does.
void Engine::TellFormerHolder(const base::RouterId& router, const LeaseParty& next) {
  const Lease* lease = leases_.Find(router);
  if (lease == nullptr || lease->holder == next) return;
  for (auto& [id, stream] : streams_) {
    if (!stream.party.has_value() || !(*stream.party == lease->holder)) continue;
    stream.waiting_for_lease.push_back(router);
    stream.sink->Send(WithdrawalMessage{
        .router = router,
        .lease_epoch = lease->epoch,
        .reason =
            absl::StrCat("nothing came of the router for ", absl::FormatDuration(leases_.ttl()),
                         "; collector \"", next.collector.value(), "\" reads it now")});
  }
}

void Engine::GrantLapsedLeases() {
  if (parts_.clock.MonotonicNow() < next_lease_try_) return;
  for (auto& [id, stream] : streams_) {
    if (stream.waiting_for_lease.empty()) continue;
    std::vector<base::RouterId> waiting = std::exchange(stream.waiting_for_lease, {});
    std::sort(waiting.begin(), waiting.end());
    waiting.erase(std::unique(waiting.begin(), waiting.end()), waiting.end());
    for (std::optional<LeaseGrantMessage>& grant : GrantLeases(stream, waiting)) {
      if (grant.has_value()) stream.sink->Send(*std::move(grant));
    }
  }
}

const RouterAdmission* Engine::Admit(const Stream& stream, RefusalMessage& refusal) const {
  const std::string& router = refusal.router.value();
  const auto admission = policy_.admission.find(refusal.router);
  if (admission == policy_.admission.end()) {
    refusal.reason = RefusalReason::kUnknownRouter;
    refusal.detail = absl::StrCat("the aggregator's configuration has no router \"", router,
                                  "\": add it under routers:");
    return nullptr;
  }
  const std::vector<base::CollectorId>& granted = admission->second.collectors;
  if (std::find(granted.begin(), granted.end(), stream.identity) == granted.end()) {
    refusal.reason = RefusalReason::kNotGranted;
    refusal.detail =
        absl::StrCat("router \"", router, "\" is not granted to collector \"",
                     stream.identity.value(), "\": add it to the router's collectors: list");
    return nullptr;
  }
  return &admission->second;
}

void Engine::HearCollector(const Stream& stream, std::int64_t collector_us) {
  parts_.clock.HearCollector(stream.identity, stream.host_boot_id, collector_us);
}

void Engine::HandlePart(Stream& stream, SnapshotPart part) {
  if (part.columns.part == 0) HearCollector(stream, part.collector_time_us);
  const LaneKey key{part.router, part.menu};
  const std::uint64_t sequence = part.offered.position.sequence;
  // Nothing is kept of a router that is not granted. A changed grant closes all streams.
  if (!stream.lanes.contains(key)) {
    RefusalMessage refusal{.router = part.router, .menu = part.menu, .sequence = sequence};
    if (Admit(stream, refusal) == nullptr) {
      Refuse(stream, refusal);
      return;
    }
  }
  Lane& lane = stream.lanes[key];
  lane.last_part_at = parts_.clock.MonotonicNow();
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
  Tell("refused", stream, {refusal.router, refusal.menu},
       absl::StrCat("sequence ", refusal.sequence, ": ", refusal.detail));
  stream.sink->Send(refusal);
}

// To the log and to the events, once a minute for each router and kind. Routers that nobody
// configured are told of by their collector: there may be any number of them.
void Engine::Tell(absl::string_view kind, const Stream& stream, const LaneKey& lane,
                  absl::string_view detail) {
  const bool known = policy_.admission.contains(lane.first);
  const std::optional<std::uint64_t> held_back =
      notices_.Pass(kind, known ? lane.first.value() : absl::StrCat("of ", stream.identity.value()),
                    parts_.clock.MonotonicNow());
  if (!held_back.has_value()) return;
  std::string text = Bounded(detail);
  if (*held_back > 0) absl::StrAppend(&text, " (", *held_back, " more like it before this)");
  parts_.logger.Warn(absl::StrCat("ingest.", kind), text,
                     {{"router", lane.first},
                      {"menu", counters::MenuName(lane.second)},
                      {"collector", stream.identity}});
  notices_.Add({.at_us = NowUs(),
                .router = known ? lane.first : base::RouterId(),
                .menu = lane.second,
                .queue = "",
                .kind = std::string(kind),
                .detail = absl::StrCat("collector ", stream.identity.value(), ": ", text)});
}

void Engine::Acknowledge(Stream& stream, const LaneKey& lane,
                         const counters::SnapshotPosition& position, bool superseded) {
  stream.sink->Send(AckMessage{.router = lane.first,
                               .menu = lane.second,
                               .lease_epoch = position.lease_epoch,
                               .sequence = position.sequence,
                               .aggregator_time_us = TimeToTellUs(),
                               .superseded = superseded});
}

}  // namespace netsentinel::ingest
