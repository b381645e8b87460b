#include "common/shell/version.h"

namespace netsentinel::shell {

absl::string_view Version() { return NS_VERSION; }

}  // namespace netsentinel::shell
