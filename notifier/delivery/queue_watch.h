#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/http/health.h"
#include "common/log/logger.h"
#include "common/metrics/registry.h"
#include "notifier/delivery/sqlite_delivery_queue.h"

namespace netsentinel::delivery {

// What the watch looks at; all of it outlives the watch.
struct WatchParts {
  const base::Clock& clock;
  SqliteDeliveryQueue& queue;
  log::Logger& logger;
  metrics::Registry& metrics;
  http::Readiness& readiness;
  const http::Liveness& liveness;
};

// Looks from outside at the queue and the worker, since one that is stuck cannot say so. Readiness
// conditions: "intake" while alerts could not be accepted (disk full, as many wait as may, the file
// hangs), "worker" while the delivery loop has been silent for longer than it may be, and shown
// only: "delivery" while one mail has been under way for minutes, "damage" after something stored
// was set aside. Counts the queue for metrics. One thread.
class QueueWatch {
 public:
  // `loop` is the name of the worker's pulse, which may be silent for `longest_silence`.
  QueueWatch(const WatchParts& parts, std::string loop, absl::Duration longest_silence);

  // Call it every few seconds, and when something was not accepted.
  void Look();

 private:
  void LookAtLoop();
  void LookAtIntake();
  void LookAtDamage();
  void Count();

  WatchParts parts_;
  const std::string loop_;
  const absl::Duration longest_silence_;
  // Since when the queue was in use each time, on the monotonic clock.
  std::optional<absl::Duration> in_use_since_;
  std::string shown_intake_;
  metrics::Gauge pending_;
  metrics::Gauge waiting_;
  metrics::Gauge parked_;
  metrics::Gauge set_aside_;
};

}  // namespace netsentinel::delivery
