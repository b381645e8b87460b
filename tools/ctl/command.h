#pragma once

#include "absl/status/status.h"

#include "common/base/clock.h"

namespace CLI {
class App;
}  // namespace CLI

namespace netsentinel::ctl {

// What the subcommands are given, and where the one that ran leaves its result.
struct CommandContext {
  const base::Clock& clock;
  absl::Status result;
};

// Each adds its subcommand to `app`. The context outlives the parse, during which the command runs.
void AddCertsCommand(CLI::App& app, CommandContext& context);
void AddUsageCommands(CLI::App& app, CommandContext& context);
void AddListCommands(CLI::App& app, CommandContext& context);
void AddQuotaCommand(CLI::App& app, CommandContext& context);
void AddReportCommand(CLI::App& app, CommandContext& context);
void AddAuditCommand(CLI::App& app, CommandContext& context);

}  // namespace netsentinel::ctl
