#pragma once

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace netsentinel::routeros {

// MD5 for the login of RouterOS before 6.43. All zeros where OpenSSL offers no MD5 (FIPS): such a
// login is then refused by the router.
std::array<std::uint8_t, 16> Md5WithOpenSsl(absl::string_view bytes);

}  // namespace netsentinel::routeros
