#pragma once

#include "absl/time/time.h"

#include "common/base/clock.h"

namespace netsentinel::io {

// The clocks of this host. Thread-safe.
class SystemClock final : public base::Clock {
 public:
  absl::Time WallNow() const override;
  absl::Duration MonotonicNow() const override;
  absl::Duration BootNow() const override;
};

}  // namespace netsentinel::io
