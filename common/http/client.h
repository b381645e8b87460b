#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/config/address.h"

namespace netsentinel::http {

struct FetchResult {
  int status = 0;
  std::string body;
};

// GET http://address/path, blocking, with at most 16 MiB of body. For probes on the own host: no
// TLS, no redirects. An unspecified host (0.0.0.0 or ::) is asked on loopback. kUnavailable or
// kDeadlineExceeded.
absl::StatusOr<FetchResult> Fetch(const config::Address& address, absl::string_view path,
                                  absl::Duration timeout = absl::Seconds(5));

}  // namespace netsentinel::http
