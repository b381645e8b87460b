#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::io {

// SHA-256 (FIPS 180-4): the 32 bytes, and their 64 lowercase hexadecimal digits.
std::string Sha256(absl::string_view bytes);
std::string Sha256Hex(absl::string_view bytes);

}  // namespace netsentinel::io
