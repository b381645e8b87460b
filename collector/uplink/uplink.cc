#include "collector/uplink/uplink.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::uplink {
namespace {

constexpr std::size_t kRowsPerBatch = 16;
constexpr std::uint64_t kBytesPerBatch = 1 << 20;
// After a gap, frames sent before it still come back refused: wait for them to pass.
constexpr absl::Duration kGapQuiet = absl::Milliseconds(200);
constexpr absl::Duration kGapQuietMax = absl::Seconds(10);
// A stream that lived so long was no failed attempt.
constexpr absl::Duration kProvenAfter = absl::Seconds(5);

// What to do about a stream that the aggregator ended.
std::string Explain(const absl::Status& status) {
  std::string words(status.message());
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      absl::StrAppend(&words,
                      "; the certificate must carry the name in collector.id: check "
                      "aggregator.tls.cert, or issue one with netsentinelctl certs issue");
      break;
    case absl::StatusCode::kFailedPrecondition:
      absl::StrAppend(&words, "; upgrade the older of collector and aggregator");
      break;
    default:
      break;
  }
  return words;
}

}  // namespace

Uplink::Uplink(UplinkOptions options, const Parts& parts)
    : options_(std::move(options)),
      keeper_(parts.keeper),
      clock_(parts.clock),
      logger_(parts.logger),
      aggregator_clock_(parts.aggregator_clock),
      connector_(parts.connector),
      listener_(parts.listener),
      backoff_(options_.reconnect, parts.random) {}

Uplink::~Uplink() = default;

void Uplink::SetRouters(std::vector<base::RouterId> routers) {
  std::set<base::RouterId> next(routers.begin(), routers.end());
  if (next == routers_) return;
  routers_ = std::move(next);
  std::erase_if(states_,
                [this](const auto& entry) { return !routers_.contains(entry.first.first); });
  if (stream_ != nullptr) {
    Disconnect("the list of routers changed");
    connect_at_ = clock_.MonotonicNow();
  }
}

void Uplink::RestorePlans() {
  if (restored_ || keeper_.spool() == nullptr) return;
  restored_ = true;
  const auto plans = keeper_.spool()->LoadPlans();
  if (!plans.ok()) return SpoolFailed(plans.status());
  for (const spool::RouterPlan& plan : *plans) {
    plans_[plan.router] = plan;
    leases_[plan.router].epoch = plan.lease_epoch;
    listener_.OnPlan(plan);
  }
}

std::uint64_t Uplink::LeaseEpoch(const base::RouterId& router) const {
  const auto lease = leases_.find(router);
  return lease == leases_.end() ? 0 : lease->second.epoch;
}

std::string Uplink::HeldBack(const spool::MenuKey& key) const {
  const auto channel = channels_.find(key);
  if (channel == channels_.end() || channel->second.held_until <= clock_.MonotonicNow()) return "";
  return channel->second.held_why;
}

Uplink::MenuChannel& Uplink::Channel(const spool::MenuKey& key) {
  return channels_.try_emplace(key, options_.encoder).first->second;
}

void Uplink::OnSpooled(const spool::MenuKey& key) {
  Channel(key).more = true;
  Pump();
}

void Uplink::ReportState(const poll::RouterStateReport& report) {
  const int menu = report.menu.has_value() ? static_cast<int>(*report.menu) : 0;
  states_[{report.router, menu}] = report;
  if (welcomed_) stream_->Send(report);
}

// --- the stream's life --------------------------------------------------------------------------

