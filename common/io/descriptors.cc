#include "common/io/descriptors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include <sys/resource.h>

namespace netsentinel::io {
namespace {

int Clamped(rlim_t limit) {
  constexpr rlim_t kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(limit, kMost));
}

}  // namespace

int DescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return Clamped(limit.rlim_cur);
}

absl::StatusOr<int> RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    if (limit.rlim_cur == limit.rlim_max) return Clamped(limit.rlim_cur);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return Clamped(limit.rlim_cur);
  }
  return absl::UnavailableError(
      absl::StrCat("cannot raise the limit of open files: ", std::strerror(errno)));
}

int MaxPeerDescriptor() {
  const int limit = DescriptorLimit();
  return std::max(limit - kReservedDescriptors, limit / 2);
}

}  // namespace netsentinel::io
