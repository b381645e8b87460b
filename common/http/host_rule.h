#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace netsentinel::http {

// Whether a request that asks `host` (a Host header, with or without port) asks for us: a loopback
// name or address, `own_address` (where the connection arrived), or one of `names`, in any case. A
// page in somebody's browser whose name was made to point here asks by its own name, and must not
// be shown what is here.
bool AsksForUs(absl::string_view host, absl::string_view own_address,
               absl::Span<const std::string> names);

// The host part in lower case, without port, brackets and a final dot; empty when it is no host.
std::string HostPart(absl::string_view host);

}  // namespace netsentinel::http