absl::StatusOr<HelloMessage> Uplink::MakeHello() {
  HelloMessage hello{.collector = options_.collector,
                     .software_version = options_.software_version,
                     .host_boot_id = options_.host_boot_id,
                     .spool_uuid = keeper_.spool()->uuid(),
                     .routers = {}};
  NS_ASSIGN_OR_RETURN(const std::vector<spool::MenuPosition> positions,
                      keeper_.spool()->Positions());
  std::map<base::RouterId, RouterOffer> offers;
  for (const base::RouterId& router : routers_) offers[router].router = router;
  for (const spool::MenuPosition& position : positions) {
    // A router that left the configuration is offered until its last snapshot is delivered.
    if (!routers_.contains(position.key.router) &&
        keeper_.spool()->Waiting(position.key.router) == 0) {
      continue;
    }
    RouterOffer& offer = offers[position.key.router];
    offer.router = position.key.router;
    offer.positions.push_back(position);
    MenuChannel& channel = Channel(position.key);
    if (!channel.acknowledge) channel.acknowledged = position.acknowledged_sequence;
    channel.cursor = channel.acknowledged;
  }
  for (auto& [router, offer] : offers) hello.routers.push_back(std::move(offer));
  return hello;
}

void Uplink::Connect() {
  if (keeper_.spool() == nullptr) {
    trouble_ = "the spool cannot be opened, so nothing can be sent safely";
    return;
  }
  absl::StatusOr<HelloMessage> hello = MakeHello();
  if (!hello.ok()) return SpoolFailed(hello.status());
  const absl::Duration now = clock_.MonotonicNow();
  spool_uuid_ = hello->spool_uuid;
  opened_at_ = now;
  last_answer_at_ = now;
  hello_boot_ = clock_.BootNow();
  ++stats_.connects;
  stream_ = connector_.Open(*this);
  stream_->Send(*std::move(hello));
}

void Uplink::Disconnect(absl::string_view why) {
  const bool proven = welcomed_ && clock_.MonotonicNow() - opened_at_ >= kProvenAfter;
  stream_.reset();
  welcomed_ = false;
  trouble_ = std::string(why);
  credit_ = 0;
  stats_.in_flight_bytes = 0;
  for (auto& [key, channel] : channels_) {
    channel.encoder.Reset();
    channel.in_flight.clear();
    channel.held_until = absl::ZeroDuration();
  }
  for (auto& [router, lease] : leases_) lease.granted = false;
  if (proven) backoff_.Reset();
  const absl::Duration pause = backoff_.NextDelay();
  connect_at_ = clock_.MonotonicNow() + pause;
  if (!stopped_) {
    logger_.Warn("uplink.disconnected",
                 "snapshots wait in the spool until the aggregator is back; polling goes on",
                 {{"why", why}, {"next_try_in", pause}});
  }
}

void Uplink::OnClosed(absl::Status status) {
  Disconnect(status.ok() ? "the aggregator ended the stream" : Explain(status));
}

void Uplink::Stop() {
  stopped_ = true;
  FlushAcknowledgements();
  if (stream_ != nullptr) Disconnect("stopping");
}

void Uplink::SpoolFailed(const absl::Status& status) {
  keeper_.Fail(status);
  if (stream_ != nullptr) Disconnect(absl::StrCat("the spool fails: ", status.message()));
}

bool Uplink::StreamIsDead(absl::Duration now) {
  if (!welcomed_) {
    if (now - opened_at_ <= options_.welcome_deadline) return false;
    Disconnect(absl::StrCat("no welcome within ", absl::FormatDuration(options_.welcome_deadline)));
    return true;
  }
  if (now - opened_at_ > options_.stream_age_max) {
    Disconnect("the stream is old: a new one brings new boundaries");
    connect_at_ = now;
    return true;
  }
  if (now - last_answer_at_ <= options_.ack_deadline) return false;
  for (const auto& [key, channel] : channels_) {
    if (!channel.in_flight.empty() &&
        now - channel.in_flight.front().sent_monotonic > options_.ack_deadline) {
      Disconnect(absl::StrCat("no answer for ", absl::FormatDuration(options_.ack_deadline),
                              " to snapshot ", channel.in_flight.front().sequence, " of ",
                              spool::MenuKeyText(key)));
      return true;
    }
  }
  return false;
}

