#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include <CLI/CLI.hpp>

#include "common/io/out_of_memory.h"
#include "common/io/system_clock.h"
#include "common/shell/shell.h"
#include "common/shell/version.h"
#include "tools/ctl/client.h"
#include "tools/ctl/command.h"
#include "tools/ctl/grpc_table.h"

int main(int argc, char** argv) {
  netsentinel::io::ExitWhenOutOfMemory("netsentinelctl");
  const netsentinel::io::SystemClock clock;
  netsentinel::ctl::CommandContext context{clock, absl::OkStatus()};
  CLI::App app{"Operate NetSentinel", "netsentinelctl"};
  app.set_version_flag("--version", absl::StrCat("netsentinelctl ", netsentinel::shell::Version()));
  app.require_subcommand(1);
  netsentinel::ctl::AddUsageCommands(app, context);
  netsentinel::ctl::AddListCommands(app, context);
  netsentinel::ctl::AddQuotaCommand(app, context);
  netsentinel::ctl::AddReportCommand(app, context);
  netsentinel::ctl::AddAuditCommand(app, context);
  netsentinel::ctl::AddCertsCommand(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? netsentinel::shell::kExitClean : netsentinel::shell::kExitUsage;
  }
  if (!context.result.ok()) {
    const absl::Status result = netsentinel::ctl::Explained(context.result);
    std::fprintf(stderr, "netsentinelctl: %s\n",
                 netsentinel::ctl::TerminalText(result.message()).c_str());
    return netsentinel::shell::kExitFailed;
  }
  // What was printed may have gone nowhere: a full disk, a closed pipe.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "netsentinelctl: cannot write the answer: %s\n", std::strerror(errno));
    return netsentinel::shell::kExitFailed;
  }
  return netsentinel::shell::kExitClean;
}
