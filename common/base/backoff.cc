#include "common/base/backoff.h"

#include <algorithm>

namespace netsentinel::base {

absl::Duration Backoff::NextDelay() {
  absl::Duration ceiling = policy_.initial;
  for (int i = 0; i < attempts_ && ceiling < policy_.maximum; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, policy_.maximum);
  ++attempts_;
  const auto ceiling_us = static_cast<std::uint64_t>(absl::ToInt64Microseconds(ceiling));
  const std::uint64_t jitter_us = ceiling_us == 0 ? 0 : random_.Next() % ceiling_us + 1;
  return std::max(absl::Milliseconds(10), absl::Microseconds(static_cast<std::int64_t>(jitter_us)));
}

}  // namespace netsentinel::base
