#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <string>

#include "aggregator/outbox/alert_sink.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace netsentinel::outbox {

struct DispatcherSettings {
  std::string owner;  // names this process among claimants
  std::size_t batch = 500;
  // A batch ends before it takes more than this on the wire, one breach at the least.
  std::size_t batch_bytes = 2U << 20;
  // Longer than the deadline. What a killed process had claimed waits this long.
  absl::Duration claim_for = absl::Seconds(20);
  absl::Duration deadline = absl::Seconds(15);
  // How long to sleep without a wake-up: finds rows whose claim ran out.
  absl::Duration idle = absl::Seconds(5);
  base::BackoffPolicy backoff{.initial = absl::Milliseconds(200), .maximum = absl::Seconds(15)};
};

// Hands outbox rows to the notifier until it has them durably. Rows are picked by their state, so
// nothing is missed whatever was down; a row is offered again until a receipt for it is stored.
// Run() belongs to one thread; Wake() and Stop() may be called from any.
class Dispatcher {
 public:
  // Called from Run's thread after each round: OK when everything waiting was handed over.
  using Report = std::function<void(const absl::Status& status, std::uint64_t delivered)>;

  Dispatcher(store::Store& store, AlertSink& sink, base::RandomSource& random,
             DispatcherSettings settings, Report report)
      : store_(store),
        sink_(sink),
        settings_(std::move(settings)),
        backoff_(settings_.backoff, random),
        batch_(settings_.batch),
        report_(std::move(report)) {}

  // The fence under which the store may be written; set before Run and after each takeover.
  void SetFence(store::Fence fence) { fence_epoch_.store(fence.epoch); }
  // Returns after Stop().
  void Run();
  // New rows are there.
  void Wake();
  // Ends the delivery under way, too: its breaches stay in the outbox.
  void Stop();

 private:
  struct Round {
    absl::Status status;
    std::uint64_t delivered = 0;
    bool more = false;
  };
  Round DoRound();
  Round Offer(absl::Span<const store::OutboxClaim> claims, bool more);
  void Sleep(absl::Duration duration);

  store::Store& store_;
  AlertSink& sink_;
  const DispatcherSettings settings_;
  base::Backoff backoff_;
  std::size_t batch_;  // smaller than the setting after the notifier found one too large
  Report report_;
  std::atomic<std::uint64_t> fence_epoch_{0};

  base::Mutex mutex_;
  std::condition_variable changed_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace netsentinel::outbox
