#include "collector/uplink/uplink.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::uplink {
namespace {

constexpr std::size_t kRowsPerBatch = 16;
constexpr std::uint64_t kBytesPerBatch = 1 << 20;
// Failed polls in a row after which a lease is not extended.
constexpr int kFailedPollsMax = 2;
// A stream that lived so long was no failed attempt.
constexpr absl::Duration kProvenAfter = absl::Seconds(5);

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
  if (routers_ == next) return;
  routers_ = std::move(next);
  std::erase_if(states_,
                [this](const auto& entry) { return !routers_->contains(entry.first.first); });
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
    leases_[plan.router].spool_uuid = keeper_.spool()->uuid();
    listener_.OnPlan(plan);
  }
}

std::uint64_t Uplink::LeaseEpoch(const base::RouterId& router) const {
  const auto lease = leases_.find(router);
  if (lease == leases_.end()) return 0;
  const bool other_spool =
      keeper_.spool() != nullptr && keeper_.spool()->uuid() != lease->second.spool_uuid;
  return other_spool ? 0 : lease->second.epoch;
}

std::string Uplink::HeldBack(const base::RouterId& router) const {
  std::set<std::string> reasons;
  if (const auto why = not_sending_.find(router); why != not_sending_.end()) {
    reasons.insert(why->second);
  }
  for (const counters::Menu menu : {counters::Menu::kSimple, counters::Menu::kTree}) {
    const auto channel = channels_.find({router, menu});
    if (channel == channels_.end() || channel->second.held_until <= clock_.MonotonicNow()) continue;
    reasons.insert(channel->second.held_why);
  }
  return absl::StrJoin(reasons, "; ");
}

Uplink::MenuChannel& Uplink::Channel(const spool::MenuKey& key) {
  return channels_.try_emplace(key, options_.encoder).first->second;
}

void Uplink::OnSpooled(const std::set<spool::MenuKey>& keys) {
  for (const spool::MenuKey& key : keys) Channel(key).more = true;
  Pump();
}

void Uplink::OnPolled(const base::RouterId& router, bool succeeded) {
  int& failed = failed_polls_[router];
  failed = succeeded ? 0 : std::min(failed + 1, kFailedPollsMax);
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
                     .routers = {},
                     .collector_time_us = absl::ToUnixMicros(clock_.WallNow())};
  NS_ASSIGN_OR_RETURN(const std::vector<spool::MenuPosition> positions,
                      keeper_.spool()->Positions());
  std::map<base::RouterId, RouterOffer> offers;
  for (const base::RouterId& router : *routers_) offers[router].router = router;
  for (const spool::MenuPosition& position : positions) {
    // A router that left the configuration is offered until its last snapshot is delivered, or
    // dropped by DropUnconfigured.
    if (!routers_->contains(position.key.router) &&
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
  if (!routers_.has_value()) return;
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
  // A try that fails like the one before is not worth a line.
  const bool news = welcomed_ || trouble_ != why;
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
  not_sending_.clear();
  if (proven) backoff_.Reset();
  const absl::Duration pause = backoff_.NextDelay();
  connect_at_ = clock_.MonotonicNow() + pause;
  if (!stopped_ && news) {
    logger_.Warn("uplink.disconnected",
                 "snapshots wait in the spool until the aggregator is back; polling continues",
                 {{"why", why}, {"next_try_in", pause}});
  }
}

void Uplink::OnClosed(absl::Status status) {
  Disconnect(status.ok() ? "the aggregator ended the stream"
                         : ExplainStreamEnd(status, options_.aggregator));
}

void Uplink::Stop() {
  stopped_ = true;
  rewrite_at_ = absl::ZeroDuration();
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
    Disconnect("the stream is old: a new one gets new boundaries");
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
    if (!lease.granted || now < lease.report_at || failed_polls_[router] >= kFailedPollsMax) {
      continue;
    }
    lease.report_at = now + lease.ttl / 3;
    stream_->Send(LeaseReportMessage{router, lease.epoch, keeper_.spool()->Waiting(router)});
  }
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
    // Most menus have nothing to send; of those the lease is not even looked up.
    const bool has_more = channel.more && channel.held_until <= now;
    const auto lease = has_more ? leases_.find(key.router) : leases_.end();
    if (lease == leases_.end() || !lease->second.granted) {
      ++idle;
      ++at;
      continue;
    }
    idle = 0;
    const Turn turn = SendBatch(key, channel);
    if (turn == Turn::kStopped || !welcomed_ || keeper_.spool() == nullptr) return;
    // Who sent something lets the next one begin; who found no room at all keeps its turn.
    if (turn != Turn::kFullAtOnce && ++at == channels_.end()) at = channels_.begin();
    next_menu_ = at->first;
    if (turn != Turn::kDone) return;
  }
}

Uplink::Turn Uplink::SendBatch(const spool::MenuKey& key, MenuChannel& channel) {
  const absl::StatusOr<std::vector<spool::SpoolRow>> rows =
      keeper_.spool()->ReadAfter(key, channel.cursor, kRowsPerBatch, kBytesPerBatch);
  if (!rows.ok()) {
    SpoolFailed(rows.status());
    return Turn::kStopped;
  }
  if (rows->empty()) {
    channel.more = false;
    return Turn::kDone;
  }
  bool sent = false;
  for (const spool::SpoolRow& row : *rows) {
    switch (SendRow(row, channel)) {
      case Sending::kSent:
        sent = true;
        break;
      case Sending::kNoRoom:
        return sent ? Turn::kFullAfterSome : Turn::kFullAtOnce;
      case Sending::kSetAside:
        // The rows behind it were linked anew: read them again.
        return keeper_.spool() != nullptr ? Turn::kDone : Turn::kStopped;
    }
  }
  return Turn::kDone;
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
    sent.bytes +=
        stream_->Send(FrameMessage{.key = row.key,
                                   .lease_epoch = row.lease_epoch,
                                   .spool_uuid = row.spool_uuid,
                                   .sequence = row.sequence,
                                   .previous_sequence = row.previous_sequence,
                                   .columns = std::move(columns),
                                   .collector_time_us = absl::ToUnixMicros(clock_.WallNow())});
    ++stats_.frames_sent;
  }
  stats_.bytes_sent += sent.bytes;
  stats_.in_flight_bytes += sent.bytes;
  channel.in_flight.push_back(sent);
  channel.cursor = row.sequence;
  return Sending::kSent;
}

}  // namespace netsentinel::uplink
