#include "aggregator/query/ranking.h"

#include <algorithm>
#include <numeric>

#include "absl/numeric/int128.h"

namespace netsentinel::query {
namespace {

// Thousandths of the whole, adding up to 1000 by largest remainder; ties go to the earlier row.
std::vector<std::uint32_t> Shares(const std::vector<std::uint64_t>& amounts) {
  absl::uint128 whole = 0;
  for (const std::uint64_t amount : amounts) whole += amount;
  std::vector<std::uint32_t> shares(amounts.size(), 0);
  if (whole == 0) return shares;
  std::vector<absl::uint128> remainders(amounts.size());
  std::uint32_t given = 0;
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    const absl::uint128 scaled = absl::uint128(amounts[i]) * 1000;
    shares[i] = static_cast<std::uint32_t>(scaled / whole);
    remainders[i] = scaled % whole;
    given += shares[i];
  }
  const std::size_t missing = 1000 - given;  // fewer than there are rows
  std::vector<std::size_t> order(amounts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto larger = [&](std::size_t a, std::size_t b) {
    return remainders[a] != remainders[b] ? remainders[a] > remainders[b] : a < b;
  };
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(missing), order.end(),
                   larger);
  for (std::size_t i = 0; i < missing; ++i) ++shares[order[i]];
  return shares;
}

}  // namespace

Ranking Rank(std::vector<SubscriberSum> subscribers, quota::Basis order_by, std::size_t limit) {
  Ranking ranking;
  ranking.subscriber_count = subscribers.size();
  for (const auto& [key, sum] : subscribers) ranking.total += sum.counted;

  std::vector<std::pair<std::uint64_t, std::size_t>> order;
  order.reserve(subscribers.size());
  for (std::size_t i = 0; i < subscribers.size(); ++i) {
    order.emplace_back(quota::Amount(order_by, subscribers[i].second.counted), i);
  }
  std::sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first > b.first;
    return subscribers[a.second].first < subscribers[b.second].first;
  });
  std::vector<std::uint64_t> amounts;
  amounts.reserve(order.size());
  for (const auto& [amount, index] : order) amounts.push_back(amount);
  const std::vector<std::uint32_t> shares = Shares(amounts);

  const std::size_t rows = std::min(limit, order.size());
  ranking.rows.reserve(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    ranking.rows.push_back({.rank = static_cast<std::uint32_t>(i + 1),
                            .subscriber = std::move(subscribers[order[i].second]),
                            .share_permille = shares[i]});
  }
  return ranking;
}

}  // namespace netsentinel::query
