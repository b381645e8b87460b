#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace netsentinel::io {

// Names this boot of the host (the kernel's random boot id, 36 characters): as long as it is the
// same, readings of Clock::BootNow() are comparable, also between processes.
absl::StatusOr<std::string> HostBootId();

// The host's own name, for logs and defaults; "localhost" when the system has none.
std::string HostName();

}  // namespace netsentinel::io
