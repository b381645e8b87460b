#pragma once

#include <initializer_list>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace netsentinel::shell {

// For Program::Reload: of each key that a running process cannot take over, whether it differs from
// what runs. OK when none does; else kFailedPrecondition, naming those that do.
absl::Status OnlyWithRestart(std::initializer_list<std::pair<absl::string_view, bool>> changed);

}  // namespace netsentinel::shell
