#include "common/shell/command_line.h"

#include "absl/strings/str_cat.h"
#include <CLI/CLI.hpp>

#include "common/shell/version.h"

namespace netsentinel::shell {

CommandLine ParseCommandLine(absl::string_view name, absl::string_view summary, int argc,
                             const char* const* argv) {
  CommandLine flags;
  bool check_config = false;
  std::string probe;
  CLI::App app{std::string(summary), std::string(name)};
  app.set_version_flag("--version", absl::StrCat(name, " ", Version()));
  app.add_option("--config", flags.config, "The configuration file (YAML)")->required();
  CLI::Option* check = app.add_flag("--check-config", check_config,
                                    "Read the configuration, report every mistake and exit");
  app.add_option("--healthcheck", probe,
                 "Ask the running process on its HTTP port and exit with 0 or 1: 'ready' (the "
                 "default) asks /readyz, 'live' asks /healthz")
      ->expected(0, 1)
      ->default_str("ready")
      ->check(CLI::IsMember({"ready", "live"}))
      ->excludes(check);
  app.add_option("--ports-file", flags.ports_file,
                 "Write the ports that are listened on into this file, as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    flags.action = Action::kExit;
    // CLI11 has many exit codes; wrong usage is 2 here, as for a wrong configuration.
    flags.exit_code = app.exit(error) == 0 ? 0 : 2;
    return flags;
  }
  if (check_config) flags.action = Action::kCheckConfig;
  if (app.count("--healthcheck") > 0) {
    flags.action = Action::kHealthCheck;
    flags.live_only = probe == "live";
  }
  return flags;
}

}  // namespace netsentinel::shell
