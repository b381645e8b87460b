#pragma once

#include <cstdint>

#include "tools/simulator/queue.h"

namespace netsentinel::simulator {

// A stretch of simulated time, microseconds; `to_us` is not part of it.
struct Stretch {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
};

// Billionths of a byte that a queue with this model carries in the stretch, added to `carry` (below
// one byte on entry); returns the whole bytes and leaves the rest in `carry`. The same bytes come
// out however the stretch is cut. `caps_bps` are bit/s, 0 for none. Beyond 100,000 slots in one
// call the rest moves at its mean rate.
UpDown ModelBytes(const TrafficModel& model, UpDown caps_bps, std::uint64_t seed, Stretch stretch,
                  UpDown& carry);

}  // namespace netsentinel::simulator
