#pragma once

#include <cstdint>

namespace netsentinel::base {

// Where chance comes from. Implementations say whether they are thread-safe.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  // 64 uniformly distributed bits.
  virtual std::uint64_t Next() = 0;
};

// xorshift64*: the same seed gives the same numbers everywhere. For tests, the simulator and
// jitter; never for secrets. One thread.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed ^ 0x9E3779B97F4A7C15ULL) {
    if (state_ == 0) state_ = 1;
  }
  std::uint64_t Next() override {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1DULL;
  }

 private:
  std::uint64_t state_;
};

}  // namespace netsentinel::base
