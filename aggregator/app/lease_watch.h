#pragma once

#include <functional>
#include <optional>
#include <thread>

#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/http/health.h"

namespace netsentinel::app {

// Says at /readyz when the active aggregator could not write its lease for longer than it should
// take: its row may be locked, or the database may hang, and the engine, which waits inside that
// very call, cannot say so itself. Thread-safe.
class LeaseWatch {
 public:
  // A lease of `ttl` is extended three times in it; it is late `kPatience` after that. `readiness`
  // and `clock` must outlive this.
  LeaseWatch(http::Readiness& readiness, const base::Clock& clock, absl::Duration ttl);
  ~LeaseWatch();
  LeaseWatch(const LeaseWatch&) = delete;
  LeaseWatch& operator=(const LeaseWatch&) = delete;

  // The lease was written just now, or the engine turned and said why it was not.
  void Heard();
  // Nobody holds the lease here: nothing is late until the next Heard.
  void Rest();
  // What the watch's own thread does twice a second.
  void Look();

  static constexpr absl::Duration kPatience = absl::Seconds(3);

 private:
  http::Readiness& readiness_;
  const base::Clock& clock_;
  const absl::Duration ttl_;
  base::Mutex mutex_;
  std::optional<absl::Duration> heard_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace netsentinel::app
