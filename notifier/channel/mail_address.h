#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::channel {

// A sender or recipient: an address and a name for people, which may be empty.
struct Mailbox {
  std::string name = {};
  std::string address;
};

// Accepts local@domain of printable ASCII: one "@", no space, no control character, none of
// <>()[],;:\" and at most 254 bytes. kInvalidArgument says what is wrong.
absl::Status CheckMailAddress(absl::string_view address);

// "NetSentinel <alerts@example>" or "alerts@example". The name is valid UTF-8 without control
// characters; surrounding double quotes are dropped.
absl::StatusOr<Mailbox> ParseMailbox(absl::string_view text);

// The part after the "@".
absl::string_view DomainOf(absl::string_view address);

}  // namespace netsentinel::channel
