#include "notifier/report/shares.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "absl/numeric/int128.h"

namespace netsentinel::report {
namespace {

constexpr std::uint64_t kWhole = 1000;

}  // namespace

std::vector<std::uint32_t> SharesPermille(absl::Span<const std::uint64_t> totals,
                                          std::uint64_t others) {
  std::vector<std::uint64_t> parts(totals.begin(), totals.end());
  parts.push_back(others);
  std::vector<std::uint32_t> shares(parts.size(), 0);
  absl::uint128 sum = 0;
  for (const std::uint64_t part : parts) sum += part;
  if (sum == 0) return shares;

  std::vector<absl::uint128> remainders(parts.size());
  std::uint64_t given = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const absl::uint128 scaled = absl::uint128(parts[i]) * kWhole;
    shares[i] = static_cast<std::uint32_t>(scaled / sum);
    remainders[i] = scaled % sum;
    given += shares[i];
  }
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto missing = static_cast<std::ptrdiff_t>(kWhole - given);
  std::partial_sort(order.begin(), order.begin() + missing, order.end(),
                    [&remainders](std::size_t a, std::size_t b) {
                      if (remainders[a] != remainders[b]) return remainders[a] > remainders[b];
                      return a < b;
                    });
  for (std::ptrdiff_t i = 0; i < missing; ++i) {
    ++shares[order[static_cast<std::size_t>(i)]];
  }
  return shares;
}

void NormalizeShares(DayRanking& day) {
  std::vector<std::uint64_t> totals;
  totals.reserve(day.rows.size());
  std::uint64_t listed = 0;
  std::uint64_t permille = 0;
  for (const RankedSubscriber& row : day.rows) {
    totals.push_back(row.counted.total());
    listed = base::SaturatingAdd(listed, row.counted.total());
    permille += row.share_permille;
  }
  const bool whole = day.rows.size() == day.subscriber_count;
  if (whole && permille == (listed == 0 ? 0 : kWhole)) return;
  const std::uint64_t all = day.total.total();
  const std::vector<std::uint32_t> shares =
      SharesPermille(totals, !whole && all > listed ? all - listed : 0);
  for (std::size_t i = 0; i < day.rows.size(); ++i) day.rows[i].share_permille = shares[i];
}

}  // namespace netsentinel::report
