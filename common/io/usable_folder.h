#pragma once

#include <string>

#include "absl/status/status.h"

namespace netsentinel::io {

// Whether a folder that a program makes for itself is there and this user may write into it, or
// could be made: kFailedPrecondition says what is in the way and how to mend it. Nothing is made.
absl::Status CheckUsableFolder(const std::string& path);

}  // namespace netsentinel::io
