#pragma once

#include <string>

#include "absl/status/status.h"

#include "common/log/logger.h"

namespace netsentinel::shell {

// Makes a program's state folder, its owner's alone (0700), and takes access of other users from
// what is in it already (0600). The log names what had been open, and what another user owns and
// therefore stays open. Before anything in it is opened.
absl::Status MakeStateFolder(const std::string& folder, log::Logger& logger);

// The same for one SQLite file in a folder that may be others' too: the file, its write-ahead log
// and what else lies beside it under its name.
void CloseDatabaseToOthers(const std::string& path, log::Logger& logger);

}  // namespace netsentinel::shell
