#include "tools/simulator/traffic.h"

#include <algorithm>

#include "absl/numeric/int128.h"

namespace netsentinel::simulator {
namespace {

constexpr std::int64_t kMaxSlots = 100'000;
constexpr std::uint64_t kBillion = 1'000'000'000;

// splitmix64: spreads slot numbers over all bits.
std::uint64_t Mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15ULL;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
  return value ^ (value >> 31);
}

// Thousandths of a byte per second.
std::uint64_t MilliRate(std::uint64_t bytes_per_s, std::uint64_t factor_permille,
                        std::uint64_t cap_bps) {
  absl::uint128 rate = absl::uint128(bytes_per_s) * factor_permille;
  if (cap_bps != 0) rate = std::min(rate, absl::uint128(cap_bps) * 125);
  // 2^53 thousandths are 9 TB/s: no router carries more, and no product below overflows.
  return absl::Uint128Low64(std::min(rate, absl::uint128(1) << 53));
}

void Accumulate(std::uint64_t milli_rate, std::int64_t duration_us, std::uint64_t& whole,
                std::uint64_t& carry) {
  const absl::uint128 sum =
      absl::uint128(milli_rate) * static_cast<std::uint64_t>(duration_us) + carry;
  whole += absl::Uint128Low64(sum / kBillion);
  carry = absl::Uint128Low64(sum % kBillion);
}

}  // namespace

UpDown ModelBytes(const TrafficModel& model, UpDown caps_bps, std::uint64_t seed, Stretch stretch,
                  UpDown& carry) {
  const auto [from_us, to_us] = stretch;
  UpDown bytes;
  if (model.bytes_per_s.zero() || model.active_permille == 0 || to_us <= from_us) return bytes;
  const std::int64_t slot_us = std::max<std::int64_t>(model.slot_us, 1000);
  std::int64_t at = from_us;
  for (std::int64_t n = 0; at < to_us && n < kMaxSlots; ++n) {
    const std::int64_t slot = at / slot_us;
    const std::int64_t until = std::min(to_us, (slot + 1) * slot_us);
    const std::uint64_t chance = Mix(seed ^ Mix(static_cast<std::uint64_t>(slot)));
    if (chance % 1000 < model.active_permille) {
      const std::uint64_t factor = 500 + (chance >> 20) % 1001;
      const std::uint64_t up = MilliRate(model.bytes_per_s.up, factor, caps_bps.up);
      const std::uint64_t down = MilliRate(model.bytes_per_s.down, factor, caps_bps.down);
      Accumulate(up, until - at, bytes.up, carry.up);
      Accumulate(down, until - at, bytes.down, carry.down);
    }
    at = until;
  }
  if (at < to_us) {
    const std::uint64_t share = model.active_permille;
    Accumulate(MilliRate(model.bytes_per_s.up, share, caps_bps.up), to_us - at, bytes.up, carry.up);
    Accumulate(MilliRate(model.bytes_per_s.down, share, caps_bps.down), to_us - at, bytes.down,
               carry.down);
  }
  return bytes;
}

}  // namespace netsentinel::simulator
