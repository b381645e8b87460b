#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace netsentinel::base {

// "10GiB", "500 MB", "0B", "1.5GiB" → bytes. Units: B, kB, MB, GB, TB (powers of 1000) and KiB,
// MiB, GiB, TiB (powers of 1024); the unit is mandatory. A fraction must come to whole bytes.
absl::StatusOr<std::uint64_t> ParseByteSize(absl::string_view text);

// 1536 → "1.50 KiB", 10737418240 → "10.00 GiB": binary units, two decimals, rounded down, exact
// integer arithmetic. Below 1024: "12 B".
std::string FormatByteSize(std::uint64_t bytes);

// "30s", "500ms", "5m", "24h", "14d", "1h30m" → duration. The unit is mandatory; months are not a
// duration.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// "10Gbps", "100Mbps", "64kbps" → bit/s. Units bps, kbps, Mbps, Gbps, Tbps (powers of 1000).
absl::StatusOr<std::uint64_t> ParseBitRate(absl::string_view text);

}  // namespace netsentinel::base
