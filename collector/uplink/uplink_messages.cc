// The uplink's half that listens: what the aggregator says, and what follows from it.
#include <algorithm>

#include "absl/strings/str_cat.h"

#include "collector/uplink/uplink.h"

namespace netsentinel::uplink {
namespace {

// After a gap, frames sent before it still come back refused: wait for them to pass.
constexpr absl::Duration kGapQuiet = absl::Milliseconds(200);
constexpr absl::Duration kGapQuietMax = absl::Seconds(10);

}  // namespace

void Uplink::OnMessage(AggregatorMessage message) {
  last_answer_at_ = clock_.MonotonicNow();
  // Routers of the hello that it does not take are refused before the welcome.
  if (!welcomed_ && !std::holds_alternative<WelcomeMessage>(message) &&
      !std::holds_alternative<RefusalMessage>(message)) {
    return Disconnect("the aggregator spoke before its welcome");
  }
  std::visit([this](auto& plain) { On(std::move(plain)); }, message);
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
    TakePlan(plan);
    if (router.lease.has_value()) {
      Grant(*router.lease);
    } else {
      not_sending_[router.router] =
          "the router's lease is not this collector's: it waits until another one gives it up";
      listener_.OnLease(router.router, false);
    }
  }
  SavePlans();
  if (keeper_.spool() == nullptr) return Disconnect("the spool fails");
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

void Uplink::TakePlan(const spool::RouterPlan& plan) {
  const auto known = plans_.find(plan.router);
  if (known != plans_.end() && known->second == plan) return;
  plans_[plan.router] = plan;
  unsaved_plans_.insert(plan.router);
  listener_.OnPlan(plan);
}

// Not saved is no loss while the process lives, so a full disk may wait.
void Uplink::SavePlans() {
  if (keeper_.spool() == nullptr || unsaved_plans_.empty()) return;
  std::vector<spool::RouterPlan> plans;
  plans.reserve(unsaved_plans_.size());
  for (const base::RouterId& router : unsaved_plans_) plans.push_back(plans_[router]);
  const absl::Status status = keeper_.spool()->SavePlans(plans);
  if (status.ok()) {
    unsaved_plans_.clear();
  } else if (absl::IsResourceExhausted(status)) {
    rewrite_at_ = clock_.MonotonicNow() + options_.rewrite_after;
  } else {
    keeper_.Fail(status);
  }
}

void Uplink::Grant(const LeaseGrantMessage& grant) {
  not_sending_.erase(grant.router);
  RouterLease& lease = leases_[grant.router];
  lease.epoch = grant.lease_epoch;
  lease.spool_uuid = spool_uuid_;
  lease.granted = true;
  lease.ttl = std::max(absl::Milliseconds(grant.ttl_ms), absl::Seconds(3));
  lease.report_at = clock_.MonotonicNow() + lease.ttl / 3;
  listener_.OnLease(grant.router, true);
}

void Uplink::On(const LeaseGrantMessage& grant) {
  Grant(grant);
  spool::RouterPlan plan = plans_[grant.router];
  plan.router = grant.router;
  plan.lease_epoch = grant.lease_epoch;
  TakePlan(plan);
  SavePlans();
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
  not_sending_[withdrawal.router] = absl::StrCat("the lease was withdrawn: ", withdrawal.reason);
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
  const bool not_taken = refusal.reason == RefusalReason::kNotGranted ||
                         refusal.reason == RefusalReason::kUnknownRouter;
  if (not_taken) DropUnconfigured(refusal);
  // On this stream it will not be taken any more: a changed grant ends all streams.
  if (not_taken && !welcomed_) {
    not_sending_[refusal.router] = absl::StrCat(
        "refused by the aggregator (", RefusalReasonName(refusal.reason), "): ", refusal.detail);
  }
  if (refusal.menu.has_value()) {
    const spool::MenuKey key{refusal.router, *refusal.menu};
    if (SetRefusedAside(key, Channel(key), refusal)) return Pump();
  }
  for (const spool::MenuKey& key : KeysOf(refusal)) Hold(key, Channel(key), refusal);
}

bool Uplink::SetRefusedAside(const spool::MenuKey& key, MenuChannel& channel,
                             const RefusalMessage& refusal) {
  const bool for_what_it_is =
      refusal.reason == RefusalReason::kMalformed || refusal.reason == RefusalReason::kTooLarge;
  // What was sent behind a refused snapshot is refused as well, for want of it: only the refusal
  // of one that is still on its way tells something, and being held takes all of them off it.
  const bool current =
      std::any_of(channel.in_flight.begin(), channel.in_flight.end(),
                  [&refusal](const InFlight& sent) { return sent.sequence == refusal.sequence; });
  if (!for_what_it_is || !current) return false;
  const bool again = refusal.sequence == channel.refused_sequence;
  channel.refused_sequence = refusal.sequence;
  channel.refused_times = again ? channel.refused_times + 1 : 1;
  if (channel.refused_times < options_.refusals_max || keeper_.spool() == nullptr) return false;
  const auto rows = keeper_.spool()->ReadAfter(key, refusal.sequence - 1, 1, 1);
  if (!rows.ok()) {
    SpoolFailed(rows.status());
    return true;
  }
  if (rows->empty() || rows->front().sequence != refusal.sequence) return false;
  const absl::Status aside = keeper_.spool()->SetAside(
      rows->front(), absl::StrCat("refused ", channel.refused_times,
                                  " times by the aggregator: ", refusal.detail));
  // On a full disk it is tried again with the next refusal.
  if (absl::IsResourceExhausted(aside)) return false;
  if (!aside.ok()) {
    SpoolFailed(aside);
    return true;
  }
  channel.refused_times = 0;
  channel.held_until = absl::ZeroDuration();
  DropInFlight(channel);
  channel.cursor = channel.acknowledged;
  return true;
}

void Uplink::DropUnconfigured(const RefusalMessage& refusal) {
  if (!routers_.has_value() || routers_->contains(refusal.router)) return;
  if (keeper_.spool() == nullptr || keeper_.spool()->Waiting(refusal.router) == 0) return;
  const absl::StatusOr<std::uint64_t> dropped =
      keeper_.spool()->DropStale(refusal.router, options_.keep_unconfigured);
  // Not now means at the next refusal.
  if (!dropped.ok() || *dropped == 0) return;
  logger_.Warn("uplink.router_dropped",
               "snapshots of a router that this collector does not read any more were dropped: the "
               "aggregator does not take them",
               {{"router", refusal.router},
                {"reason", RefusalReasonName(refusal.reason)},
                {"rows", *dropped}});
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
  if (keeper_.spool() == nullptr || clock_.MonotonicNow() < rewrite_at_) return;
  SavePlans();
  if (keeper_.spool() == nullptr) return;
  std::vector<std::pair<spool::MenuKey, std::uint64_t>> positions;
  for (const auto& [key, channel] : channels_) {
    if (channel.acknowledge) positions.emplace_back(key, channel.acknowledged);
  }
  if (positions.empty()) return;
  const absl::Status status = keeper_.spool()->Acknowledge(positions);
  if (absl::IsResourceExhausted(status)) {
    // They stay in memory; at worst a restart sends what the aggregator has already.
    rewrite_at_ = clock_.MonotonicNow() + options_.rewrite_after;
    return;
  }
  if (!status.ok()) return SpoolFailed(status);
  for (auto& [key, channel] : channels_) channel.acknowledge = false;
}

}  // namespace netsentinel::uplink
