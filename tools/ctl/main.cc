#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include <CLI/CLI.hpp>

#include "common/io/system_clock.h"
#include "common/shell/shell.h"
#include "common/shell/version.h"
#include "tools/ctl/command.h"

int main(int argc, char** argv) {
  const netsentinel::io::SystemClock clock;
  netsentinel::ctl::CommandContext context{clock, absl::OkStatus()};
  CLI::App app{"Operate NetSentinel", "netsentinelctl"};
  app.set_version_flag("--version", absl::StrCat("netsentinelctl ", netsentinel::shell::Version()));
  app.require_subcommand(1);
  netsentinel::ctl::AddUsageCommands(app, context);
  netsentinel::ctl::AddQuotaCommand(app, context);
  netsentinel::ctl::AddReportCommand(app, context);
  netsentinel::ctl::AddCertsCommand(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? netsentinel::shell::kExitClean : netsentinel::shell::kExitUsage;
  }
  if (context.result.ok()) return netsentinel::shell::kExitClean;
  std::fprintf(stderr, "netsentinelctl: %s\n", std::string(context.result.message()).c_str());
  return netsentinel::shell::kExitFailed;
}
