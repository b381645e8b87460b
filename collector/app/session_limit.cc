#include "collector/app/session_limit.h"

#include "absl/strings/str_cat.h"

namespace netsentinel::app {

std::size_t RouterSessionsMax(std::size_t descriptors) {
  return descriptors > kDescriptorsKeptBack ? descriptors - kDescriptorsKeptBack : 1;
}

std::string WaitingWords(std::size_t routers, std::size_t descriptors) {
  return absl::StrCat("waits for its turn: ", RouterSessionsMax(descriptors), " of ", routers,
                      " routers can be connected at once with at most ", descriptors,
                      " open files: raise that limit (LimitNOFILE= of the service, nofile of the "
                      "container, ulimit -n) to ",
                      routers + kDescriptorsKeptBack, " and restart the collector");
}

}  // namespace netsentinel::app