void Uplink::Tick() {
  if (stopped_) return;
  const absl::Duration now = clock_.MonotonicNow();
  RestorePlans();
  FlushAcknowledgements();
  if (stream_ == nullptr) {
    if (now >= connect_at_) Connect();
    return;
  }
  if (keeper_.spool() != nullptr && keeper_.spool()->uuid() != spool_uuid_) {
    Disconnect("the spool took a new uuid");
    connect_at_ = now;
    return;
  }
  if (StreamIsDead(now) || !welcomed_) return;
  ReportLeases();
  Pump();
}

void Uplink::ReportLeases() {
  if (keeper_.spool() == nullptr) return;
  const absl::Duration now = clock_.MonotonicNow();
  for (auto& [router, lease] : leases_) {
    if (!lease.granted || now < lease.report_at) continue;
    lease.report_at = now + lease.ttl / 3;
    stream_->Send(LeaseReportMessage{router, lease.epoch, keeper_.spool()->Waiting(router)});
  }
}

// --- what the aggregator says -------------------------------------------------------------------

void Uplink::OnMessage(AggregatorMessage message) {
  last_answer_at_ = clock_.MonotonicNow();
  if (!welcomed_ && !std::holds_alternative<WelcomeMessage>(message)) {
    return Disconnect("the aggregator spoke before its welcome");
  }
  std::visit([this](auto&& plain) { On(std::move(plain)); }, std::move(message));
}

void Uplink::On(WelcomeMessage welcome) {
  if (welcomed_ || keeper_.spool() == nullptr) return;
  aggregator_clock_.Add(hello_boot_, clock_.BootNow(), welcome.aggregator_time_us);
  welcomed_ = true;
  trouble_.clear();
  credit_ = welcome.credit_bytes;
  logger_.Info("uplink.connected", "the aggregator takes snapshots",
               {{"aggregator", welcome.aggregator_id}, {"credit_bytes", credit_}});
  for (const RouterWelcome& router : welcome.routers) {
    if (!Resume(router)) return;
    spool::RouterPlan plan{.router = router.router,
                           .lease_epoch = router.lease.has_value() ? router.lease->lease_epoch
                                                                   : LeaseEpoch(router.router),
                           .boundary_us = router.boundary_us,
                           .poll_interval_ms = router.poll_interval_ms};
    SavePlan(plan);
    if (keeper_.spool() == nullptr) return Disconnect("the spool fails");
    if (router.lease.has_value()) {
      Grant(*router.lease, /*announce=*/true);
    } else {
      listener_.OnLease(router.router, false);
    }
  }
  for (const auto& [key, report] : states_) stream_->Send(report);
  Pump();
}

bool Uplink::Resume(const RouterWelcome& router) {
  for (const counters::Menu menu : {counters::Menu::kSimple, counters::Menu::kTree}) {
    const spool::MenuKey key{router.router, menu};
    MenuChannel& channel = Channel(key);
    channel.more = true;
    const auto point =
        std::find_if(router.resume_points.begin(), router.resume_points.end(),
                     [menu](const ResumePoint& candidate) { return candidate.menu == menu; });
    const bool none = point == router.resume_points.end() || point->sequence == 0;
    // Another spool's position says nothing about this one's sequences: what is older than the
    // lease comes back acknowledged as superseded.
    if (!none && point->spool_uuid != spool_uuid_) continue;
    const std::uint64_t sequence = none ? 0 : point->sequence;
    const absl::Status status = keeper_.spool()->ResumeAfter(key, sequence);
    if (absl::IsOutOfRange(status)) {
      logger_.Warn("spool.behind", status.message());
      if (const absl::Status renewed = keeper_.spool()->TakeNewUuid(); !renewed.ok()) {
        SpoolFailed(renewed);
        return false;
      }
      Disconnect("the spool is older than what the aggregator has: it took a new uuid");
      connect_at_ = clock_.MonotonicNow();
      return false;
    }
    if (!status.ok()) {
      SpoolFailed(status);
      return false;
    }
    channel.cursor = sequence;
    channel.acknowledged = sequence;
    channel.acknowledge = false;
  }
  return true;
}

