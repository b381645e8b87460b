#pragma once

#include "absl/strings/string_view.h"

namespace netsentinel::base {

// Prints `file:line: condition (context)` to stderr and aborts. For bugs of ours only: bad input
// and failures of the world are absl::Status.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              absl::string_view context);

}  // namespace netsentinel::base

// On in every build. The second argument is text that helps whoever reads the crash.
#define NS_CHECK(condition, context)                                               \
  do {                                                                             \
    if (!(condition)) [[unlikely]] {                                               \
      ::netsentinel::base::CheckFailed(__FILE__, __LINE__, #condition, (context)); \
    }                                                                              \
  } while (false)
