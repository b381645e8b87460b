#pragma once

#include "absl/strings/string_view.h"

namespace netsentinel::shell {

// The version of this build, such as "0.1.0".
absl::string_view Version();

}  // namespace netsentinel::shell
