#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace netsentinel::base {

// The most that a stored total may hold: SQL integers are signed.
inline constexpr std::uint64_t kMaxStoredBytes =
    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

// a + b, or nothing when the sum passes kMaxStoredBytes.
constexpr std::optional<std::uint64_t> CheckedAdd(std::uint64_t a, std::uint64_t b) {
  if (a > kMaxStoredBytes || b > kMaxStoredBytes - a) return std::nullopt;
  return a + b;
}

// a + b, held at kMaxStoredBytes. For bounds, which may only err upwards.
constexpr std::uint64_t SaturatingAdd(std::uint64_t a, std::uint64_t b) {
  return CheckedAdd(a, b).value_or(kMaxStoredBytes);
}

// Bytes from the subscriber's point of view.
struct TrafficBytes {
  std::uint64_t upload = 0;
  std::uint64_t download = 0;

  constexpr bool operator==(const TrafficBytes&) const = default;
  // Saturating, see SaturatingAdd; upload and download apart.
  constexpr TrafficBytes& operator+=(const TrafficBytes& other) {
    upload = SaturatingAdd(upload, other.upload);
    download = SaturatingAdd(download, other.download);
    return *this;
  }
  friend constexpr TrafficBytes operator+(TrafficBytes a, const TrafficBytes& b) { return a += b; }
  constexpr std::uint64_t total() const { return SaturatingAdd(upload, download); }
  constexpr bool zero() const { return upload == 0 && download == 0; }
};

}  // namespace netsentinel::base
