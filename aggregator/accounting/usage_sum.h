#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "aggregator/accounting/records.h"

namespace netsentinel::accounting {

// Usage rows added up over queues and days, with what is sure of it.
struct UsageSum {
  base::TrafficBytes counted;  // the best figure
  // Provably moved inside the span. Of each queue: what is counted less what is in doubt, less what
  // crosses the span's own first and last edge; not below 0.
  base::TrafficBytes sure;
  base::TrafficBytes estimated;  // of `counted`: bytes that were divided at an edge of the span
  base::TrafficBytes doubt;      // of `counted`: bytes that may be none
  // What may have passed beyond `counted`: unseen, or on this side of the span's own edges after
  // all.
  base::TrafficBytes unseen;
  std::uint64_t blind_us = 0;
  std::uint64_t observed_us = 0;
  std::int64_t first_reading_us = 0;
  std::int64_t last_reading_us = 0;
  std::uint32_t epochs = 0;
  Grade grade = Grade::kComplete;  // the worst of the rows; estimated only by the span's own edges
};

// Sums the rows of one subscriber (any number of queues) over the days first … last. Rows of other
// days are left out. The order of the rows does not matter. Totals are held at kMaxStoredBytes.
UsageSum SumUsage(absl::Span<const UsageRow* const> rows, absl::CivilDay first,
                  absl::CivilDay last);
UsageSum SumUsage(absl::Span<const UsageRow> rows, absl::CivilDay first, absl::CivilDay last);

}  // namespace netsentinel::accounting