void Uplink::SavePlan(const spool::RouterPlan& plan) {
  const auto known = plans_.find(plan.router);
  if (known != plans_.end() && known->second == plan) return;
  if (keeper_.spool() != nullptr) {
    if (const absl::Status status = keeper_.spool()->SavePlan(plan); !status.ok()) {
      // Not saved is no loss while the process lives; the next welcome brings it again.
      keeper_.Fail(status);
    }
  }
  plans_[plan.router] = plan;
  listener_.OnPlan(plan);
}

void Uplink::Grant(const LeaseGrantMessage& grant, bool announce) {
  RouterLease& lease = leases_[grant.router];
  lease.epoch = grant.lease_epoch;
  lease.granted = true;
  lease.ttl = std::max(absl::Milliseconds(grant.ttl_ms), absl::Seconds(3));
  lease.report_at = clock_.MonotonicNow() + lease.ttl / 3;
  if (announce) listener_.OnLease(grant.router, true);
}

void Uplink::On(const LeaseGrantMessage& grant) {
  Grant(grant, /*announce=*/true);
  spool::RouterPlan plan = plans_[grant.router];
  plan.router = grant.router;
  plan.lease_epoch = grant.lease_epoch;
  SavePlan(plan);
  for (const counters::Menu menu : {counters::Menu::kSimple, counters::Menu::kTree}) {
    MenuChannel& channel = Channel({grant.router, menu});
    channel.held_until = absl::ZeroDuration();
    channel.held_for = absl::ZeroDuration();
  }
  logger_.Info("uplink.lease_granted", "this collector reads the router",
               {{"router", grant.router}, {"lease_epoch", grant.lease_epoch}});
  Pump();
}

void Uplink::On(const WithdrawalMessage& withdrawal) {
  RouterLease& lease = leases_[withdrawal.router];
  if (withdrawal.lease_epoch != 0 && withdrawal.lease_epoch < lease.epoch) return;
  lease.granted = false;
  logger_.Warn("uplink.lease_withdrawn", "polling of the router stops until it is granted again",
               {{"router", withdrawal.router}, {"why", withdrawal.reason}});
  listener_.OnLease(withdrawal.router, false);
}

void Uplink::On(const CreditMessage& credit) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  credit_ = std::min(kMost, credit_ + std::min(kMost, credit.credit_bytes));
  Pump();
}

void Uplink::On(const AckMessage& ack) {
  const auto found = channels_.find(ack.key);
  if (found == channels_.end() || ack.sequence > found->second.cursor) return;
  MenuChannel& channel = found->second;
  while (!channel.in_flight.empty() && channel.in_flight.front().sequence <= ack.sequence) {
    const InFlight& sent = channel.in_flight.front();
    if (sent.sequence == ack.sequence) {
      aggregator_clock_.Add(sent.sent_boot, clock_.BootNow(), ack.aggregator_time_us);
    }
    stats_.in_flight_bytes -= sent.bytes;
    ++stats_.snapshots_acknowledged;
    if (ack.superseded) ++stats_.superseded;
    channel.in_flight.pop_front();
  }
  if (ack.sequence > channel.acknowledged) {
    channel.acknowledged = ack.sequence;
    channel.acknowledge = true;
  }
  channel.held_for = absl::ZeroDuration();
  if (const auto lease = leases_.find(ack.key.router); lease != leases_.end()) {
    lease->second.report_at = clock_.MonotonicNow() + lease->second.ttl / 3;
  }
  Pump();
}

std::vector<spool::MenuKey> Uplink::KeysOf(const RefusalMessage& refusal) const {
  const bool whole_router = refusal.reason == RefusalReason::kNotGranted ||
                            refusal.reason == RefusalReason::kUnknownRouter ||
                            refusal.reason == RefusalReason::kLease;
  if (refusal.menu.has_value() && !whole_router) return {{refusal.router, *refusal.menu}};
  return {{refusal.router, counters::Menu::kSimple}, {refusal.router, counters::Menu::kTree}};
}

