#pragma once

#include <cstdint>

#include "tools/simulator/queue.h"

namespace netsentinel::simulator {

// Billionths of a byte that a queue with this model carries from `from_us` to `to_us`, added to
// `carry` (below one byte on entry); returns the whole bytes and leaves the rest in `carry`. The
// same bytes come out however the stretch is cut. `caps_bps` are bit/s, 0 for none. Beyond 100,000
// slots in one call the rest moves at its mean rate.
UpDown ModelBytes(const TrafficModel& model, UpDown caps_bps, std::uint64_t seed,
                  std::int64_t from_us, std::int64_t to_us, UpDown& carry);

}  // namespace netsentinel::simulator
