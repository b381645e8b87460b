#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::base {

// Valid UTF-8 for people from bytes of unknown encoding, without loss: valid UTF-8 sequences of
// printable characters stay; every other byte, C0/C1 controls and DEL become \xHH (uppercase), a
// backslash becomes \\.
std::string DisplayName(absl::string_view raw);

// The inverse. Fails with kInvalidArgument on a backslash that is followed by neither a backslash
// nor xHH.
absl::StatusOr<std::string> RawName(absl::string_view display);

// True when `text` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool IsValidUtf8(absl::string_view text);

}  // namespace netsentinel::base
