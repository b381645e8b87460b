#include "collector/app/session_limit.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include <sys/resource.h>

namespace netsentinel::app {

std::size_t RouterSessionsMax(std::size_t descriptors) {
  return descriptors > kDescriptorsKeptBack ? descriptors - kDescriptorsKeptBack : 1;
}

std::size_t OpenFilesMax() {
  rlimit limit{};
  // It fails for a wrong argument only.
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return std::numeric_limits<std::size_t>::max();
  }
  return std::min<std::size_t>(limit.rlim_cur, std::numeric_limits<std::size_t>::max());
}

std::string WaitingWords(std::size_t routers, std::size_t descriptors) {
  return absl::StrCat("waits for its turn: ", RouterSessionsMax(descriptors), " of ", routers,
                      " routers can be connected at once with at most ", descriptors,
                      " open files: raise that limit (LimitNOFILE= of the service, nofile of the "
                      "container, ulimit -n) to ",
                      routers + kDescriptorsKeptBack, " and restart the collector");
}

}  // namespace netsentinel::app
