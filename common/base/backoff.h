#pragma once

#include "absl/time/time.h"

#include "common/base/random.h"

namespace netsentinel::base {

struct BackoffPolicy {
  absl::Duration initial = absl::Milliseconds(500);
  absl::Duration maximum = absl::Seconds(60);
};

// Exponential backoff with full jitter: the n-th delay is uniform in (0, min(maximum, initial·2ⁿ)],
// at least 10 ms. One thread.
class Backoff {
 public:
  Backoff(BackoffPolicy policy, RandomSource& random) : policy_(policy), random_(random) {}
  // The delay before the next attempt.
  absl::Duration NextDelay();
  // After a success.
  void Reset() { attempts_ = 0; }
  int attempts() const { return attempts_; }

 private:
  BackoffPolicy policy_;
  RandomSource& random_;
  int attempts_ = 0;
};

}  // namespace netsentinel::base
