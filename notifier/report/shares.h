#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "notifier/report/model.h"

namespace netsentinel::report {

// Thousandths of the sum of `totals` and `others`, by largest remainder (a tie goes to the earlier
// one): with the share of `others`, which is the last element, they add up to exactly 1000. All
// zero when there is no byte.
std::vector<std::uint32_t> SharesPermille(absl::Span<const std::uint64_t> totals,
                                          std::uint64_t others);

// Keeps the shares that came with a whole ranking when they add up to 1000; computes them anew
// otherwise, with the subscribers that are not among the rows as one more part.
void NormalizeShares(DayRanking& day);

}  // namespace netsentinel::report
