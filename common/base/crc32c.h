#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::base {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4): Crc32c("123456789") = 0xE3069283.
std::uint32_t Crc32c(absl::string_view bytes);

inline constexpr std::size_t kCrcBytes = 4;
// Adds the checksum of all that is there, its lowest byte first.
void AppendCrc32c(std::string& bytes);
// What AppendCrc32c was given; nothing when the checksum is not that of the rest.
std::optional<absl::string_view> WithoutCrc32c(absl::string_view sealed);

}  // namespace netsentinel::base
