#include "common/base/backoff.h"

#include <limits>

#include <gtest/gtest.h>

namespace netsentinel::base {
namespace {

// The same answer each time.
class FixedRandom final : public RandomSource {
 public:
  explicit FixedRandom(std::uint64_t value) : value_(value) {}
  std::uint64_t Next() override { return value_; }

 private:
  std::uint64_t value_;
};

TEST(BackoffTest, DelaysDoubleUpToTheMaximum) {
  const BackoffPolicy policy{absl::Milliseconds(500), absl::Seconds(3)};
  FixedRandom random(0);
  Backoff least(policy, random);
  EXPECT_EQ(least.NextDelay(), absl::Milliseconds(10)) << "never a busy loop";
  std::vector<absl::Duration> ceilings;
  for (int attempt = 0; attempt < 5; ++attempt) {
    absl::Duration most;
    for (const std::uint64_t value : {499'999U, 999'999U, 1'999'999U, 2'999'999U}) {
      FixedRandom fixed(value);
      Backoff backoff(policy, fixed);
      for (int i = 0; i < attempt; ++i) (void)backoff.NextDelay();
      most = std::max(most, backoff.NextDelay());
    }
    ceilings.push_back(most);
  }
  EXPECT_EQ(ceilings,
            (std::vector<absl::Duration>{absl::Milliseconds(500), absl::Seconds(1),
                                         absl::Seconds(2), absl::Seconds(3), absl::Seconds(3)}));
}

TEST(BackoffTest, ASuccessStartsAnew) {
  FixedRandom random(499'999);
  Backoff backoff({absl::Milliseconds(500), absl::Seconds(60)}, random);
  for (int i = 0; i < 4; ++i) (void)backoff.NextDelay();
  EXPECT_EQ(backoff.attempts(), 4);
  backoff.Reset();
  EXPECT_EQ(backoff.NextDelay(), absl::Milliseconds(500));
}

TEST(BackoffTest, ThousandsOfAttemptsStayAtTheMaximum) {
  FixedRandom random(std::numeric_limits<std::uint64_t>::max());
  Backoff backoff({absl::Milliseconds(500), absl::Seconds(60)}, random);
  for (int i = 0; i < 5000; ++i) {
    const absl::Duration delay = backoff.NextDelay();
    EXPECT_GE(delay, absl::Milliseconds(10));
    EXPECT_LE(delay, absl::Seconds(60));
  }
}

}  // namespace
}  // namespace netsentinel::base
