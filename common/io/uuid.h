#pragma once

#include <string>

#include "absl/strings/string_view.h"

#include "common/base/random.h"

namespace netsentinel::io {

// 16 bytes of a random UUID (RFC 9562 version 4).
std::string NewUuid(base::RandomSource& random);

// "xxxxxxxx-xxxx-4xxx-…" from 16 bytes; "(not a uuid)" for any other length.
std::string FormatUuid(absl::string_view bytes);

}  // namespace netsentinel::io