void Uplink::On(const RefusalMessage& refusal) {
  ++stats_.refusals;
  if (refusal.reason == RefusalReason::kGap && refusal.menu.has_value()) {
    const spool::MenuKey key{refusal.router, *refusal.menu};
    MenuChannel& channel = Channel(key);
    const bool current =
        std::any_of(channel.in_flight.begin(), channel.in_flight.end(),
                    [&refusal](const InFlight& sent) { return sent.sequence == refusal.sequence; });
    // Anything else was sent before a gap that is being mended already.
    if (current) ResendAfter(key, channel, refusal.expected_sequence);
    return;
  }
  for (const spool::MenuKey& key : KeysOf(refusal)) Hold(key, Channel(key), refusal);
}

void Uplink::ResendAfter(const spool::MenuKey& key, MenuChannel& channel, std::uint64_t sequence) {
  logger_.Warn("uplink.gap", "the aggregator misses a snapshot: sending again from there",
               {{"router", key.router},
                {"menu", counters::MenuName(key.menu)},
                {"after_sequence", sequence}});
  DropInFlight(channel);
  channel.held_for = std::clamp(channel.held_for * 2, kGapQuiet, kGapQuietMax);
  channel.held_until = clock_.MonotonicNow() + channel.held_for;
  channel.held_why = "the aggregator missed a snapshot";
  if (keeper_.spool() == nullptr) return;
  const absl::Status status = keeper_.spool()->ResumeAfter(key, sequence);
  if (absl::IsOutOfRange(status)) {
    logger_.Warn("spool.behind", status.message());
    const absl::Status renewed = keeper_.spool()->TakeNewUuid();
    // Tick sees the new uuid and begins a new stream.
    if (!renewed.ok()) SpoolFailed(renewed);
    return;
  }
  if (!status.ok()) return SpoolFailed(status);
  channel.cursor = sequence;
  channel.acknowledged = sequence;
  channel.acknowledge = false;
}

void Uplink::Hold(const spool::MenuKey& key, MenuChannel& channel, const RefusalMessage& refusal) {
  const bool was_held = channel.held_until > clock_.MonotonicNow();
  const bool passing = refusal.reason == RefusalReason::kUnavailable;
  const absl::Duration first = passing ? absl::Seconds(1) : options_.refused_retry;
  const absl::Duration most = passing ? absl::Seconds(15) : options_.refused_retry_max;
  DropInFlight(channel);
  channel.cursor = channel.acknowledged;
  if (was_held) return;
  channel.held_for =
      channel.held_for == absl::ZeroDuration() ? first : std::min(most, channel.held_for * 2);
  channel.held_until = clock_.MonotonicNow() + channel.held_for;
  channel.held_why = absl::StrCat("refused by the aggregator (", RefusalReasonName(refusal.reason),
                                  "): ", refusal.detail);
  logger_.Warn("uplink.refused",
               "the router's snapshots wait in the spool and are offered again later",
               {{"router", key.router},
                {"menu", counters::MenuName(key.menu)},
                {"reason", RefusalReasonName(refusal.reason)},
                {"detail", refusal.detail},
                {"next_try_in", channel.held_for}});
}

void Uplink::DropInFlight(MenuChannel& channel) {
  for (const InFlight& sent : channel.in_flight) stats_.in_flight_bytes -= sent.bytes;
  channel.in_flight.clear();
  channel.encoder.Reset();
  channel.more = true;
}

