#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::base {

// A server's answer to a login: its codes, and of its words only such as servers use to say why
// they refuse one; "[...]" stands for the rest. So nothing that it was told can be hidden in it,
// however it is encoded. Whatever else a peer says passes through a SecretMask. Pure.
std::string LoginAnswer(absl::string_view text);

}  // namespace netsentinel::base
