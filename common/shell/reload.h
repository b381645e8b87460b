#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "common/config/shared_sections.h"

namespace netsentinel::shell {

// For Program::Reload: keys that a running process cannot take over, each with whether it differs
// from what runs.
using KeyChanges = std::vector<std::pair<std::string, bool>>;

// Every key of `listen` but http, which the shell looks at itself.
void AddListen(const config::Listen& running, const config::Listen& fresh, KeyChanges& changes);
// Every key of a section such as `aggregator` that names a server to call.
void AddPeer(absl::string_view section, const config::Peer& running, const config::Peer& fresh,
             KeyChanges& changes);

// OK when none differs; else kFailedPrecondition, naming those that do.
absl::Status OnlyWithRestart(const KeyChanges& changed);

}  // namespace netsentinel::shell
