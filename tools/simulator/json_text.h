#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::simulator {

// `text` as a JSON string with its quotes. Bytes that are not valid UTF-8 are shown as \xHH (see
// base::DisplayName), so raw names are given in hexadecimal beside it.
std::string JsonString(absl::string_view text);

}  // namespace netsentinel::simulator
