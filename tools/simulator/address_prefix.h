#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace netsentinel::simulator {

// Prefixes as `/ip/service` has them in `address`: "10.10.0.5", "10.10.0.0/24", "fd00::/8".
absl::Status CheckPrefix(absl::string_view prefix);

// True when one of `prefixes` (each passed CheckPrefix) holds `address`; an IPv4 address may be
// written as ::ffff:a.b.c.d.
bool InPrefixes(const std::vector<std::string>& prefixes, absl::string_view address);

}  // namespace netsentinel::simulator
