#include "aggregator/outbox/dispatcher.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::outbox {
namespace {

constexpr std::uint8_t kHandedOver = 2;
constexpr std::uint8_t kRejected = 3;

// The most that a breach takes in a message: its name goes along in raw and in escaped form.
std::size_t WireBytes(const store::OutboxClaim& claim) {
  return 1024 + 5 * claim.breach.subscriber.name.size();
}

}  // namespace

void Dispatcher::Run() {
  for (;;) {
    {
      base::MutexLock lock(mutex_);
      if (stopping_) return;
      woken_ = false;
    }
    const Round round = DoRound();
    report_(round.status, round.delivered);
    if (!round.status.ok()) {
      Sleep(backoff_.NextDelay());
      continue;
    }
    backoff_.Reset();
    if (!round.more) Sleep(settings_.idle);
  }
}

Dispatcher::Round Dispatcher::DoRound() {
  const store::Fence fence{.epoch = fence_epoch_.load()};
  const absl::StatusOr<std::vector<store::OutboxClaim>> claims =
      store_.ClaimOutbox(fence, settings_.owner, settings_.claim_for, batch_);
  if (!claims.ok()) return {.status = claims.status()};
  if (claims->empty()) return {};
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < claims->size(); ++count) {
    bytes += WireBytes((*claims)[count]);
    if (count > 0 && bytes > settings_.batch_bytes) break;
  }
  return Offer(absl::MakeConstSpan(*claims).subspan(0, count),
               count < claims->size() || claims->size() == batch_);
}

Dispatcher::Round Dispatcher::Offer(absl::Span<const store::OutboxClaim> claims, bool more) {
  const store::Fence fence{.epoch = fence_epoch_.load()};
  const absl::StatusOr<AlertReceipt> receipt = sink_.Deliver(claims, settings_.deadline);
  if (!receipt.ok()) {
    if (absl::IsResourceExhausted(receipt.status())) {
      batch_ = std::max<std::size_t>(1, claims.size() / 2);
    }
    return {.status =
                absl::Status(receipt.status().code(),
                             absl::StrCat(claims.size(), " breaches wait in the outbox: notifier: ",
                                          receipt.status().message()))};
  }
  batch_ = std::min(settings_.batch, batch_ * 2);
  absl::flat_hash_map<std::string, std::uint64_t> rows;
  for (const store::OutboxClaim& claim : claims) rows[claim.breach.breach_id] = claim.outbox_id;
  std::vector<store::Store::OutboxResult> results;
  for (const std::string& id : receipt->accepted_ids) {
    if (const auto row = rows.find(id); row != rows.end()) {
      results.push_back({.outbox_id = row->second, .delivery = kHandedOver, .detail = ""});
      rows.erase(row);
    }
  }
  for (const auto& [id, reason] : receipt->rejected_ids) {
    if (const auto row = rows.find(id); row != rows.end()) {
      results.push_back({.outbox_id = row->second, .delivery = kRejected, .detail = reason});
      rows.erase(row);
    }
  }
  const std::uint64_t answered = results.size();
  if (absl::Status status = store_.FinishOutbox(fence, settings_.owner, results); !status.ok()) {
    return {.status = status};
  }
  if (!rows.empty()) {
    return {.status = absl::UnavailableError(absl::StrCat(
                rows.size(), " breaches were answered by the notifier neither way; offered again")),
            .delivered = answered};
  }
  return {.status = absl::OkStatus(), .delivered = answered, .more = more};
}

void Dispatcher::Sleep(absl::Duration duration) {
  base::MutexLock lock(mutex_);
  changed_.wait_for(lock.native(), absl::ToChronoMicroseconds(duration),
                    [this] { return woken_ || stopping_; });
}

void Dispatcher::Wake() {
  {
    base::MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void Dispatcher::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  sink_.Cancel();
  changed_.notify_one();
}

}  // namespace netsentinel::outbox
