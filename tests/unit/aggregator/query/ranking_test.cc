#include "aggregator/query/ranking.h"

#include <numeric>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"

namespace netsentinel::query {
namespace {

std::vector<SubscriberSum> RandomSubscribers(base::SeededRandom& random, std::size_t count) {
  std::vector<SubscriberSum> subscribers(count);
  for (std::size_t i = 0; i < count; ++i) {
    subscribers[i].first.name = absl::StrCat("user-", i);
    // Few different figures, so that many are equal; now and then enormous ones.
    const std::uint64_t scale = random.Next() % 10 == 0 ? 1ULL << 55 : 1;
    subscribers[i].second.counted = {random.Next() % 5 * scale, random.Next() % 7 * scale};
  }
  return subscribers;
}

TEST(RankingTest, SharesOfAWholeRankingAddUpToAThousand) {
  base::SeededRandom random(1);
  for (int round = 0; round < 500; ++round) {
    const std::size_t count = 1 + random.Next() % 60;
    const Ranking ranking = Rank(RandomSubscribers(random, count), quota::Basis::kTotal, count);
    const std::uint32_t shares = std::accumulate(
        ranking.rows.begin(), ranking.rows.end(), 0U,
        [](std::uint32_t sum, const auto& row) { return sum + row.share_permille; });
    EXPECT_EQ(shares, ranking.total.zero() ? 0U : 1000U) << round;
  }
}

TEST(RankingTest, OrdersByTheBasisAndEqualFiguresByName) {
  base::SeededRandom random(2);
  for (const quota::Basis basis :
       {quota::Basis::kDownload, quota::Basis::kUpload, quota::Basis::kTotal}) {
    const Ranking ranking = Rank(RandomSubscribers(random, 200), basis, 200);
    ASSERT_EQ(ranking.rows.size(), 200U);
    for (std::size_t i = 1; i < ranking.rows.size(); ++i) {
      const auto& [above_key, above] = ranking.rows[i - 1].subscriber;
      const auto& [key, sum] = ranking.rows[i].subscriber;
      EXPECT_EQ(ranking.rows[i].rank, i + 1);
      EXPECT_GE(quota::Amount(basis, above.counted), quota::Amount(basis, sum.counted));
      if (quota::Amount(basis, above.counted) == quota::Amount(basis, sum.counted)) {
        EXPECT_LT(above_key, key);
      }
    }
  }
}

TEST(RankingTest, ALimitCutsRowsButNeitherTotalNorShares) {
  base::SeededRandom random(3);
  const std::vector<SubscriberSum> subscribers = RandomSubscribers(random, 50);
  const Ranking whole = Rank(subscribers, quota::Basis::kDownload, 50);
  const Ranking cut = Rank(subscribers, quota::Basis::kDownload, 7);
  ASSERT_EQ(cut.rows.size(), 7U);
  EXPECT_EQ(cut.subscriber_count, 50U);
  EXPECT_EQ(cut.total.download, whole.total.download);
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(cut.rows[i].share_permille, whole.rows[i].share_permille);
    EXPECT_EQ(cut.rows[i].subscriber.first, whole.rows[i].subscriber.first);
  }
}

}  // namespace
}  // namespace netsentinel::query
