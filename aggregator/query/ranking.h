#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "aggregator/accounting/records.h"
#include "aggregator/accounting/usage_sum.h"
#include "aggregator/quota/quota.h"

// Who moved how much, in order. Pure.
namespace netsentinel::query {

using SubscriberSum = std::pair<accounting::SubscriberKey, accounting::UsageSum>;

struct Ranking {
  struct Row {
    std::uint32_t rank = 0;  // from 1
    SubscriberSum subscriber;
    std::uint32_t share_permille = 0;
  };
  std::vector<Row> rows;  // at most the limit
  std::uint64_t subscriber_count = 0;
  base::TrafficBytes total;
};

// Orders by the basis of `counted`, most first; equal figures by key, so that the same figures
// always give the same order. Shares are of the sum of that basis over all subscribers, in
// thousandths divided by largest remainder: over a whole ranking they add up to 1000 (0 when
// nothing moved).
Ranking Rank(std::vector<SubscriberSum> subscribers, quota::Basis order_by, std::size_t limit);

}  // namespace netsentinel::query
