#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::shell {

enum class Action { kRun, kCheckConfig, kHealthCheck, kExit };

// The flags that every process takes.
struct CommandLine {
  Action action = Action::kRun;
  int exit_code = 0;       // of kExit
  std::string config;      // the file
  std::string ports_file;  // empty: none is written
  bool live_only = false;  // of kHealthCheck: /healthz instead of /readyz
};

// Parses the flags. Help, version and mistakes are printed, and answered with kExit.
CommandLine ParseCommandLine(absl::string_view name, absl::string_view summary, int argc,
                             const char* const* argv);

}  // namespace netsentinel::shell
