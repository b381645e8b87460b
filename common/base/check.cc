#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace netsentinel::base {

void CheckFailed(const char* file, int line, const char* condition, absl::string_view context) {
  std::fprintf(stderr, "%s:%d: check failed: %s (%.*s)\n", file, line, condition,
               static_cast<int>(context.size()), context.data());
  std::abort();
}

}  // namespace netsentinel::base