void Uplink::FlushAcknowledgements() {
  if (keeper_.spool() == nullptr) return;
  std::vector<std::pair<spool::MenuKey, std::uint64_t>> positions;
  for (const auto& [key, channel] : channels_) {
    if (channel.acknowledge) positions.emplace_back(key, channel.acknowledged);
  }
  if (positions.empty()) return;
  if (const absl::Status status = keeper_.spool()->Acknowledge(positions); !status.ok()) {
    return SpoolFailed(status);
  }
  for (auto& [key, channel] : channels_) channel.acknowledge = false;
}

// --- sending ------------------------------------------------------------------------------------

void Uplink::Pump() {
  if (!welcomed_ || keeper_.spool() == nullptr || channels_.empty()) return;
  const absl::Duration now = clock_.MonotonicNow();
  // Every menu gets a turn of one batch; the round ends when a whole one found nothing to send.
  std::size_t idle = 0;
  auto at = next_menu_.has_value() ? channels_.lower_bound(*next_menu_) : channels_.begin();
  while (idle < channels_.size()) {
    if (at == channels_.end()) at = channels_.begin();
    auto& [key, channel] = *at;
    const auto lease = leases_.find(key.router);
    const bool may_send = lease != leases_.end() && lease->second.granted &&
                          channel.held_until <= now && channel.more;
    if (!may_send) {
      ++idle;
      ++at;
      continue;
    }
    idle = 0;
    if (!SendBatch(key, channel)) {
      next_menu_ = key;
      return;
    }
    if (!welcomed_ || keeper_.spool() == nullptr) return;
    ++at;
  }
}

bool Uplink::SendBatch(const spool::MenuKey& key, MenuChannel& channel) {
  const absl::StatusOr<std::vector<spool::SpoolRow>> rows =
      keeper_.spool()->ReadAfter(key, channel.cursor, kRowsPerBatch, kBytesPerBatch);
  if (!rows.ok()) {
    SpoolFailed(rows.status());
    return false;
  }
  if (rows->empty()) {
    channel.more = false;
    return true;
  }
  for (const spool::SpoolRow& row : *rows) {
    switch (SendRow(row, channel)) {
      case Sending::kSent:
        break;
      case Sending::kNoRoom:
        return false;
      case Sending::kSetAside:
        // The rows behind it were linked anew: read them again.
        return keeper_.spool() != nullptr;
    }
  }
  return true;
}

Uplink::Sending Uplink::SendRow(const spool::SpoolRow& row, MenuChannel& channel) {
  const std::uint64_t window = std::min(credit_, options_.in_flight_bytes_max);
  // An absolute frame is about as large as the row that it comes from, any other far smaller. One
  // snapshot may always be under way, else one larger than the credit would wait for ever.
  const std::uint64_t bound = row.payload.size() + row.payload.size() / 4 + 1024;
  if (stats_.in_flight_bytes > 0 && stats_.in_flight_bytes + bound > window) {
    return Sending::kNoRoom;
  }
  const absl::StatusOr<counters::SelfContained> decoded =
      counters::DecodeSelfContained(row.payload);
  if (!decoded.ok()) {
    const absl::Status status = keeper_.spool()->SetAside(row, decoded.status().message());
    if (!status.ok()) SpoolFailed(status);
    return Sending::kSetAside;
  }
  InFlight sent{.sequence = row.sequence,
                .bytes = 0,
                .sent_boot = clock_.BootNow(),
                .sent_monotonic = clock_.MonotonicNow()};
  for (FrameColumns& columns : channel.encoder.Encode(decoded->snapshot, decoded->table)) {
    sent.bytes += stream_->Send(FrameMessage{.key = row.key,
                                             .lease_epoch = row.lease_epoch,
                                             .spool_uuid = row.spool_uuid,
                                             .sequence = row.sequence,
                                             .previous_sequence = row.previous_sequence,
                                             .columns = std::move(columns)});
    ++stats_.frames_sent;
  }
  stats_.bytes_sent += sent.bytes;
  stats_.in_flight_bytes += sent.bytes;
  channel.in_flight.push_back(sent);
  channel.cursor = row.sequence;
  return Sending::kSent;
}

}  // namespace netsentinel::uplink
