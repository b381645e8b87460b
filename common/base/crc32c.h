#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace netsentinel::base {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4): Crc32c("123456789") = 0xE3069283.
std::uint32_t Crc32c(absl::string_view bytes);

}  // namespace netsentinel::base
