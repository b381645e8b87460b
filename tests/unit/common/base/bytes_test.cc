#include "common/base/bytes.h"

#include <limits>

#include <gtest/gtest.h>

namespace netsentinel::base {
namespace {

constexpr std::uint64_t kMaxUint64 = std::numeric_limits<std::uint64_t>::max();

TEST(BytesTest, SumsStopAtTheLargestStoredNumber) {
  EXPECT_EQ(CheckedAdd(kMaxStoredBytes - 1, 1), kMaxStoredBytes);
  EXPECT_EQ(CheckedAdd(kMaxStoredBytes, 1), std::nullopt);
  EXPECT_EQ(CheckedAdd(0, kMaxUint64), std::nullopt);
  EXPECT_EQ(CheckedAdd(kMaxUint64, kMaxUint64), std::nullopt);
  EXPECT_EQ(SaturatingAdd(kMaxStoredBytes, 1), kMaxStoredBytes);
  EXPECT_EQ(SaturatingAdd(kMaxUint64, 0), kMaxStoredBytes);
}

TEST(BytesTest, DirectionsAreHeldApart) {
  TrafficBytes bytes{kMaxStoredBytes, 1};
  bytes += {5, 2};
  EXPECT_EQ(bytes, (TrafficBytes{kMaxStoredBytes, 3}));
  EXPECT_EQ(bytes.total(), kMaxStoredBytes);
  EXPECT_FALSE(bytes.zero());
  EXPECT_TRUE(TrafficBytes{}.zero());
}

}  // namespace
}  // namespace netsentinel::base
